"""The wheel, and environments that have it and nothing else of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

CHECKOUT = Path(__file__).parents[2]

Install = Callable[..., Path]


@pytest.fixture(scope="session")
def requirements() -> dict[str, Requirement]:
    """What the project declares to need, by name."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    return {each.name: each for each in map(Requirement, project["dependencies"])}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as a build in the checkout itself could pick up what lies around there."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        if (CHECKOUT / name).exists():
            shutil.copy(CHECKOUT / name, source)
    for name in ("constructs", "lambda"):
        shutil.copytree(CHECKOUT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", target, source)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Install the wheel into a new environment; its Python."""

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


def run(*command: str | Path, **environment: str) -> str:
    """Run a command outside the checkout, without this environment's packages."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # jsii needs a Node.js, which may be in this environment only.
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
