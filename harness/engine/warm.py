"""Warm labs: left standing by one command, for the next that begins in the same state.

A lab is left only when all that was changed has been taken back and the cluster has settled, with
its footprint beside it. It is taken only when everything that decides what it is made of is the
same and its footprint has not changed since; a lab that is not what it was is removed.

Where machines can be saved with their memory, that is done once, as soon as the new cluster has
settled. Nothing has to be taken back then: the lab is left turned off, whatever was done to it, and
restored for the next.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import harness
from harness.artifacts.model import Artifact, ArtifactKind
from harness.artifacts.store import Store
from harness.base import untrusted
from harness.base.context import Context, Say, silent
from harness.base.errors import HarnessError
from harness.base.own_files import write_own
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.base.shipped import SHIPPED
from harness.base.untrusted import MIB, Limits
from harness.changes import footprint
from harness.changes.footprint import Footprint
from harness.cluster.kubectl import Kubectl
from harness.cluster.prober import Prober
from harness.engine.ending import KEPT_FOR
from harness.engine.events import StepId
from harness.engine.machines import lab_needs, lab_request
from harness.engine.shared_lab import SharedLab, canonical, start_state
from harness.engine.steps import Steps
from harness.images.rootfs import BOXES
from harness.lab import kept, leftovers, saved
from harness.lab.lab import Lab
from harness.lab.listing import in_folder
from harness.lab.reservation import removing
from harness.plan.model import Plan
from harness.preflight.choice import choose_provider, problems
from harness.preflight.survey import survey
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.state.entries import LabEntry, LabState
from harness.state.records import KUBECONFIG, WARM

# The footprint of three machines is 120 facts and 60 kB.
_LIMITS = Limits("a warm lab", most_bytes=8 * MIB, most_levels=4, most_values=100_000)
# Of what is not as it was so much is told.
_TOLD = 3


@dataclass(frozen=True)
class _Left:
    """What stands in a warm lab's folder."""

    signature: str
    scenario: str
    at: str
    footprint: Footprint
    saved: str


def signature(
    plan: Plan,
    choice: ProviderChoice,
    context: Context,
    artifacts: Mapping[ArtifactKind, Artifact],
) -> str:
    """Return what two labs have in common only if they were made of the same, in the same way."""
    settings = context.settings
    seed = lab_request(plan, choice, settings, artifacts, Path()).seed
    made_of = {
        "start": start_state(plan).key,
        "artifacts": {kind.value: each.sha256 for kind, each in artifacts.items()},
        "provider": [choice.provider, choice.emulated],
        "where": [settings.libvirt_uri, settings.pool, settings.driver],
        "same_nat_address": settings.same_nat_address,
        "seed": None if seed is None else seed.key,
        "box": [settings.box_url, settings.box_sha256],
        "harness": _harness(),
    }
    return hashlib.sha256(canonical(made_of).encode()).hexdigest()


def may_be_left(shared: SharedLab) -> bool:
    """Whether the next command can take the lab: what it was is known, and it is on this host."""
    known = shared.footprint is not None or bool(shared.saved)
    return known and not shared.lab.record.elsewhere


def leave(shared: SharedLab, plan: Plan, context: Context) -> str:
    """Leave the lab standing for the next command; return until when, in words."""
    facts = {} if shared.footprint is None else shared.footprint.facts
    if shared.saved:
        # Emulated machines with nothing to do take half a core and all their memory.
        saved.stop(shared.lab, context)
    until = context.clock.now() + KEPT_FOR
    left = {
        "signature": signature(plan, shared.choice, context, shared.artifacts),
        "scenario": shared.scenario,
        "at": context.clock.now().isoformat(timespec="seconds"),
        "footprint": [[*key, value] for key, value in facts.items()],
        "saved": shared.saved,
    }
    write_own(shared.lab.folder / WARM, json.dumps(left))
    shared.lab.keep(until)
    return (
        f"lab {shared.lab.run_id} stays until {until.isoformat(timespec='minutes')} for the next "
        f"run with REUSE=1 that begins alike; k0s-harness labs --clean {shared.lab.run_id} removes "
        "it before"
    )


