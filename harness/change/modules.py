"""Kernel modules of a machine."""

from __future__ import annotations

from harness.change.addresses import Addresses, machines
from harness.change.model import Action, Before, Check, Command, Step
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_ended
from harness.scenario import changes


def loaded_probe(machine: str, module: str) -> Probe[bool]:
    """Return the probe of whether a module is loaded, or built into the kernel."""
    # The kernel's names have underscores where a file's may have hyphens.
    folder = f"/sys/module/{module.replace('-', '_')}"
    return Probe(f"module:{module}", machine, ("test", "-d", folder), parse_loaded)


def parse_loaded(reading: Reading) -> bool:
    """Return whether the module's folder is there."""
    require_ended(reading)
    return reading.returncode == 0


def looks(change: changes.LoadModule, addresses: Addresses) -> tuple[Probe[bool], ...]:
    """Return what is to be read before: whether it is loaded."""
    return tuple(
        loaded_probe(machine, change.name) for machine in machines(change.machine, addresses)
    )


def action(change: changes.LoadModule, addresses: Addresses, before: Before) -> Action:
    """Return the action; a module that was loaded before stays when it is taken back."""
    where = machines(change.machine, addresses)
    undo: list[Step] = []
    for machine in where:
        if not before.value(loaded_probe(machine, change.name)):
            undo.append(Command(machine, ("modprobe", "-r", change.name)))
            undo.append(_check(machine, change.name, loaded=False))
    return Action(
        text=f"load the module {change.name} on {', '.join(where)}",
        do=tuple(Command(machine, ("modprobe", change.name)) for machine in where),
        undo=tuple(undo),
        check=tuple(_check(machine, change.name, loaded=True) for machine in where),
    )


def _check(machine: str, module: str, *, loaded: bool) -> Check:
    wanted, other = ("loaded", "not loaded") if loaded else ("not loaded", "loaded")

    def wrong(is_loaded: bool) -> str | None:
        return None if is_loaded is loaded else f"it is {other}"

    return Check(f"{module} is {wanted} on {machine}", loaded_probe(machine, module), wrong)
