"""The verbs `collect` and `replay`: evidence of a cluster into one file, and judged from it."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from harness.base.context import Context
from harness.base.errors import ExitCode, UsageError
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.commands.consent import consent
from harness.commands.diagnose import exit_code
from harness.diagnose.judge import diagnose
from harness.engine.collect import collect
from harness.engine.place import Place, place, walk
from harness.engine.replay import Replayed, diagnose_again, replay, replay_of
from harness.evidence.bundle import META, Bundle, read_bundle, write_bundle
from harness.evidence.recorder import Recorder, reason_of, write_whole
from harness.report import diagnosis as diagnosis_report
from harness.report import summary
from harness.report.files import REPORTS, write_reports
from harness.report.terminal import Narrator
from harness.report.words import duration

# In a folder that a replay has written: what it is a replay of, and whether it came out the same.
REPLAY = "replay.json"
_K0S_VERSION = re.compile(r"^k0s version: (v\S+)$", re.MULTILINE)


def collect_evidence(
    settings: Settings,
    *,
    lab: str | None,
    k0sctl: Path | None,
    trust_ssh_options: bool = False,
    output: Path | None,
) -> ExitCode:
    """Write a bundle of a cluster as it stands, and print its path; nothing is changed.

    `trust_ssh_options` is the person's word for what the file would have ssh run or load here.
    """
    clock = SystemClock()
    runner = LocalRunner()
    began = clock.now()
    host = Context(runner, clock, settings)
    agree = consent(given=trust_ssh_options)
    with (
        tempfile.TemporaryDirectory(prefix="k0s-harness-collect-") as scratch,
        place(host, lab, k0sctl, doing="Collecting evidence", say=say, agree=agree) as found,
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
        target = output or Path(f"k0s-harness-{found.name}-{stamp}.tar.gz")
        written = write_bundle(folder, target)
        missing = recorder.missing_pieces
    diagnosis = diagnose(readings)
    say(f"cause: {diagnosis.cause} ({diagnosis.confidence} confidence)")
    took = duration((ended - began).total_seconds())
    say(f"{written.stat().st_size} bytes in {took}; {len(missing)} pieces could not be had")
    show(str(written))
    return ExitCode.OK


def replay_bundle(path: Path, *, output: Path | None) -> ExitCode:
    """Judge a recorded run again, print what it comes to, and write its reports to `output`.

    Returns `NOT_MET` when the replay comes to anything that the run did not. Of a bundle without a
    scenario the diagnosis is made again, and the exit code is that of `diagnose`.
    """
    bundle = read_bundle(path)
    if bundle.scenario is None:
        found = diagnose_again(bundle)
        show(f"{replay_of(bundle)}\n{diagnosis_report.render(found)}")
        return exit_code(found)
    if output is not None:
        _make_ready(output)
    replayed = replay(bundle, folder=output or path, emit=Narrator())
    if output is not None:
        _write(bundle, replayed, output)
    show(summary.render(replayed.result))
    for note in replayed.notes:
        say(f"note: {note}")
    if not replayed.differences:
        say("the replay came to what the run came to")
        return ExitCode.OK
    say("THE REPLAY CAME TO SOMETHING ELSE THAN THE RUN:")
    for difference in replayed.differences:
        say(f"  {difference.text()}")
    return ExitCode.NOT_MET


def _meta(found: Place, folder: Path, began: datetime, ended: datetime) -> dict[str, object]:
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


def _make_ready(output: Path) -> None:
    """Raise `UsageError` unless `output` is new, empty, or of an earlier replay."""
    doing = f"Writing the replay to {output}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()) and not (output / REPLAY).is_file():
            raise UsageError(
                doing, "there is something else in it", remedy="name a folder that is not there yet"
            )
        write_whole(output, REPLAY, "{}\n")
    except OSError as error:
        raise UsageError(doing, reason_of(error), remedy="name another folder") from error


def _write(bundle: Bundle, replayed: Replayed, output: Path) -> None:
    """Write the evidence as it came, the reports as they were made again, and what this is."""
    try:
        for name, text in bundle.pieces.items():
            # A replay makes its own.
            if name not in REPORTS:
                write_whole(output, name, text)
        about = {
            "replay_of": bundle.manifest.describe(),
            "bundle": bundle.path.name,
            "sha256": hashlib.sha256(bundle.path.read_bytes()).hexdigest(),
            "same": not replayed.differences,
            "differences": [each.text() for each in replayed.differences],
            "notes": list(replayed.notes),
        }
        write_whole(output, REPLAY, json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UsageError(
            f"Writing the replay to {output}", reason_of(error), remedy="name another folder"
        ) from error
    write_reports(replayed.result)
