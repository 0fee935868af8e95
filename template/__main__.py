"""`make template`: the templates and the handler's zip, in build/template or where it is said.

provider.yaml             as `aws cloudformation package` expects it, its code beside it
provider-by-region.yaml   for StackSets: its code in a bucket of each region
handler.zip               the code
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

from aws_cdk import App, Stack

from kinesis_stream_encryption import KinesisStreamEncryptionProvider

SOURCE = Path(__file__).with_name("provider.yaml")
TARGET = Path(__file__).parents[1] / "build" / "template"

_LOCAL_CODE = "      Code: handler.zip\n"
_CODE_BY_REGION = """\
      Code:
        S3Bucket: !Sub ${CodeBucketPrefix}-${AWS::Region}
        S3Key: !Ref CodeKey
"""
_CODE_PARAMETERS = """\
Parameters:
  CodeBucketPrefix:
    Type: String
    Description: >-
      What the names of the buckets that hold the function's code begin with: in each region, the
      one of that name and "-" and the region.
  CodeKey:
    Type: String
    Default: {key}
    Description: Key of the code in those buckets
"""

# The earliest that a zip archive can hold: the same files give the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(target: Path) -> str:
    """Write all files into `target`; the key under which StackSets expect the code."""
    target.mkdir(parents=True, exist_ok=True)
    archive = target / "handler.zip"
    _zip_code(archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
    key = f"kinesis-stream-encryption/{version('cdk-kinesis-stream-encryption')}-{digest}.zip"
    template = SOURCE.read_text()
    (target / "provider.yaml").write_text(template)
    by_region = _replaced(template, _LOCAL_CODE, _CODE_BY_REGION)
    by_region = _replaced(by_region, "Parameters:\n", _CODE_PARAMETERS.format(key=key))
    (target / "provider-by-region.yaml").write_text(by_region)
    return key


def _zip_code(archive: Path) -> None:
    """Pack the asset that the construct deploys."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(outdir=folder)
        KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
        (asset,) = Path(app.synth().directory).glob("asset.*")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(asset.rglob("*.py")):
                entry = zipfile.ZipInfo(path.relative_to(asset).as_posix(), _TIME)
                # Lambda reads the files as another user than the one who made them.
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(entry, path.read_bytes())


def _replaced(text: str, old: str, new: str) -> str:
    before, found, after = text.partition(old)
    if not found:
        raise ValueError(f"{SOURCE.name} has no {old!r}")
    return before + new + after


def main() -> None:
    """Write the files and say what to do with them."""
    target = Path(sys.argv[1]) if sys.argv[1:] else TARGET
    key = write(target)
    print(f"in {target}:")
    print("  provider.yaml            for aws cloudformation package and deploy")
    print("  provider-by-region.yaml  for StackSets, whose code is expected in")
    print(f"                           s3://<CodeBucketPrefix>-<region>/{key}")
    print("  handler.zip              that code")
    print("docs/other-languages.md says how to go on")


if __name__ == "__main__":
    main()
