"""What AWS answered, row by row: on the screen, as Markdown and as JSON."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from acceptance.questions import Question


class Verdict(StrEnum):
    """What an answer says of the assumption."""

    AS_ASSUMED = "as assumed"
    DIFFERENT = "DIFFERENT"
    RECORDED = "recorded"
    NOT_SHOWN = "not shown here"
    NOT_ASKED = "not asked"


@dataclass
class Row:
    """One question with its answer."""

    name: str
    question: str
    assumed: str | None
    answer: str = "-"
    verdict: Verdict = Verdict.NOT_ASKED


@dataclass
class Report:
    """All rows of a run.

    Parameters
    ----------
    about
        Whose answers these are.
    account
        Its number, which no row and no file shows.
    not_shown
        Rows that the AWS at hand cannot show, with the reason, whatever it answers.
    """

    about: str
    account: str
    not_shown: Mapping[str, str] = field(default_factory=dict)
    on_answer: Callable[[str], None] = print
    rows: dict[str, Row] = field(default_factory=dict)

    def expect(self, questions: Mapping[str, Question]) -> None:
        """Add rows that are still to be answered."""
        self.rows |= {name: Row(name, *question) for name, question in questions.items()}

    def answer(self, name: str, answer: str, *, holds: bool | None = None) -> None:
        """Answer a row; `holds` says whether it is as assumed, None where nothing is assumed."""
        row, reason = self.rows[name], self.not_shown.get(name)
        row.answer = re.sub(rf"\b{self.account}\b", "ACCOUNT", answer)
        if reason is not None:
            row.answer, row.verdict = f"{reason} ({row.answer})", Verdict.NOT_SHOWN
        elif holds is None:
            row.verdict = Verdict.RECORDED
        else:
            row.verdict = Verdict.AS_ASSUMED if holds else Verdict.DIFFERENT
        self.on_answer(f"  {name}: {row.answer} [{row.verdict}]")

    def cannot_show(self, name: str, reason: str) -> None:
        """Answer a row for which a control has shown that nothing can be seen here."""
        self.rows[name].answer, self.rows[name].verdict = reason, Verdict.NOT_SHOWN
        self.on_answer(f"  {name}: {reason} [{Verdict.NOT_SHOWN}]")

    @property
    def open(self) -> list[str]:
        """Rows that speak against the assumption, or were never answered."""
        bad = (Verdict.DIFFERENT, Verdict.NOT_ASKED)
        return [row.name for row in self.rows.values() if row.verdict in bad]

    def table(self) -> str:
        """All rows as a Markdown table, which is legible on a screen too."""
        head = ("Row", "Asked", "Assumed", "Answered", "Verdict")
        rows = self.rows.values()
        cells = [(r.name, r.question, r.assumed or "-", r.answer, r.verdict) for r in rows]
        lines = (
            " | ".join(cell.replace("|", "/") for cell in line)
            for line in (head, ("---",) * len(head), *cells)
        )
        return "\n".join(f"| {line} |" for line in lines)

    def write(self, folder: Path) -> None:
        """Write report.md and report.json."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(f"# make accept\n\n{self.about}\n\n{self.table()}\n")
        rows = [asdict(row) for row in self.rows.values()]
        text = json.dumps({"about": self.about, "rows": rows}, indent=1, ensure_ascii=False)
        (folder / "report.json").write_text(f"{text}\n")
