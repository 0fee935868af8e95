"""Change the handler in small ways and see that the unit tests notice: `docs/mutation.md`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from tests.mutation.judge import PACKAGE, ROOT, Judge, TestsFail, Verdict, measure, warm_up
from tests.mutation.known import HARMLESS, read, write
from tests.mutation.mutants import Key, Mutant, mutants_of

RESULTS = ROOT / "build" / "mutation"
_COLUMNS = "mutants", "killed", "timeout", "harmless", "survived"


def main() -> int:
    """Judge the mutants that the command line asks for; 1 when something is to be done."""
    arguments = parsed()
    RESULTS.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    warm_up()
    try:
        judge = Judge(measure(RESULTS), RESULTS, arguments.jobs)
    except TestsFail as log:
        print(f"the unit tests fail on the handler as it is: {log}", file=sys.stderr)
        return 1
    known = read(HARMLESS)
    table = [row("module", _COLUMNS)]
    total = [0] * len(_COLUMNS)
    wrong = False
    for module in arguments.modules:
        file = RESULTS / f"{module}.toml"
        again = read(file) if arguments.survivors and file.exists() else None
        counts, survivors, outdated = judged(judge, module, known, again)
        write(file, survivors)
        if outdated and again is None:
            for key in sorted(outdated):
                print(f"no survivor, but still in {HARMLESS.name}: {key}", flush=True)
            wrong = True
        wrong = wrong or bool(survivors)
        table.append(row(module, counts))
        total = [sum(pair) for pair in zip(total, counts, strict=True)]
    table += [row("all", total), f"{time.monotonic() - began:.0f} s"]
    text = "\n".join(table)
    (RESULTS / "summary.txt").write_text(f"{text}\n")
    print(text)
    return 1 if wrong else 0


def parsed() -> argparse.Namespace:
    """Read the command line."""
    modules = [path.stem for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"]
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help="default: all")
    parser.add_argument("--jobs", type=int, default=1, help="test processes at a time")
    parser.add_argument("--survivors", action="store_true", help="only what survived the last run")
    arguments = parser.parse_args()
    if unknown := set(arguments.modules) - set(modules):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    arguments.modules = arguments.modules or modules
    return arguments


def judged(
    judge: Judge, module: str, known: set[Key], again: set[Key] | None
) -> tuple[list[int], list[Key], set[Key]]:
    """Judge a module's mutants: the row of the table, the survivors, what is wrongly known.

    Parameters
    ----------
    judge
        Runs the tests.
    module
        The module's name.
    known
        Survivors that do no harm.
    again
        The mutants to judge; None for all.
    """
    mutants: Iterable[Mutant] = mutants_of(PACKAGE / f"{module}.py")
    if again is not None:
        mutants = (mutant for mutant in mutants if mutant.key in again)
    count = dict.fromkeys(Verdict, 0)
    survivors: list[Key] = []
    harmless: set[Key] = set()
    for mutant, verdict in judge.verdicts(mutants):
        count[verdict] += 1
        if verdict is not Verdict.SURVIVED:
            continue
        if mutant.key in known:
            harmless.add(mutant.key)
        else:
            survivors.append(mutant.key)
            print(f"survived: line {mutant.lines.start} of {mutant.key}", flush=True)
    ours = {key for key in known if key.where.split(".", 1)[0] == module}
    row = [sum(count.values()), count[Verdict.KILLED], count[Verdict.TIMEOUT]]
    return [*row, len(harmless), len(survivors)], survivors, ours - harmless


def row(name: str, cells: Iterable[object]) -> str:
    """One line of the summary."""
    return f"{name:18}" + "".join(f"{cell!s:>10}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
