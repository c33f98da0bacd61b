"""A seed of a few bytes: a k0s of text, and an image of layers that hide files of each other."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind, ArtifactRef, Origin
from harness.images.seed import Seed

# By layer: what is in it. `.wh.` is how an image says that a file below is gone, `.wh..wh..opq`
# that all of a folder is.
LAYERS = (
    {"etc/kept": "kept", "etc/gone": "gone", "opaque/gone": "gone"},
    {"etc/.wh.gone": "", "opaque/.wh..wh..opq": "", "opaque/new": "new"},
    {"etc/added": "added"},
)


def made_seed(folder: Path, text: str) -> Seed:
    """Return a seed with files in `folder`, another for each `text`."""
    k0s, bundle = folder / "k0s", folder / "bundle.tar"
    k0s.write_text(f"#!/bin/sh\necho {text}\n")
    bundle.write_bytes(_bundle())
    return Seed(_artifact(ArtifactKind.K0S, k0s), _artifact(ArtifactKind.BUNDLE, bundle))


def _artifact(kind: ArtifactKind, path: Path) -> Artifact:
    ref = ArtifactRef(kind, "v0.0.0", "amd64", path.name)
    return Artifact(ref, path, hashlib.sha256(path.read_bytes()).hexdigest(), Origin.OWN_BUILD, "")


def _bundle() -> bytes:
    """Return an image as `docker save` writes it."""
    layers = [_tar({name: text.encode() for name, text in files.items()}) for files in LAYERS]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers],
        },
    }
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["example.org/made:1"], "Layers": names}]
    return _tar(
        {
            **dict(zip(names, layers, strict=True)),
            "config.json": json.dumps(config).encode(),
            "manifest.json": json.dumps(manifest).encode(),
        }
    )


def _tar(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
