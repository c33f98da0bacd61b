"""The verb `replay`: a recorded run judged again from its bundle; nothing is started."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from harness.base.errors import ExitCode, UsageError
from harness.base.printing import say, show
from harness.cli.diagnose import exit_code
from harness.cli.ending import show_cause, show_result
from harness.cli.options import add_verbose
from harness.engine.replay import Replayed, diagnose_again, replay, replay_of
from harness.evidence.bundle import Bundle, read_bundle
from harness.evidence.recorder import reason_of, write_whole
from harness.report.files import REPORTS, write_reports
from harness.report.terminal import Narrator

# In a folder that a replay has written: what it is a replay of, and whether it came out the same.
REPLAY = "replay.json"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="bundle.tar.gz of a run, or of collect"
    )
    verb.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the reports; default: none are written",
    )
    add_verbose(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Judge the bundle again."""
    return replay_bundle(options.bundle, output=options.output, verbose=options.verbose)


def replay_bundle(path: Path, *, output: Path | None, verbose: bool = False) -> ExitCode:
    """Judge a recorded run again, print what it comes to, and write its reports to `output`.

    Returns `NOT_MET` when the replay comes to anything that the run did not. Of a bundle without a
    scenario the diagnosis is made again, and the exit code is that of `diagnose`.
    """
    bundle = read_bundle(path)
    if bundle.scenario is None:
        found = diagnose_again(bundle)
        show(replay_of(bundle))
        show_cause(found, verbose=verbose)
        return exit_code(found)
    if output is not None:
        _make_ready(output)
    replayed = replay(bundle, folder=output or path, emit=Narrator(verbose=verbose))
    if output is not None:
        _write(bundle, replayed, output)
    for note in replayed.notes:
        say(f"note: {note}")
    if not replayed.differences:
        say("the replay came to what the run came to")
    else:
        say("THE REPLAY CAME TO SOMETHING ELSE THAN THE RUN:")
    for difference in replayed.differences:
        say(f"  {difference.text()}")
    show_result(replayed.result, verbose=verbose)
    return ExitCode.NOT_MET if replayed.differences else ExitCode.OK


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
