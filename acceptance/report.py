"""The observations of a run: on the screen, as Markdown, and as JSON."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from acceptance.assumptions import Assumptions

_VERDICTS = {True: "as assumed", False: "DIFFERENT", None: "recorded"}


class Report:
    """All rows of a run.

    Parameters
    ----------
    about
        Time, Region, and endpoint.
    account
        Account ID, which is redacted in all rows.
    not_shown
        Rows that this AWS cannot show, with the reason.
    show
        Prints each observation immediately.
    """

    def __init__(
        self, about: str, account: str, not_shown: Mapping[str, str], show: Callable[[str], None]
    ) -> None:
        self._about, self._account, self._not_shown, self._show = about, account, not_shown, show
        self.rows: dict[str, dict[str, str]] = {}
        self.errors: list[str] = []

    def expect(self, assumptions: Assumptions) -> None:
        """Add rows that are not checked yet."""
        for name, (check, assumed) in assumptions.items():
            row = {"row": name, "check": check, "assumed": assumed or "-"}
            self.rows[name] = row | {"observed": "-", "verdict": "not checked"}

    def observe(
        self, name: str, observed: str, *, holds: bool | None = None, shown: bool = True
    ) -> None:
        """Set a row: whether the assumption `holds`, None if there is none; or not `shown`."""
        if reason := self._not_shown.get(name):
            observed, shown = f"{reason} ({observed})", False
        verdict = _VERDICTS[holds] if shown else "not shown here"
        self.rows[name] |= {"observed": self._redacted(observed), "verdict": verdict}
        self._show("  {row}: {observed} [{verdict}]".format_map(self.rows[name]))

    def error(self, text: str) -> None:
        """Add an error that ended a part of the run."""
        self.errors.append(self._redacted(text))
        self._show(f"  error: {text}")

    @property
    def open(self) -> list[str]:
        """Rows that contradict an assumption or were not checked."""
        return [n for n, row in self.rows.items() if row["verdict"] in ("DIFFERENT", "not checked")]

    def table(self) -> str:
        """Return all rows as a Markdown table."""
        head = ("row", "check", "assumed", "observed", "verdict")
        lines = [head, ("---",) * len(head), *(row.values() for row in self.rows.values())]
        return "\n".join(f"| {' | '.join(c.replace('|', '/') for c in line)} |" for line in lines)

    def write(self, folder: Path) -> None:
        """Write report.md and report.json."""
        folder.mkdir(parents=True, exist_ok=True)
        blocks = ["# make accept", self._about, self.table()]
        blocks += [f"Error:\n\n```\n{error}\n```" for error in self.errors]
        (folder / "report.md").write_text("\n\n".join(blocks) + "\n")
        content = {"about": self._about, "rows": [*self.rows.values()], "errors": self.errors}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / "report.json").write_text(f"{text}\n")

    def _redacted(self, text: str) -> str:
        return text.replace(self._account, "ACCOUNT")
