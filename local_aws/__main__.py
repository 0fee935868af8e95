"""`python -m local_aws up | down | run`."""

import argparse
import shlex
import sys
from datetime import timedelta
from pathlib import Path

from local_aws import folders, process
from local_aws.background import Background, BackgroundError, State
from local_aws.cdk import CdkError

# Settings of the user that would take precedence over the exported ones.
_UNSET = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")


def main() -> int:
    """Run the command and return its exit status."""
    options = _parser().parse_args()
    background = Background(options.folder)
    try:
        if options.command == "up":
            _print_exports(background.up(iam=options.iam, updating=options.updating))
            _remark("to stop it: make local-down")
        elif options.command == "down":
            _remark("stopped" if background.down() else "not running")
        else:
            process.exit_on_signals(with_parent=not options.detached)
            background.serve(iam=options.iam, updating=options.updating, on_ready=_print_exports)
    except (BackgroundError, process.ServiceError, process.CommandTimeoutError, CdkError) as error:
        _remark(str(error))
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
        help="folder of the state file; there is one instance per folder",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start in the background and print the variables to export")
    run = commands.add_parser("run", help="run in the foreground until Ctrl-C")
    run.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    for starting in (up, run):
        starting.add_argument(
            "--iam", action="store_true", help="check permissions; encryption changes immediately"
        )
        starting.add_argument(
            "--updating",
            type=lambda text: timedelta(seconds=float(text)),
            default=timedelta(seconds=3),
            metavar="SECONDS",
            help="how long a stream stays UPDATING (default: 3)",
        )
    commands.add_parser("down", help="stop what `up` started")
    return parser


def _print_exports(state: State) -> None:
    """Print shell commands on stdout, for eval, and remarks on stderr."""
    tools = f"{folders.VENV_BIN}:{folders.NODE_MODULES / '.bin'}"
    print(f"unset {' '.join(_UNSET)}")
    print(f'export PATH={shlex.quote(tools)}:"$PATH"')
    for name, value in state.environment.items():
        print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    _remark(f"running and bootstrapped; logs are in {state.folder}")


def _remark(text: str) -> None:
    print(f"local AWS: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
