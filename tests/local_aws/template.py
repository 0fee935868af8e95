"""The function as `make template` writes it."""

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from local_aws import folders


@dataclass(frozen=True)
class Written:
    """Files that were written, in `folder`."""

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
        """Key under which the template expects the code."""
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

    def _setting(self, name: str, form: str) -> str:
        (found,) = re.findall(rf"^ +{name}: ({form})$", self.template, re.MULTILINE)
        return str(found)


def write(folder: Path) -> Written:
    """Write the files into `folder`."""
    command = [sys.executable, "-m", "template", str(folder)]
    subprocess.run(command, cwd=folders.PROJECT, check=True, capture_output=True)
    return Written(folder)
