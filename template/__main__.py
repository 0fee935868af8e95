"""`make template`: the templates and the code of the handler, in build/template or a given folder.

provider.yaml             for `aws cloudformation package`, with the code next to it
provider-by-region.yaml   for StackSets, with the code in a bucket of each Region
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
      Prefix of the names of the buckets that contain the code of the function. In each Region, the
      name is this prefix, "-", and the Region.
  CodeKey:
    Type: String
    Default: {key}
    Description: Key of the code in those buckets
"""

# The earliest time of a zip archive: the same files result in the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(target: Path) -> str:
    """Write all files to `target`; return the S3 key of the code for StackSets."""
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
    """Zip the asset that the construct deploys."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(outdir=folder)
        KinesisStreamEncryptionProvider(Stack(app, "Stack"), "Provider")
        (asset,) = Path(app.synth().directory).glob("asset.*")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(asset.rglob("*.py")):
                entry = zipfile.ZipInfo(path.relative_to(asset).as_posix(), _TIME)
                # Lambda reads the files as another user than their owner.
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                packed.writestr(entry, path.read_bytes())


def _replaced(text: str, old: str, new: str) -> str:
    before, found, after = text.partition(old)
    if not found:
        raise ValueError(f"{SOURCE.name} does not contain {old!r}")
    return before + new + after


def main() -> None:
    """Write the files and print their purpose."""
    target = Path(sys.argv[1]) if sys.argv[1:] else TARGET
    key = write(target)
    print(f"{target}:")
    print("  provider.yaml            for aws cloudformation package and deploy")
    print("  provider-by-region.yaml  for StackSets; upload the code to")
    print(f"                           s3://<CodeBucketPrefix>-<region>/{key}")
    print("  handler.zip              the code")
    print("next steps: docs/other-languages.md")


if __name__ == "__main__":
    main()
