"""Runs the unit tests on a mutant: in a process of its own, and only those that reach it."""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lambda" / "stream_encryption"
TESTS = ROOT / "tests" / "unit"

_SLOW = 75
"""Exit status of a test process in which a test takes far longer than it does otherwise."""

_PATIENCE = 180.0
"""Seconds after which a test process is given up, as one that waits for ever."""

_NEIGHBOURS = 10
"""How many of the tests that killed a mutant last are run before all others."""

_MEMORY = 4 << 30
_IMPORTED = ("boto3", "botocore.stub", "crhelper", "hypothesis.strategies", "urllib3", "json")


class Verdict(Enum):
    """What the tests say of a mutant."""

    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"


class Coverage:
    """Which lines each test reaches, and how long it takes.

    Parameters
    ----------
    lines
        By test, by module, the lines.
    seconds
        By test, its processor time.
    """

    def __init__(self, lines: dict[str, dict[str, list[int]]], seconds: dict[str, float]) -> None:
        self._lines = {
            test: {module: set(numbers) for module, numbers in modules.items()}
            for test, modules in lines.items()
        }
        self.seconds = seconds

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Tests that can notice a mutant, the fastest first."""
        reached = list(self.seconds)
        if mutant.function:
            # Of an expression that runs over several lines, some may have no code of their own.
            reached = self._reaching(mutant.module, mutant.lines) or self._reaching(
                mutant.module, mutant.function
            )
        return sorted(reached, key=self.seconds.__getitem__)

    def _reaching(self, module: str, lines: range) -> list[str]:
        return [
            test
            for test, modules in self._lines.items()
            if not modules.get(module, set()).isdisjoint(lines)
        ]


class TestsFail(Exception):
    """The tests do not pass on the handler as it is."""


def warm_up() -> None:
    """Import and make what each test process needs, but nothing of the handler."""
    settings.register_profile(
        "mutation", max_examples=20, phases=[Phase.explicit, Phase.generate], database=None
    )
    settings.load_profile("mutation")
    for name in _IMPORTED:
        importlib.import_module(name)
    boto3: Any = sys.modules["boto3"]
    for service in ("kinesis", "kms", "cloudformation", "events"):
        # What botocore has read of a service's model it keeps.
        boto3.client(service, region_name="x", aws_access_key_id="x", aws_secret_access_key="x")
    gc.collect()
    gc.freeze()


def measure(folder: Path) -> Coverage:
    """Run all tests on the handler as it is.

    Raises
    ------
    TestsFail
        When they do not pass.
    """
    result = folder / "coverage.json"
    recorder = _Recorder()

    def run() -> int:
        status = _pytest([str(TESTS)], recorder)
        result.write_text(json.dumps([recorder.lines, recorder.seconds]))
        return status

    _, status = os.waitpid(_forked(run, folder / "coverage.log"), 0)
    if status:
        raise TestsFail(folder / "coverage.log")
    return Coverage(*json.loads(result.read_text()))


@dataclass(frozen=True)
class _Trial:
    mutant: Mutant
    killer: Path
    began: float


class Judge:
    """Runs the tests on many mutants, some at a time.

    Parameters
    ----------
    coverage
        Which tests reach what.
    folder
        Takes what the tests print.
    jobs
        Processes at a time.
    """

    def __init__(self, coverage: Coverage, folder: Path, jobs: int) -> None:
        self._coverage = coverage
        self._folder = folder
        self._jobs = jobs
        self._trials: dict[int, _Trial] = {}
        self._places = [folder / f"job-{number}" for number in range(jobs)]
        self._killers: deque[str] = deque(maxlen=_NEIGHBOURS)

    def verdicts(self, mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, Verdict]]:
        """Judge mutants, in the order in which their tests end."""
        for mutant in mutants:
            tests = self._coverage.tests_of(mutant)
            if not tests:
                yield mutant, Verdict.SURVIVED
                continue
            if not self._places:
                yield self._next()
            self._start(mutant, tests)
        while self._trials:
            yield self._next()

    def _start(self, mutant: Mutant, tests: list[str]) -> None:
        # What has killed a mutant is likely to kill its neighbour.
        first = [test for test in self._killers if test in tests]
        order = list(dict.fromkeys([*first, *tests]))
        place = self._places.pop()
        killer = place.with_suffix(".killer")
        killer.write_text("")
        files = sorted({str(ROOT / test.split("::", 1)[0]) for test in tests})

        def run() -> int:
            sys.meta_path.insert(0, _Import(mutant))
            return _pytest(files, _Selection(order, self._coverage.seconds, killer))

        pid = _forked(run, place.with_suffix(".log"))
        self._trials[pid] = _Trial(mutant, killer, time.monotonic())

    def _next(self) -> tuple[Mutant, Verdict]:
        while True:
            for pid, trial in self._trials.items():
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    del self._trials[pid]
                    self._places.append(trial.killer.with_suffix(""))
                    self._remember(trial.killer.read_text())
                    return trial.mutant, _verdict(status)
                if time.monotonic() - trial.began > _PATIENCE:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _remember(self, killer: str) -> None:
        if killer in self._killers:
            self._killers.remove(killer)
        if killer:
            self._killers.appendleft(killer)


def _verdict(status: int) -> Verdict:
    code = os.waitstatus_to_exitcode(status)
    if code in (_SLOW, -signal.SIGKILL):
        return Verdict.TIMEOUT
    return Verdict.KILLED if code else Verdict.SURVIVED


def _forked(run: Callable[[], int], log: Path) -> int:
    """Run something in a process that shares what is imported; give its id."""
    pid = os.fork()
    if pid:
        return pid
    status = 70
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = run()
    finally:
        if error := sys.exception():
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _pytest(arguments: list[str], plugin: object) -> int:
    # Asserts as they are written need no rewriting, which takes longer than most tests.
    options = ["-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-o", "timeout=0"]
    return int(pytest.main([*options, "--rootdir", str(ROOT), *arguments], plugins=[plugin]))


class _Import(MetaPathFinder, Loader):
    """Imports a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != f"{PACKAGE.name}.{self._mutant.module}":
            return None
        return spec_from_loader(fullname, self, origin=str(PACKAGE / f"{self._mutant.module}.py"))

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        code = compile(self._mutant.code, str(module.__spec__.origin), "exec", dont_inherit=True)
        exec(code, module.__dict__)


