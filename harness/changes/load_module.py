"""Kernel modules of a machine."""

from __future__ import annotations

from typing import Any, ClassVar

from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses, machines
from harness.changes.kind import DirectChange, OnMachine
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_ended
from harness.vocabulary.fields import KernelModule


class LoadModule(OnMachine, DirectChange):
    """Load a kernel module on a machine. Needs a kernel of its own."""

    kind: ClassVar[str] = "load_module"
    needs_own_kernel: ClassVar[bool] = True
    body: ClassVar[str] = "{machine: MACHINE, name: MODULE}"
    does: ClassVar[str] = "loads a kernel module; on VMs only"

    name: KernelModule
    """Name of the module, as in nf_conntrack."""

    def describe(self) -> str:
        return f"load the kernel module {self.name} on {self.machine}"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return tuple(
            loaded_probe(machine, self.name) for machine in machines(self.machine, addresses)
        )

    def action(self, addresses: Addresses, before: Before) -> Action:
        where = machines(self.machine, addresses)
        undo: list[Step] = []
        for machine in where:
            if not before.value(loaded_probe(machine, self.name)):
                undo.append(Command(machine, ("modprobe", "-r", self.name)))
                undo.append(_check(machine, self.name, loaded=False))
        return Action(
            text=f"load the module {self.name} on {', '.join(where)}",
            do=tuple(Command(machine, ("modprobe", self.name)) for machine in where),
            undo=tuple(undo),
            check=tuple(_check(machine, self.name, loaded=True) for machine in where),
        )


def loaded_probe(machine: str, module: str) -> Probe[bool]:
    """Return the probe of whether a module is loaded, or built into the kernel."""
    # The kernel's names have underscores where a file's may have hyphens.
    folder = f"/sys/module/{module.replace('-', '_')}"
    return Probe(f"module:{module}", machine, ("test", "-d", folder), parse_loaded)


def parse_loaded(reading: Reading) -> bool:
    """Return whether the module's folder is there."""
    require_ended(reading)
    return reading.returncode == 0


def _check(machine: str, module: str, *, loaded: bool) -> Check:
    wanted, other = ("loaded", "not loaded") if loaded else ("not loaded", "loaded")

    def wrong(is_loaded: bool) -> str | None:
        return None if is_loaded is loaded else f"it is {other}"

    return Check(f"{module} is {wanted} on {machine}", loaded_probe(machine, module), wrong)
