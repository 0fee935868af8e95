"""The output of `make template`."""

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from local_aws import folders


@dataclass(frozen=True)
class Written:
    """The files of the output, in `folder`."""

    folder: Path

    @property
    def template(self) -> str:
        """The template for StackSets."""
        return (self.folder / "provider-by-region.yaml").read_text()

    @property
    def archive(self) -> Path:
        """The code."""
        return self.folder / "handler.zip"

    @property
    def key(self) -> str:
        """S3 key of the code in the template."""
        return self._setting("Default", r"\S+\.zip")

    @property
    def handler(self) -> str:
        """Entry point of the code."""
        return self._setting("Handler", r"\S+")

    def unpack(self, target: Path) -> Path:
        """Unpack the code, as Lambda does."""
        with zipfile.ZipFile(self.archive) as archive:
            archive.extractall(target)
        return target

    def _setting(self, name: str, pattern: str) -> str:
        (value,) = re.findall(rf"^ +{name}: ({pattern})$", self.template, re.MULTILINE)
        return str(value)


def write(folder: Path) -> Written:
    """Run `make template` with `folder` as its output folder."""
    command = [sys.executable, "-m", "template", str(folder)]
    subprocess.run(command, cwd=folders.PROJECT, check=True, capture_output=True)
    return Written(folder)