def find(plan: Plan, context: Context, tell: Say) -> SharedLab | None:
    """Return a lab that was left in the state in which `plan` begins, None where there is none."""
    left = list(_left(context))
    if not left:
        tell("no lab was left for another run")
        return None
    settings = context.settings
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Beside one another: checksums, and what this host's programs say of it.
        provided = pool.submit(Store(settings, clock=context.clock).provide, plan.artifacts)
        # Vagrant takes half a second to say its version, by which machines can be started.
        versions = any(was.saved for _, was in left)
        host = survey(context.runner, settings, os.environ, versions=versions)
        choice = choose_provider(host, settings.provider)
        artifacts = provided.result()
    wanted = signature(plan, choice, context, artifacts)
    seed = lab_request(plan, choice, settings, artifacts, Path()).seed
    for folder, was in left:
        if was.signature != wanted:
            continue
        # Machines that are off have none of this host's memory yet.
        lacks = problems(host, choice.provider, lab_needs(plan, settings)) if was.saved else ()
        if lacks:
            tell(f"lab {folder.name} cannot be restored now: {lacks[0].happened}")
            continue
        lab = kept.take_over(context, folder, seed=seed, narrate=silent, off=bool(was.saved))
        if lab is None:
            continue
        # A person who keeps it from now on is not to lose it to the next command.
        (folder / WARM).unlink()
        assert lab.reservation is not None
        with removing(lab.reservation):
            differs = "" if was.saved else _differences(was.footprint, lab, artifacts, context)
        if not differs:
            tell(f"lab {lab.run_id}, as {was.scenario} left it at {was.at}")
            return SharedLab(
                scenario=f"{was.scenario} (lab {lab.run_id}, left at {was.at})",
                start=start_state(plan),
                choice=choice,
                lab=lab,
                artifacts=artifacts,
                # Nobody watched it: it has to settle as one that is only just there.
                endpoint_ready=None,
                footprint=was.footprint,
                saved=was.saved,
            )
        tell(f"lab {lab.run_id} is not as it was left and goes: {differs}")
        lab.destroy()
    tell("no lab was left in the state in which this one begins")
    return None


def saves(lab: Lab, settings: Settings) -> bool:
    """Whether the machines are to be saved, for the next scenario or command that begins alike."""
    can = provider(lab.record.provider).keeps_memory and not lab.record.elsewhere
    return settings.reuse and not settings.fresh and can


def save(lab: Lab, context: Context, steps: Steps) -> tuple[str, tuple[str, ...]]:
    """Save a cluster that has settled; return when, or nothing and what to tell of a failure."""
    at = context.clock.now().isoformat(timespec="seconds")
    try:
        with steps.step(StepId.SAVE):
            saved.save(lab, context)
    except HarnessError as error:
        return "", (f"the machines are not saved: {error}",)
    return at, ()


def restore(lab: Lab, context: Context, steps: Steps) -> tuple[str, ...]:
    """Restore what was saved; where that fails remove the lab, and return what to tell of it."""
    try:
        with steps.step(StepId.RESTORE):
            saved.restore(lab, context)
    except HarnessError as error:
        lab.destroy()
        return (f"the machines are new, for those that were left are not restored: {error}",)
    return ()


def make_room(context: Context, tell: Say) -> bool:
    """Remove the warm labs that run, which may go at any time; return whether there were some."""
    names = [RunId(folder.name) for folder, left in _left(context) if not left.saved]
    if names:
        tell(f"removes what was left for other runs: {', '.join(names)}")
        leftovers.clean(context, silent, named=names)
    return bool(names)


def _left(context: Context) -> Iterator[tuple[Path, _Left]]:
    for entry in in_folder(context.settings.labs_dir, context.clock.now()):
        found = _read(entry)
        if found is not None and entry.folder is not None:
            yield entry.folder, found


def _read(entry: LabEntry) -> _Left | None:
    if entry.state is not LabState.KEPT or entry.folder is None:
        return None
    try:
        text = untrusted.read_text(entry.folder / WARM, _LIMITS, own=True)
        value = untrusted.json_value(text, _LIMITS)
        facts = {(str(a), str(b), str(c)): str(d) for a, b, c, d in value["footprint"]}
        named = {name: str(value[name]) for name in ("signature", "scenario", "at", "saved")}
        return _Left(**named, footprint=Footprint(facts))
    except (OSError, ValueError, TypeError, KeyError):
        # One that is kept for a person, or of an older harness.
        return None


def _differences(
    before: Footprint,
    lab: Lab,
    artifacts: Mapping[ArtifactKind, Artifact],
    context: Context,
) -> str:
    """Return what is not as it was, nothing where all is."""
    remotes = {name: lab.remote(name) for name in lab.machines}
    kubectl = Kubectl(
        artifacts[ArtifactKind.KUBECTL].path,
        lab.folder / KUBECONFIG,
        context.runner,
        pace=lab.pace,
    )
    prober = Prober(kubectl, remotes, context.clock, context.clock.monotonic(), pace=lab.pace)
    try:
        now = footprint.from_readings(remotes, prober.take(footprint.probes(remotes)))
    except HarnessError as unread:
        return str(unread)
    return "; ".join(footprint.differences(before, now)[:_TOLD])


def _harness() -> str:
    """Return what two harnesses have in common only if they make the same labs."""
    digest = hashlib.sha256(harness.__version__.encode())
    source = Path(harness.__file__).parent
    files = [*source.rglob("*.py"), *BOXES.rglob("*"), SHIPPED / "Vagrantfile"]
    for path in sorted(each for each in files if each.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()
