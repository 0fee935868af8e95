"""`python -m acceptance`: shows its plan, asks, runs, removes what it created, and reports."""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from acceptance import assumptions, resources
from acceptance.assumptions import Assumptions
from acceptance.aws import AcceptError, Aws
from acceptance.permissions import check_permissions
from acceptance.probe import probe
from acceptance.recorder import record
from acceptance.report import Report
from acceptance.scenario import check_continuation, check_scenario
from local_aws import CdkError, folders, process
from local_aws.scenario import ScenarioError

Part = tuple[Callable[[Aws, Report], None], Assumptions]

_PROBE = """\
- {0}-probe: a stream with one shard, two keys, and an alias. API calls only, no deployment.
  Less than 0.10 USD: a shard costs 0.02 USD an hour, a key 1 USD a month until its deletion is
  scheduled, with the shortest waiting period. About two minutes.
"""
_QUOTA = """\
- as many key changes of that stream as AWS allows in 24 hours, 30 at most. Five minutes.
"""
_REST = """\
- {0}-permissions: a stream, two keys, an alias, and a role with permission to use them.
- {0}-recorder: a stack with a function, a role, and a log group.
- {0}-scenario, {0}-continuation: a stream and a stack each, by the CDK CLI, and four keys.
  Less than 0.20 USD. About twenty minutes. What the CLI uploads remains in the bootstrap bucket.
"""
_ERRORS = (
    *(AcceptError, BotoCoreError, ClientError),
    *(CdkError, ScenarioError, process.CommandTimeoutError),
)
# Path of a file with the rows that an emulator cannot show, and the reasons.
_NOT_SHOWN = "ACCEPT_NOT_SHOWN"


def main() -> int:
    """Run the command; the exit status is 0 if everything that can be shown is as assumed."""
    process.exit_on_signals()
    options = _parser().parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="accept-") as folder:
            aws = Aws.from_shell(options.clean or options.prefix, Path(folder))
            return _clean(aws, options) if options.clean else _accept(aws, options)
    except _ERRORS as error:
        _show(f"make accept: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m acceptance", description=__doc__)
    prefix = f"accept-{secrets.token_hex(3)}"
    parser.add_argument("--prefix", default=prefix, help="prefix of all names (default: random)")
    parser.add_argument("--probe", action="store_true", help="API calls only, no deployment")
    parser.add_argument("--quota", action="store_true", help="also use up the daily key changes")
    parser.add_argument("--clean", metavar="PREFIX", help="remove what a killed run left")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--folder", type=Path, default=folders.PROJECT / "build" / "accept")
    return parser


def _parts(options: argparse.Namespace) -> tuple[str, list[Part]]:
    """Return the plan, as text and as functions."""
    plan, rows = _PROBE, assumptions.PROBE
    if options.quota:
        plan, rows = plan + _QUOTA, rows | assumptions.QUOTA
    parts: list[Part] = [(partial(probe, quota=options.quota), rows)]
    if not options.probe:
        plan += _REST
        parts += [(check_permissions, assumptions.PERMISSIONS), (record, assumptions.EVENTS)]
        parts += [(check_scenario, assumptions.SCENARIO)]
        parts += [(check_continuation, assumptions.CONTINUATION)]
    return plan, parts


def _accept(aws: Aws, options: argparse.Namespace) -> int:
    if not options.probe:
        aws.check_bootstrap()
    if found := ", ".join(resources.find(aws)):
        raise AcceptError(f"already exists: {found}; use another PREFIX, or CLEAN={aws.prefix}")
    plan, parts = _parts(options)
    _show(f"In account {aws.account}, Region {aws.region}, this creates and then removes:")
    _show(plan.format(aws.prefix))
    if not _confirmed(options):
        return 1
    report = _report(aws)
    for _, rows in parts:
        report.expect(rows)
    try:
        for part, _ in parts:
            try:
                part(aws, report)
            except _ERRORS as error:
                report.error(f"{error}")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _show(f"\nremoving all resources; if this is killed too: make accept CLEAN={aws.prefix}")
        try:
            resources.remove(aws, _show)
        finally:
            report.write(options.folder)
            _show(f"\n{report.table()}\n\nalso in {options.folder}: report.md and report.json")
    if report.open:
        _show(f"not as assumed: {', '.join(report.open)}; see docs/aws-evidence.md")
    return 1 if report.open or report.errors else 0


def _report(aws: Aws) -> Report:
    file, endpoint = os.environ.get(_NOT_SHOWN), aws.client("kinesis").meta.endpoint_url
    about = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {aws.region}, {endpoint}"
    return Report(about, aws.account, json.loads(Path(file).read_text()) if file else {}, _show)


def _clean(aws: Aws, options: argparse.Namespace) -> int:
    found = resources.find(aws)
    _show("\n".join(found) or "nothing to remove")
    if not found:
        return 0
    if not _confirmed(options):
        return 1
    resources.remove(aws, _show)
    return 0


def _confirmed(options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    with suppress(EOFError):
        return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _show(line: str) -> None:
    with suppress(OSError):  # a closed terminal must not prevent the removal of resources
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
