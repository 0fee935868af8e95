"""The Lambda code asset: the handler and the installed crhelper package."""

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

# Lambda reads the files as another user, which a strict umask would prevent.
_FILE_MODE = 0o644
_DIRECTORY_MODE = 0o755


def handler_code(*, guard: bool) -> lambda_.AssetCode:
    """Bundle the handler, with or without the guard, without Docker, network access, or pip.

    The asset hash depends on the bundled files only, so that it is the same in every checkout, and
    for every Python version, umask, and file system.
    """
    found = _sources(_handler_root(), _crhelper_root())
    # Without the guard, whose changes must not update the provider functions.
    sources = {name: found[name] for name in found if guard or not name.startswith(_GUARD)}
    # CDK requires an image, but never pulls it, because the local bundler always succeeds.
    image = DockerImage.from_registry("scratch")
    return lambda_.Code.from_asset(
        str(_handler_root() / _PACKAGES[0]),
        asset_hash_type=AssetHashType.OUTPUT,
        bundling=BundlingOptions(
            image=image,
            local=_CopySources(sources),
            # CDK reuses an asset of the same source and options, without regard to the bundler.
            environment={"GUARD": str(guard)},
        ),
    )


@jsii.implements(ILocalBundling)
class _CopySources:
    """Copies files into the folder that CDK stages."""

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
    """Map the name of each file in the asset to its source, sorted by name."""
    files = {
        path.relative_to(root).as_posix(): path
        for package, root in zip(_PACKAGES, roots, strict=True)
        for path in (root / package).rglob("*.py")
    }
    return dict(sorted(files.items()))


def _content(path: Path) -> bytes:
    # Git can check out files with CRLF, which must not change the asset.
    return path.read_bytes().replace(b"\r\n", b"\n")


def _handler_root() -> Path:
    # Not resolved, because build systems link the files to their caches.
    here = Path(__file__).absolute()
    # The handler is inside the package in a wheel, and in lambda/ in a checkout.
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
    # Not with an import, because an app can have a module of that name.
    name = _PACKAGES[1]
    try:
        root = Path(str(distribution(name).locate_file(""))).absolute()
    except PackageNotFoundError:
        root = None
    if root is None or not (root / name).is_dir():
        raise RuntimeError(
            "the package crhelper, which the Lambda function requires, is missing: "
            "reinstall cdk-kinesis-stream-encryption with its dependencies, unzipped"
        )
    return root
