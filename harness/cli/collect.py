"""The verb `collect`: evidence of a cluster into one file."""

from __future__ import annotations

import argparse
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.cli.options import settings_of
from harness.cli.target import Target, add_target
from harness.diagnose.judge import diagnose
from harness.engine.access import ClusterAccess, walk
from harness.engine.collect import collect
from harness.evidence.bundle import META, write_bundle
from harness.evidence.recorder import Recorder
from harness.report.formatting import duration

_K0S_VERSION = re.compile(r"^k0s version: (v\S+)$", re.MULTILINE)


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_target(verb)
    verb.add_argument("--output", type=Path, metavar="FILE", help="the bundle to write, a .tar.gz")


def command(options: argparse.Namespace) -> ExitCode:
    """Collect the evidence of the cluster that the options name."""
    return collect_evidence(settings_of(options), Target.of(options), output=options.output)


def collect_evidence(settings: Settings, target: Target, *, output: Path | None) -> ExitCode:
    """Write a bundle of a cluster as it stands, and print its path; nothing is changed."""
    clock = SystemClock()
    began = clock.now()
    with (
        tempfile.TemporaryDirectory(prefix="k0s-harness-collect-") as scratch,
        target.reach(settings, doing="Collecting evidence") as found,
    ):
        folder = Path(scratch, "evidence")
        recorder = Recorder(folder)
        say(f"looking at {', '.join(found.remotes)} and at the API server")
        readings = walk(found, clock)
        for reading in readings:
            recorder.reading(reading)
        collect(
            found.remotes,
            found.roles,
            found.api,
            recorder,
            pace=found.pace,
            data_dirs=found.data_dirs,
        )
        for name, reason in found.unreachable.items():
            recorder.missing(f"nodes/{name}", reason)
        ended = clock.now()
        recorder.write_json(META, _meta(found, folder, began, ended))
        stamp = f"{began:%Y%m%d-%H%M%S}"
        path = output or Path(f"k0s-harness-{found.name}-{stamp}.tar.gz")
        written = write_bundle(folder, path)
        missing = recorder.missing_pieces
    diagnosis = diagnose(readings)
    say(f"cause: {diagnosis.cause} ({diagnosis.confidence} confidence)")
    took = duration((ended - began).total_seconds())
    say(f"{written.stat().st_size} bytes in {took}; {len(missing)} pieces could not be had")
    say("next: attach it to a bug report, or k0s-harness diagnose --bundle and its path:")
    show(str(written))
    return ExitCode.OK


def _meta(
    found: ClusterAccess, folder: Path, began: datetime, ended: datetime
) -> dict[str, object]:
    try:
        versions = (folder / f"nodes/{found.controller}/versions.txt").read_text()
    except OSError:
        versions = ""
    k0s = _K0S_VERSION.search(versions)
    return {
        "cluster": found.name,
        "started": began.astimezone(UTC).isoformat(timespec="seconds"),
        "ended": ended.astimezone(UTC).isoformat(timespec="seconds"),
        "substrate": found.on,
        "controller": found.controller,
        "roles": dict(found.roles),
        "versions": {"k0s": k0s[1]} if k0s is not None else {},
    }
