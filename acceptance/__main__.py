"""`python -m acceptance`: says what it will do, asks, does it, cleans up and reports."""

import argparse
import json
import os
import secrets
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from acceptance import belongings, questions
from acceptance.account import AcceptError, Account
from acceptance.probe import probe
from acceptance.report import Report
from local_aws import folders, process

_PROBE = """\
- {0}-probe: a stream of one shard, two keys and an alias. API calls only, nothing is deployed.
  Less than 0.10 USD: a shard is 0.02 USD an hour, a key 1 USD a month until it is scheduled for
  deletion, with the shortest window there is. Some three minutes."""
_QUOTA = "- as many key changes of that stream as AWS allows in 24 hours, 30 at most. Five minutes."
# A file with the rows that the AWS at hand cannot show, and the reasons: a local AWS names it.
_NOT_SHOWN = "ACCEPT_NOT_SHOWN"


def main() -> int:
    """Run the command and return its exit status: 0 if all that can be seen is as assumed."""
    process.exit_on_signals()
    options = _parser().parse_args()
    try:
        account = Account.of_the_shell(options.clean or options.prefix)
        return _clean(account, options) if options.clean else _accept(account, options)
    except (AcceptError, BotoCoreError, ClientError) as error:
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


def _accept(account: Account, options: argparse.Namespace) -> int:
    if found := belongings.find(account):
        names = ", ".join(f"{each.kind} {each.name}" for each in found)
        raise AcceptError(
            f"{names} is there already: take another PREFIX, or CLEAN={account.prefix}"
        )
    _say(f"In account {account.number}, region {account.region}, this makes, and then removes:")
    _say(_PROBE.format(account.prefix))
    if options.quota:
        _say(_QUOTA)
    if not _agreed(options):
        return 1
    path, endpoint = os.environ.get(_NOT_SHOWN), account.client("kinesis").meta.endpoint_url
    report = Report(
        about=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {account.region}, {endpoint}",
        account=account.number,
        not_shown=json.loads(Path(path).read_text()) if path else {},
        on_answer=_say,
    )
    report.expect(questions.PROBE | (questions.QUOTA if options.quota else {}))
    try:
        probe(account, report, quota=options.quota)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        report.write(options.folder)
        _say(f"\n{report.table()}\n\nin {options.folder}/report.md and report.json; cleaning up")
        belongings.remove(account, _say)
    if report.open:
        _say(f"not as assumed: {', '.join(report.open)}; see docs/aws-evidence.md")
    return 1 if report.open else 0


def _clean(account: Account, options: argparse.Namespace) -> int:
    found = belongings.find(account)
    _say("\n".join(f"{each.kind} {each.name}" for each in found) or "nothing is left")
    if not found or not _agreed(options):
        return 0 if not found else 1
    belongings.remove(account, _say)
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
