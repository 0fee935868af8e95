"""`python -m local_aws up | down | run`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from local_aws import folders, process
from local_aws.background import Background, BackgroundError, State
from local_aws.cdk import CdkError

# Settings of the caller's that would outrank the exported ones.
_OVERRULING = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args(arguments)
    background = Background(options.folder)
    try:
        if options.command == "up":
            _show(background.up(iam=options.iam, updating=options.updating))
            _say("stop it by: make local-down")
        elif options.command == "down":
            _say("stopped" if background.down() else "nothing is running")
        else:
            process.exit_on_signals(with_parent=not options.detached)
            background.serve(iam=options.iam, updating=options.updating, on_ready=_show)
    except (BackgroundError, process.ServiceError, process.CommandTimeoutError, CdkError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        default=folders.INSTALLED,
        help="where the state of the running instance is kept: one instance per folder",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start in the background; prints what to export")
    run = commands.add_parser("run", help="start here and stay until Ctrl-C")
    run.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    for starting in (up, run):
        starting.add_argument(
            "--iam",
            action="store_true",
            help="check rights; a stream then changes in an instant",
        )
        starting.add_argument(
            "--updating",
            type=_seconds,
            default=timedelta(seconds=3),
            metavar="SECONDS",
            help="how long a stream stays UPDATING (default: 3)",
        )
    commands.add_parser("down", help="stop what `up` started")
    return parser


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))


def _show(state: State) -> None:
    """Print shell commands on stdout, for eval, and remarks on stderr."""
    tools = f"{folders.VENV_BIN}:{folders.NODE_MODULES / '.bin'}"
    print(f"unset {' '.join(_OVERRULING)}")
    print(f'export PATH={shlex.quote(tools)}:"$PATH"')
    for name, value in state.environment.items():
        print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    _say(f"up and bootstrapped, logs in {state.folder}")


def _say(remark: str) -> None:
    print(f"local AWS: {remark}", file=sys.stderr, flush=True)
