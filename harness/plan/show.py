"""What `k0s-harness plan` prints: all that would be built and expected, before any of it is."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.changes.deployment import Deployment, k0sctl_steps
from harness.plan.k0sctl import render
from harness.plan.model import MachinePlan, PhasePlan, Plan, PlannedExpectation
from harness.vocabulary.cluster_config import PRIVATE_INTERFACE

_NAT_INTERFACE = "eth0"
_ON_EVERY_MACHINE = (
    f"on every machine, before k0s is there: a packet filter table silently drops and counts what "
    f"leaves through {_NAT_INTERFACE}, except replies of SSH, and DHCP"
)


@dataclass(frozen=True)
class _LaterEndpoint:
    """An endpoint of a machine that is not there yet."""

    address: str
    key_path: Path
    port: int = 22
    user: str = "vagrant"


def describe(plan: Plan) -> str:
    """Return the whole plan as text for people, without a trailing newline.

    What only the run knows (keys, cached files) stands in angle brackets.
    """
    sections = [
        [f"{plan.scenario.name}: {plan.scenario.title}", *_references(plan)],
        ["Machines", *_indented(_machines(plan))],
        ["Network", *_indented(_network(plan))],
        ["Isolation", *_wrapped(_ON_EVERY_MACHINE), *_wrapped(plan.provider.isolation)],
        ["Artifacts", *_indented(_artifacts(plan))],
        ["Phases", *_indented(_phases(plan))],
        [f"k0sctl.yaml of phase {plan.phases[0].name}", *_indented(_k0sctl(plan))],
    ]
    return "\n\n".join("\n".join(section) for section in sections)


def _references(plan: Plan) -> Iterator[str]:
    yield from plan.scenario.references
    yield f"from {plan.path}, k0s {plan.k0s_version}"


def _machines(plan: Plan) -> Iterator[str]:
    yield f"{len(plan.machines)} {plan.provider.machines}; {plan.memory_mib} MiB in all"
    width = max(11, *(len(machine.role) for machine in plan.machines))
    for machine in plan.machines:
        size = f"{machine.cpus} CPU{'' if machine.cpus == 1 else 's'}, {machine.memory_mib} MiB"
        yield f"{machine.name:<12} {machine.role:<{width}} {machine.address:<15} {size}"


def _network(plan: Plan) -> Iterator[str]:
    yield f"{_NAT_INTERFACE}  NAT, from the provider: the way Vagrant reaches a new machine"
    yield f"{PRIVATE_INTERFACE}  private network {plan.subnet}: the cluster, and SSH from this host"
    yield "each run chooses a subnet that is free then, so it may be another one"


def _artifacts(plan: Plan) -> Iterator[str]:
    for artifact in plan.artifacts:
        yield f"{artifact.kind:<8} {artifact.version:<16} {artifact.file_name}"


def _phases(plan: Plan) -> Iterator[str]:
    before = None
    for phase in plan.phases:
        yield from _phase(phase, before)
        before = phase.deployment


def _phase(phase: PhasePlan, before: Deployment | None) -> Iterator[str]:
    disabled = ", ".join(sorted(phase.disabled_components)) or "no component"
    yield f"{phase.name} (line {phase.line}): {disabled} disabled"
    for change in phase.changes:
        yield f"  change  {change.describe()}; undo: {change.undo}"
    for step in k0sctl_steps(before, phase.deployment):
        yield f"  k0sctl  {step}"
    for planned in phase.expectations:
        yield f"  expect  {_line(planned)}"
    for planned in phase.skipped:
        yield f"  left out, for `{planned.expectation.when}` does not hold: {_line(planned)}"


def _line(planned: PlannedExpectation) -> str:
    expectation = planned.expectation
    return (
        f"{planned.id:<12} {expectation.describe()}; {expectation.describe_times()} "
        f"(line {planned.line})"
    )


def _k0sctl(plan: Plan) -> list[str]:
    files = {str(artifact.kind): artifact.file_name for artifact in plan.artifacts}
    return render(
        plan,
        endpoints={machine.name: _later(machine) for machine in plan.machines},
        deployment=plan.phases[0].deployment,
        binary=Path(f"<verified {files.get('k0s', 'k0s')}>"),
        bundle=Path(f"<verified {files.get('bundle', 'image bundle')}>"),
        nat_addresses={
            machine.name: f"<NAT address of {machine.name}>" for machine in plan.machines
        },
        restrict_oom_score=not plan.provider.own_kernel,
    ).splitlines()


def _later(machine: MachinePlan) -> _LaterEndpoint:
    return _LaterEndpoint(machine.address, Path(f"<key of {machine.name}, made with it>"))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent="  - ", subsequent_indent="    ")


def _indented(lines: Iterator[str] | list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
