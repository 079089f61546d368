"""The package that is kept to compare with: what a change does to it is seen, and meant.

``python -m tests.pipelines.packages`` renews it; look at the difference before it goes in.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from pipelines.compiling import compile_pipeline
from pipelines.platform import Platform

GOLDEN = Path(__file__).parent / "golden" / "lstfill.yaml"
RENEW = "python -m tests.pipelines.packages"
# Of no version: a release changes every image, and nothing else.
PLATFORM = Platform().with_images(registry="registry.example.org/science", tag="0.0.0")


def compiled(platform: Platform = PLATFORM) -> list[dict[str, Any]]:
    """The documents of the compiled package: the pipeline, and its platform."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lstfill.yaml"
        compile_pipeline(platform, path)
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def comparable(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents without the version of the compiler."""
    return [{key: value for key, value in document.items() if key != "sdkVersion"} for document in documents]


def renew() -> None:
    """Writes the package that is kept."""
    GOLDEN.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump_all(comparable(compiled()), sort_keys=True, width=120, allow_unicode=True)
    GOLDEN.write_text(f"# Renewed by: {RENEW}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    renew()
