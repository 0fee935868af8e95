"""What AWS answered, row by row: on the screen, as Markdown and as JSON."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from acceptance.questions import Questions


class Report:
    """All rows of a run.

    Parameters
    ----------
    about
        Whose answers these are.
    account
        Its number, which no row shows.
    not_shown
        Rows that the AWS at hand cannot show, whatever it answers, with the reason.
    say
        Tells each answer as it comes.
    """

    def __init__(
        self, about: str, account: str, not_shown: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._about, self._account, self._not_shown, self._say = about, account, not_shown, say
        self.rows: dict[str, dict[str, str]] = {}
        self.troubles: list[str] = []

    def expect(self, questions: Questions) -> None:
        """Add rows that are to be answered."""
        for name, (asked, assumed) in questions.items():
            unanswered = {"answered": "-", "verdict": "not asked"}
            self.rows[name] = {"row": name, "asked": asked, "assumed": assumed or "-", **unanswered}

    def answer(
        self, name: str, told: str, *, holds: bool | None = None, shown: bool = True
    ) -> None:
        """Answer a row: `holds` if it is as assumed, None where nothing is; else not `shown`."""
        if reason := self._not_shown.get(name):
            told, shown = f"{reason} ({told})", False
        as_assumed = {True: "as assumed", False: "DIFFERENT", None: "recorded"}
        verdict = as_assumed[holds] if shown else "not shown here"
        self.rows[name] |= {"answered": self._redacted(told), "verdict": verdict}
        self._say("  {row}: {answered} [{verdict}]".format_map(self.rows[name]))

    def trouble(self, text: str) -> None:
        """Note what kept a part of the run from its end."""
        self.troubles.append(self._redacted(text))
        self._say(f"  trouble: {text}")

    @property
    def open(self) -> list[str]:
        """Rows that speak against what is assumed, or were never answered."""
        return [n for n, row in self.rows.items() if row["verdict"] in ("DIFFERENT", "not asked")]

    def table(self) -> str:
        """All rows as a Markdown table, which is legible on a screen too."""
        head = ("row", "asked", "assumed", "answered", "verdict")
        lines = [head, ("---",) * len(head), *(row.values() for row in self.rows.values())]
        return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)

    def write(self, folder: Path) -> None:
        """Write report.md and report.json."""
        folder.mkdir(parents=True, exist_ok=True)
        blocks = ["# make accept", self._about, self.table()]
        blocks += [f"Trouble:\n\n```\n{trouble}\n```" for trouble in self.troubles]
        (folder / "report.md").write_text("\n\n".join(blocks) + "\n")
        found = {"about": self._about, "rows": [*self.rows.values()], "troubles": self.troubles}
        (folder / "report.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")

    def _redacted(self, text: str) -> str:
        return text.replace(self._account, "ACCOUNT")
