"""`python -m acceptance`: says what it will do, asks, does it, cleans up and reports."""

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

from acceptance import belongings, questions
from acceptance.aws import AcceptError, Aws
from acceptance.probe import probe
from acceptance.questions import Questions
from acceptance.recorder import record
from acceptance.report import Report
from acceptance.rights import ask_for_rights
from acceptance.story import hand_over, tell_story
from local_aws import CdkError, folders, process
from local_aws.demo import DemoError

Part = tuple[Callable[[Aws, Report], None], Questions]

_PROBE = """\
- {0}-probe: a stream of one shard, two keys and an alias. API calls only, nothing is deployed.
  Less than 0.10 USD: a shard is 0.02 USD an hour, a key 1 USD a month until it is scheduled for
  deletion, with the shortest window there is. Some two minutes.
"""
_QUOTA = """\
- as many key changes of that stream as AWS allows in 24 hours, 30 at most. Five minutes.
"""
_REST = """\
- {0}-rights: a stream, two keys, an alias, and a role that may use these.
- {0}-recorder: a stack with a function, a role and a log group.
- {0}-story, {0}-hand-over: a stream and a stack each, by the CDK CLI, and four keys.
  Less than 0.20 USD. Some twenty minutes. What the CLI uploads stays in the bootstrap bucket.
"""
_ERRORS = (
    *(AcceptError, BotoCoreError, ClientError),
    *(CdkError, DemoError, process.CommandTimeoutError),
)
# A file with the rows that the AWS at hand cannot show, and the reasons: a local AWS names it.
_NOT_SHOWN = "ACCEPT_NOT_SHOWN"


def main() -> int:
    """Run the command and return its exit status: 0 if all that can be seen is as assumed."""
    process.exit_on_signals()
    options = _parser().parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="accept-") as folder:
            aws = Aws.of_the_shell(options.clean or options.prefix, Path(folder))
            return _clean(aws, options) if options.clean else _accept(aws, options)
    except _ERRORS as error:
        _say(f"make accept: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m acceptance", description=__doc__)
    prefix = f"accept-{secrets.token_hex(3)}"
    parser.add_argument("--prefix", default=prefix, help="of all names (default: a new one)")
    parser.add_argument("--probe", action="store_true", help="API calls only, no deployment")
    parser.add_argument("--quota", action="store_true", help="spend a stream's key changes, too")
    parser.add_argument("--clean", metavar="PREFIX", help="remove what a killed run has left")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--folder", type=Path, default=folders.PROJECT / "build" / "accept")
    return parser


def _parts(options: argparse.Namespace) -> tuple[str, list[Part]]:
    """What is to be done, in words and in functions."""
    words, asked = _PROBE, questions.PROBE
    if options.quota:
        words, asked = words + _QUOTA, asked | questions.QUOTA
    parts: list[Part] = [(partial(probe, quota=options.quota), asked)]
    if not options.probe:
        words += _REST
        parts += [(ask_for_rights, questions.RIGHTS), (record, questions.EVENTS)]
        parts += [(tell_story, questions.STORY), (hand_over, questions.HAND_OVER)]
    return words, parts


def _accept(aws: Aws, options: argparse.Namespace) -> int:
    if not options.probe:
        aws.check_bootstrap()
    if found := ", ".join(belongings.find(aws)):
        raise AcceptError(f"{found}: there already; take another PREFIX, or CLEAN={aws.prefix}")
    words, parts = _parts(options)
    _say(f"In account {aws.account}, region {aws.region}, this makes, and then removes:")
    _say(words.format(aws.prefix))
    if not _agreed(options):
        return 1
    report = _report(aws)
    for _, asked in parts:
        report.expect(asked)
    try:
        for part, _ in parts:
            try:
                part(aws, report)
            except _ERRORS as error:
                report.trouble(f"{error}")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        _say(f"\ncleaning up; if this is killed too: make accept CLEAN={aws.prefix}")
        try:
            belongings.remove(aws, _say)
        finally:
            report.write(options.folder)
            _say(f"\n{report.table()}\n\nalso in {options.folder}: report.md and report.json")
    if report.open:
        _say(f"not as assumed: {', '.join(report.open)}; see docs/aws-evidence.md")
    return 1 if report.open or report.troubles else 0


def _report(aws: Aws) -> Report:
    file, endpoint = os.environ.get(_NOT_SHOWN), aws.client("kinesis").meta.endpoint_url
    about = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {aws.region}, {endpoint}"
    return Report(about, aws.account, json.loads(Path(file).read_text()) if file else {}, _say)


def _clean(aws: Aws, options: argparse.Namespace) -> int:
    found = belongings.find(aws)
    _say("\n".join(found) or "nothing is left")
    if not found:
        return 0
    if not _agreed(options):
        return 1
    belongings.remove(aws, _say)
    return 0


def _agreed(options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    with suppress(EOFError):
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    return False


def _say(line: str) -> None:
    with suppress(OSError):  # a closed terminal must not keep anything from being removed
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