class _Selection:
    """Runs some tests only, in an order, and each for a limited time.

    Parameters
    ----------
    tests
        The tests, in their order.
    seconds
        By test, the processor time it takes otherwise.
    killer
        File that takes the name of the test that fails.
    """

    def __init__(self, tests: list[str], seconds: dict[str, float], killer: Path) -> None:
        self._order = {test: i for i, test in enumerate(tests)}
        self._seconds = seconds
        self._killer = killer
        signal.signal(signal.SIGPROF, lambda _number, _frame: os._exit(_SLOW))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        # Processor time, so that a busy machine makes no difference.
        signal.setitimer(signal.ITIMER_PROF, 5 + 10 * self._seconds[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._killer.write_text(report.nodeid)


class _Recorder:
    """Notes which lines of the handler each test reaches."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[str, list[int]]] = {}
        self.seconds: dict[str, float] = {}
        self._seen: dict[str, set[int]] = defaultdict(set)
        self._ours: dict[str, bool] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._seen.clear()
        began = time.process_time()
        sys.settrace(self._call)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.seconds[item.nodeid] = time.process_time() - began
            self.lines[item.nodeid] = {
                Path(file).stem: sorted(lines) for file, lines in self._seen.items()
            }

    def _call(self, frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if file not in self._ours:
            self._ours[file] = Path(file).resolve().parent == PACKAGE
        return self._line if self._ours[file] else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        self._seen[frame.f_code.co_filename].add(frame.f_lineno)
        return self._line
