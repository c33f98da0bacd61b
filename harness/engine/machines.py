"""From a run's plan to what the lab layer is asked to make, and what is told while it does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.base.context import Context, Say
from harness.base.settings import Settings
from harness.engine.events import StepId
from harness.engine.steps import Steps
from harness.host.needs import LabNeeds
from harness.images.seed import cannot_unpack, seed_for
from harness.lab.creation import bounds
from harness.lab.lab import Lab, bring_up
from harness.lab.reservation import reserve
from harness.plan.build import readdressed
from harness.plan.model import Plan
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.providers.substrate import LabRequest
from harness.providers.topology import MachineSpec


def machine_specs(plan: Plan) -> tuple[MachineSpec, ...]:
    """Return the machines that the lab layer is asked to make for `plan`."""
    return tuple(
        MachineSpec(each.name, each.role, each.address, each.cpus, each.memory_mib)
        for each in plan.machines
    )


def lab_needs(plan: Plan, settings: Settings) -> LabNeeds:
    """Return what the plan's lab asks of its host."""
    return LabNeeds(
        controllers=len(plan.machines) - len(plan.workers),
        workers=len(plan.workers),
        memory_mib=plan.memory_mib,
        k0s_version=str(plan.k0s_version),
        saved=settings.reuse and not settings.fresh,
    )


def lab_request(
    plan: Plan,
    choice: ProviderChoice,
    settings: Settings,
    artifacts: Mapping[ArtifactKind, Artifact],
    log_dir: Path,
) -> LabRequest:
    """Return what the lab layer is asked for: `plan`'s machines, on the provider of `choice`."""
    cluster = plan.scenario.cluster
    return LabRequest(
        machines=machine_specs(plan),
        log_dir=log_dir,
        seed=seed_for(settings, artifacts, boxed=provider(choice.provider).boxed),
        emulated=choice.emulated,
        same_nat_address=settings.same_nat_address or cluster.same_nat_address,
    )


def narrate_to(tell: Say) -> Callable[[str, str], None]:
    """Return what passes on the lab's narration without the details that Vagrant indents.

    It does so before a machine's name (`    worker0: …`) and after it (`==> worker0:  -- Cpus: …`).
    """

    def narrate(step: str, detail: str) -> None:
        if not detail.startswith(" ") and ":  -- " not in detail:
            tell(f"{step}: {detail.removeprefix('==> ')}" if detail else step)

    return narrate


def make_lab(
    plan: Plan,
    choice: ProviderChoice,
    *,
    artifacts: Mapping[ArtifactKind, Artifact],
    log_dir: Path,
    context: Context,
    steps: Steps,
) -> Lab:
    """Return `plan`'s machines, made as a step of their own on a subnet that is free.

    Raises `InfrastructureError` when they do not come up; then nothing of them is left.
    """
    request = lab_request(plan, choice, context.settings, artifacts, log_dir)
    of = [str(len(plan.machines)), choice.provider]
    with steps.step(StepId.MACHINES, sum(bounds(request).values()), of=of) as tell:
        if request.seed is None and context.settings.seed is None:
            reason = cannot_unpack()
            if reason is not None:
                tell(f"without k0s in them, which takes longer: {reason}")
        reservation = reserve(
            context,
            scenario=plan.scenario.name,
            provider=choice.provider,
            narrate=narrate_to(tell),
        )
        with contextlib.ExitStack() as unless_up:
            unless_up.enter_context(reservation)
            placed = readdressed(plan, reservation.subnet)
            request = lab_request(placed, choice, context.settings, artifacts, log_dir)
            lab = bring_up(reservation, request)
            unless_up.pop_all()
    return lab
