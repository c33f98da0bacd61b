"""What `k0s-harness plan` prints: all that would be built and expected, before any of it is."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.plan.deployment import k0sctl_steps
from harness.plan.k0sctl import render
from harness.plan.model import Deployment, MachinePlan, PhasePlan, Plan, PlannedExpectation
from harness.scenario.fields import duration_text
from harness.scenario.model import (
    Apiservice,
    Apply,
    BlackholeRoute,
    Change,
    ClockStep,
    Diagnosis,
    DisableComponent,
    EnableComponent,
    Environment,
    Expectation,
    Firewall,
    Flows,
    K0sConfig,
    LoadModule,
    Manifest,
    Mtu,
    NicDown,
    NodeIp,
    Pods,
    Reachability,
    RemoveImage,
    RestartPods,
    Route,
    Scale,
    TopNodes,
    UndoPhase,
)
from harness.scenario.reserved import PRIVATE_INTERFACE, leaves
from harness.scenario.words import Answer

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


def describe_change(change: Change) -> str:
    """Return one change in words, as narration and reports have it too."""
    return _CHANGES[type(change)](change)


def describe_expectation(expectation: Expectation) -> str:
    """Return what an expectation demands, in words, without its times."""
    return _EXPECTATIONS[type(expectation)](expectation)


def describe_times(expectation: Expectation) -> str:
    """Return an expectation's bound and hold, as in `within 2m, then holds 45s`."""
    if isinstance(expectation, Apply):
        return "within the deadline of k0sctl apply"
    held = f", then holds {duration_text(expectation.hold)}" if expectation.hold else ""
    return f"within {duration_text(expectation.within)}{held}"


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
        yield f"  change  {describe_change(change)}; undo: {change.undo}"
    for step in k0sctl_steps(before, phase.deployment):
        yield f"  k0sctl  {step}"
    for planned in phase.expectations:
        yield f"  expect  {_line(planned)}"
    for planned in phase.skipped:
        yield f"  left out, for `{planned.expectation.when}` does not hold: {_line(planned)}"


def _line(planned: PlannedExpectation) -> str:
    expectation = planned.expectation
    return (
        f"{planned.id:<12} {describe_expectation(expectation)}; {describe_times(expectation)} "
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


def _k0s_config(change: K0sConfig) -> str:
    given = (f"{leaf.dotted}={leaf.value}" for leaf in leaves(change.fragment))
    return f"configure k0s with {', '.join(given)}"


def _environment(change: Environment) -> str:
    given = (f"{name}={value}" for name, value in change.variables.items())
    return f"give k0s on {change.machine} the environment {', '.join(given)}"


def _firewall(change: Firewall) -> str:
    what = {
        Answer.DROP: "drop",
        Answer.RESET: "reset",
    }.get(change.answer, f"reject ({change.answer})")
    limits = [
        *([change.protocol.value] if change.protocol else []),
        *([f"port {change.port}"] if change.port else []),
        *([f"from {change.source}"] if change.source else []),
        *([f"to {change.destination}"] if change.destination else []),
        *([f"through {change.interface}"] if change.interface else []),
        *([f"longer than {change.longer_than} bytes"] if change.longer_than else []),
    ]
    return f"{what} {' '.join(limits)} on {change.machine} ({change.hook})"


def _manifest(change: Manifest) -> str:
    names = (f"{each['kind']} {each['metadata']['name']}" for each in change.objects)
    return f"apply {', '.join(names)}"


_CHANGES: Mapping[type, Callable[[Any], str]] = {
    EnableComponent: lambda change: f"turn {change.component} on",
    DisableComponent: lambda change: f"turn {change.component} off",
    K0sConfig: _k0s_config,
    Environment: _environment,
    NodeIp: lambda change: f"give the kubelet of {change.machine} its NAT address as node address",
    Route: lambda change: f"route {change.to} via {change.via} on {change.machine}",
    BlackholeRoute: lambda change: f"drop by a route what {change.machine} sends to {change.to}",
    Firewall: _firewall,
    NicDown: lambda change: f"take {change.interface} of {change.machine} down",
    Mtu: lambda change: f"set the MTU of {change.interface} on {change.machine} to {change.size}",
    Manifest: _manifest,
    Scale: lambda change: f"scale {change.workload} in {change.namespace} to {change.replicas}",
    RestartPods: lambda change: f"restart the pods {change.selector} in {change.namespace}",
    RemoveImage: lambda change: f"remove the image {change.image} from {change.machine}",
    ClockStep: lambda change: f"step the clock of {change.machine} by {duration_text(change.by)}",
    LoadModule: lambda change: f"load the kernel module {change.name} on {change.machine}",
    UndoPhase: lambda change: f"take back what phase {change.phase} changed",
}


def _apiservice(expectation: Apiservice) -> str:
    details = [
        f"Available={expectation.available}",
        *([f"reason {expectation.reason}"] if expectation.reason else []),
        *([f"message class {expectation.message_class}"] if expectation.message_class else []),
    ]
    return f"APIService {expectation.name}: {', '.join(details)}"


def _top_nodes(expectation: TopNodes) -> str:
    rows = f", rows for {', '.join(expectation.nodes)}" if expectation.nodes else ""
    return f"kubectl top nodes: {expectation.outcome}{rows}"


def _diagnosis(expectation: Diagnosis) -> str:
    also = f", also {', '.join(expectation.also)}" if expectation.also else ""
    return f"diagnosis: {expectation.cause}{also}"


def _flows(expectation: Flows) -> str:
    cells = (f"{flow} {outcome}" for flow, outcome in expectation.cells.items())
    return f"flows: {', '.join(cells)}"


def _apply(expectation: Apply) -> str:
    text = f" with {expectation.message_contains!r}" if expectation.message_contains else ""
    return f"k0sctl apply: {expectation.outcome}{text}"


_EXPECTATIONS: Mapping[type, Callable[[Any], str]] = {
    Apiservice: _apiservice,
    TopNodes: _top_nodes,
    Pods: lambda pods: f"pods {pods.selector} in {pods.namespace}: {pods.ready} Ready",
    Diagnosis: _diagnosis,
    Flows: _flows,
    Reachability: lambda each: f"new connections: {'all' if each.whole else 'only some'} succeed",
    Apply: _apply,
}
