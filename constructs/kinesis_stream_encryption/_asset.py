"""The Lambda code asset: the handler and the crhelper installed beside this library."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import jsii
from aws_cdk import AssetHashType, BundlingOptions, DockerImage, ILocalBundling
from aws_cdk import aws_lambda as lambda_

__all__ = ["HANDLER", "handler_code"]

HANDLER = "stream_encryption.handler.on_event"

_PACKAGES = ("stream_encryption", "crhelper")
_GUARD = "stream_encryption/guard/"

# Lambda reads the files as another user than the one who made them: under a strict umask they
# would be unreadable there.
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


def handler_code(*, guard: bool) -> lambda_.AssetCode:
    """Bundle the handler, or the guard that is built on it, without Docker, network or pip.

    The asset hash is that of the files that are bundled, so that it is the same for every checkout,
    Python version, umask, and file system.
    """
    found = _sources(_handler_root(), _crhelper_root())
    # A change in the guard alone must not update the function of each encrypted stream.
    sources = {name: found[name] for name in found if guard or not name.startswith(_GUARD)}
    # CDK asks for an image even where a local bundler always does the work; it is never pulled.
    image = DockerImage.from_registry("scratch")
    return lambda_.Code.from_asset(
        str(_handler_root() / _PACKAGES[0]),
        asset_hash_type=AssetHashType.OUTPUT,
        bundling=BundlingOptions(image=image, local=_CopySources(sources)),
    )


@jsii.implements(ILocalBundling)
class _CopySources:
    """Write the given files into the folder that CDK stages."""

    def __init__(self, sources: dict[str, Path]) -> None:
        self._sources = sources

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        root = Path(output_dir)
        for name, source in self._sources.items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.parent.chmod(_DIRECTORY_MODE)
            target.write_bytes(_content(source))
            target.chmod(_FILE_MODE)
        return True


def _sources(*roots: Path) -> dict[str, Path]:
    """Map each name inside the asset to its file, ordered by name."""
    files = {
        path.relative_to(root).as_posix(): path
        for package, root in zip(_PACKAGES, roots, strict=True)
        for path in (root / package).rglob("*.py")
    }
    return dict(sorted(files.items()))


def _content(path: Path) -> bytes:
    # Git may check sources out with CRLF; the asset must not depend on that.
    return path.read_bytes().replace(b"\r\n", b"\n")


def _handler_root() -> Path:
    # Not resolved: build systems link each file to a store of their own.
    here = Path(__file__).absolute()
    # The wheel carries the handler inside the package; a checkout has it in lambda/.
    candidates = (here.parent / "_lambda", here.parents[2] / "lambda")
    for candidate in candidates:
        if (candidate / _PACKAGES[0]).is_dir():
            return candidate
    searched = " and ".join(map(str, candidates))
    raise RuntimeError(
        f"the Lambda handler {_PACKAGES[0]!r} is missing (searched {searched}): "
        "reinstall cdk-kinesis-stream-encryption"
    )


def _crhelper_root() -> Path:
    # Not by import: an app may have a module of that name.
    name = _PACKAGES[1]
    try:
        root = Path(str(distribution(name).locate_file(""))).absolute()
    except PackageNotFoundError:
        root = None
    if root is None or not (root / name).is_dir():
        raise RuntimeError(
            "crhelper is missing, which the Lambda function needs to respond to CloudFormation: "
            "reinstall cdk-kinesis-stream-encryption with its dependencies, unzipped"
        )
    return root
