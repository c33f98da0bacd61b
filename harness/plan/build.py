"""From a scenario to a plan: pure, and the place where a provider's limits are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

from harness.artifacts.pins import Pins
from harness.plan.deployment import deployments
from harness.plan.model import (
    MachinePlan,
    PhasePlan,
    Plan,
    PlannedExpectation,
    PlannedProvider,
)
from harness.scenario.load import LoadedScenario
from harness.scenario.mistakes import Mistake, ScenarioError
from harness.scenario.model import Phase
from harness.vocabulary.cluster import ClusterSpec
from harness.vocabulary.version import Gate, K0sVersion
from harness.vocabulary.words import Role

# The addresses below are the provider's: gateway, DHCP, the host itself.
FIRST_ADDRESS = 10
# etcd and the API server use about 500 MiB and more than one core while a cluster starts; with
# 512 MiB, vagrant-libvirt's default, metrics-server is killed while it settles.
CONTROLLER_CPUS = 2
WORKER_CPUS = 1
MEMORY_MIB = 2048


def build(
    loaded: LoadedScenario,
    *,
    subnet: IPv4Network,
    provider: PlannedProvider,
    pins: Pins,
    arch: str,
) -> Plan:
    """Return the plan of a scenario on `provider`, its machines addressed in `subnet`.

    `arch` is the machines' (`amd64`, `arm64`). Raises `ScenarioError`, with the line, for what this
    provider cannot do, and for a scenario of which no expectation is left on its k0s release.
    """
    scenario = loaded.scenario
    version = scenario.cluster.k0s_version
    phases = tuple(_phases(loaded, version))
    mistakes = [*_changes_refused(loaded, provider), *_clashes(loaded, subnet)]
    if not any(phase.expectations for phase in phases):
        path = ("phases", 0, "expect")
        mistakes.append(
            _mistake(loaded, path, f"on k0s {version} no expectation is left: see `when`")
        )
    if mistakes:
        raise ScenarioError(mistakes)
    return Plan(
        scenario=scenario,
        path=loaded.path,
        provider=provider,
        subnet=subnet,
        k0s_version=version,
        machines=tuple(_machines(scenario.cluster, subnet)),
        artifacts=tuple(pins.refs(str(version), arch)),
        phases=phases,
    )


def readdressed(plan: Plan, subnet: IPv4Network) -> Plan:
    """Return `plan` with its machines in `subnet`: a lab takes one that is free when it begins."""
    machines = tuple(
        replace(machine, address=_address(subnet, index))
        for index, machine in enumerate(plan.machines)
    )
    return replace(plan, subnet=subnet, machines=machines)


def _address(subnet: IPv4Network, index: int) -> str:
    return str(subnet[FIRST_ADDRESS + index])


def _machines(cluster: ClusterSpec, subnet: IPv4Network) -> Iterator[MachinePlan]:
    for index, name in enumerate(cluster.machine_names):
        controls = name in cluster.controller_names
        yield MachinePlan(
            name=name,
            role=cluster.controller_role if controls else Role.WORKER,
            address=_address(subnet, index),
            cpus=CONTROLLER_CPUS if controls else WORKER_CPUS,
            memory_mib=MEMORY_MIB,
        )


def _phases(loaded: LoadedScenario, version: K0sVersion) -> Iterator[PhasePlan]:
    each_deployment = deployments(loaded.scenario)
    for index, (phase, deployment) in enumerate(
        zip(loaded.scenario.phases, each_deployment, strict=True)
    ):
        planned = tuple(_expectations(loaded, phase, index))
        held_back = {
            each.id
            for each in planned
            if each.expectation.when is not None
            and not Gate.parse(each.expectation.when).holds(version)
        }
        yield PhasePlan(
            name=phase.name,
            changes=phase.change,
            expectations=tuple(each for each in planned if each.id not in held_back),
            skipped=tuple(each for each in planned if each.id in held_back),
            deployment=deployment,
            line=loaded.marks.key(("phases", index)).line,
        )


def _expectations(loaded: LoadedScenario, phase: Phase, index: int) -> Iterator[PlannedExpectation]:
    """Yield a phase's expectations, named by their place in the file, whatever release is run."""
    seen: Counter[str] = Counter()
    for number, expectation in enumerate(phase.expect):
        kind = expectation.kind
        seen[kind] += 1
        yield PlannedExpectation(
            id=kind if seen[kind] == 1 else f"{kind}-{seen[kind]}",
            expectation=expectation,
            line=loaded.marks.key(("phases", index, "expect", number)).line,
        )


def _changes_refused(loaded: LoadedScenario, provider: PlannedProvider) -> Iterator[Mistake]:
    if provider.own_kernel:
        return
    for index, phase in enumerate(loaded.scenario.phases):
        for number, change in enumerate(phase.change):
            if change.needs_own_kernel:
                why = (
                    f"`{change.kind}` reaches the kernel, which containers share with this host; "
                    "it needs virtual machines: PROVIDER=libvirt or PROVIDER=virtualbox"
                )
                yield _mistake(loaded, ("phases", index, "change", number), why)


def _clashes(loaded: LoadedScenario, subnet: IPv4Network) -> Iterator[Mistake]:
    """Find what cannot be done in the network that every machine is in."""
    for index, phase in enumerate(loaded.scenario.phases):
        for number, change in enumerate(phase.change):
            for path, why in change.clashes(subnet):
                yield _mistake(loaded, ("phases", index, "change", number, change.kind, *path), why)


def _mistake(loaded: LoadedScenario, path: tuple[str | int, ...], message: str) -> Mistake:
    position = loaded.marks.value(path)
    return Mistake(str(loaded.path), position.line, position.column, message)
