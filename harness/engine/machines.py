"""From a run's plan to what the lab layer is asked to make, and what is told while it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.artifacts.model import Artifact, ArtifactKind
from harness.base.context import Say
from harness.base.settings import Settings
from harness.images.seed import seed_for
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
