"""Sdist and wheel, and environments that contain only the wheel and its requirements."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]

Install = Callable[..., Path]


class Distributions(NamedTuple):
    sdist: Path
    wheel: Path


@pytest.fixture(scope="session")
def project() -> dict[str, object]:
    """The `project` table of pyproject.toml."""
    found: dict[str, object] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture(scope="session")
def requirements(project: dict[str, list[str]]) -> dict[str, Requirement]:
    """Requirements of the project, by name."""
    return {each.name: each for each in map(Requirement, project["dependencies"])}


@pytest.fixture(scope="session")
def tracked() -> list[str]:
    """Names of the files in the repository."""
    listed = run("git", "-C", CHECKOUT, "ls-files", "-z").split("\0")
    return sorted(name for name in listed if name and (CHECKOUT / name).exists())


@pytest.fixture(scope="session")
def distributions(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """The distributions in `DIST`, set by `make dist`; otherwise those built here."""
    if "DIST" in os.environ:
        return found_in(CHECKOUT / os.environ["DIST"])
    return build(copy(tracked, tmp_path_factory.mktemp("source")), tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def wheel(distributions: Distributions) -> Path:
    return distributions.wheel


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """A function that installs the wheel into a new environment and returns its Python."""

    def make(*constraints: str, python: str = sys.executable) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        run(python, "-m", "venv", folder)
        inside = folder / "bin" / "python"
        run(inside, "-m", "pip", "install", "--quiet", "--no-compile", wheel, *constraints)
        return inside

    return make


@pytest.fixture(scope="session")
def newest(install: Install) -> Path:
    """Python of an environment with the newest releases that the wheel allows."""
    return install()


@pytest.fixture(scope="session")
def alone(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel, for the beginning of PYTHONPATH."""
    folder = tmp_path_factory.mktemp("alone")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*pip, "--target", folder, wheel)
    return folder


def copy(names: list[str], target: Path) -> Path:
    """Copy the tracked files, because a build in the checkout could include other files."""
    for name in names:
        source, copied = CHECKOUT / name, target / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copied)
        if os.access(source, os.X_OK):
            copied.chmod(copied.stat().st_mode | stat.S_IXUSR)
    return target


def build(source: Path, target: Path, **environment: str) -> Distributions:
    """Build as `make dist` does."""
    committed = run("git", "-C", CHECKOUT, "log", "-1", "--format=%ct").strip()
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, source),
        SOURCE_DATE_EPOCH=committed,
        **environment,
    )
    return found_in(target)


def found_in(folder: Path) -> Distributions:
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Distributions(sdist, wheel)


def run(*command: str | Path, **environment: str) -> str:
    """Run a command outside the checkout, without this environment's packages."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # jsii needs Node.js, which may only exist in this environment.
    clean["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    done = subprocess.run(
        list(map(str, command)),
        env=clean | environment,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
