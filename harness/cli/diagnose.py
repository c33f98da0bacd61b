"""The verb `diagnose`: why the metrics API is unavailable, on a lab, any k0s cluster, a bundle."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import ExitCode, HostLacksError, UsageError
from harness.base.printing import say, show_json
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.untrusted import MIB, Limits, RefusedError, read_text, require_yaml_within
from harness.base.wait import SystemClock
from harness.cli.ending import show_cause
from harness.cli.next_step import suggest_run
from harness.cli.options import add_verbose, settings_of
from harness.cli.target import Target, add_target
from harness.cluster.kubectl import Kubectl
from harness.cluster.prober import Prober
from harness.diagnose import ladder, subject
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose_facts
from harness.diagnose.model import Diagnosis
from harness.engine.access import ClusterAccess, walk
from harness.evidence.reading import Reading
from harness.evidence.recorder import reason_of, redacted_reading
from harness.report import diagnosis as report
from harness.vocabulary.words import Cause

_DOING = "Diagnosing"
# One of many clusters, with the certificates in it.
_KUBECONFIG = Limits("a kubeconfig", most_bytes=2 * MIB)


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    add_target(verb)
    verb.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="any cluster: look at its API alone"
    )
    verb.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="a bundle of a run or of collect; nothing is asked of a cluster",
    )
    verb.add_argument(
        "--phase", metavar="NAME", help="a phase of the bundle's run; default: its last"
    )
    verb.add_argument(
        "--save", type=Path, metavar="FILE", help="write the readings, redacted, one a line"
    )
    verb.add_argument("--output", choices=("text", "json"), default="text", help="default: text")
    add_verbose(verb)


def command(options: argparse.Namespace) -> ExitCode:
    """Print the diagnosis of what the options name."""
    return show_diagnosis(
        settings_of(options),
        Target.of(options),
        kubeconfig=options.kubeconfig,
        bundle=options.bundle,
        phase=options.phase,
        save=options.save,
        as_json=options.output == "json",
        verbose=options.verbose,
    )


def show_diagnosis(
    settings: Settings,
    target: Target,
    *,
    kubeconfig: Path | None = None,
    bundle: Path | None = None,
    phase: str | None = None,
    save: Path | None = None,
    as_json: bool = False,
    verbose: bool = False,
) -> ExitCode:
    """Print the cause and what proves it; nothing is changed, and nothing is created.

    Returns `OK` for a healthy cluster, `NOT_MET` for a broken hop, `INFRASTRUCTURE` when not enough
    was seen. `phase` is of a recorded run, its last where none is named. `save` gets all that was
    read, redacted, one reading a line.
    """
    named = [each for each in (target.lab, target.k0sctl, kubeconfig, bundle) if each is not None]
    if len(named) > 1:
        raise UsageError(
            _DOING, "name one: a kept lab, --k0sctl FILE, --kubeconfig FILE or --bundle FILE"
        )
    if phase is not None and bundle is None:
        raise UsageError(_DOING, "--phase is of a recorded run: name its --bundle FILE, too")
    if bundle is not None:
        # The bundle's reader and what replays are wanted for bundles only.
        from harness.engine.replay import readings_of  # noqa: PLC0415
        from harness.evidence.bundle import read_bundle  # noqa: PLC0415

        readings: Sequence[Reading] = readings_of(read_bundle(bundle), phase)
    elif kubeconfig is not None:
        readings = _from_api(kubeconfig)
    else:
        with target.reach(settings, doing=_DOING) as found:
            readings = _from_cluster(found)
    if save is not None:
        _save(readings, save)
    facts = facts_from(readings)
    problem = subject.problem(facts)
    if problem is not None:
        raise problem
    found_cause = diagnose_facts(facts)
    if as_json:
        show_json(report.document(found_cause))
    else:
        show_cause(found_cause, verbose=verbose)
        suggest_run(found_cause.cause)
    return exit_code(found_cause)


def exit_code(found: Diagnosis) -> ExitCode:
    """Return how the verb ends."""
    if found.cause == Cause.HEALTHY:
        return ExitCode.OK
    if found.first_broken_hop is None:
        return ExitCode.INFRASTRUCTURE
    return ExitCode.NOT_MET


def _from_cluster(found: ClusterAccess) -> tuple[Reading, ...]:
    clock = SystemClock()
    say(f"looking at {found.on}")
    began = clock.monotonic()
    readings = walk(found, clock)
    say(f"{len(readings)} looks in {clock.monotonic() - began:.1f}s")
    return readings


def _from_api(kubeconfig: Path) -> tuple[Reading, ...]:
    binary = shutil.which("kubectl")
    if binary is None:
        raise HostLacksError(_DOING, "there is no kubectl on PATH", remedy="install kubectl")
    _require_kubeconfig(kubeconfig)
    clock = SystemClock()
    say("looking at the API only: hosts, their routes and logs cannot be seen (--k0sctl can)")
    prober = Prober(Kubectl(Path(binary), kubeconfig, LocalRunner()), {}, clock, clock.monotonic())
    return ladder.take(prober, (), (), in_lab=False)


def _require_kubeconfig(path: Path) -> None:
    """Raise `UsageError` unless `path` is a file that kubectl can be given without harm to it."""
    doing = f"Reading {path}"
    try:
        require_yaml_within(read_text(path, _KUBECONFIG), _KUBECONFIG)
    except OSError as error:
        why = error.strerror or str(error)
        raise UsageError(doing, why, remedy="name a kubeconfig") from None
    except RefusedError as error:
        raise UsageError(doing, str(error), remedy="name a kubeconfig") from None


def _save(readings: Sequence[Reading], path: Path) -> None:
    lines = [
        json.dumps(redacted_reading(each).to_dict(), ensure_ascii=False) + "\n" for each in readings
    ]
    try:
        path.write_text("".join(lines))
    except OSError as error:
        raise UsageError(
            f"Saving what was read to {path}", reason_of(error), remedy="name another file"
        ) from error
    say(f"{len(lines)} readings, redacted, are in {path}")
