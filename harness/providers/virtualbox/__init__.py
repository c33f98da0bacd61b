"""Machines that are VMs of VirtualBox. Standard library only."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.host import vm_facts as vms
from harness.host.facts import HostFacts
from harness.host.needs import FIRMWARE, IMAGE_MIB, LabNeeds, Problem
from harness.host.subnets import PRIVATE_RANGE
from harness.providers.base import Provider, ProviderChoice


class VirtualBoxProvider(Provider):
    """VMs with a NAT of their own each; not run on VirtualBox itself (docs/status.md)."""

    name = "virtualbox"
    command = "VBoxManage"
    machines = "virtual machines (VirtualBox); not yet run on real VMs"
    isolation = (
        "on the host: this layer is missing, and the report says so: VirtualBox's networks are no "
        "bridges of this host. The private network is host-only"
    )
    folder = Path(__file__).parent
    backend = "harness.providers.virtualbox.backend"
    same_nat_address = True
    # VirtualBox allows no others without /etc/vbox/networks.conf.
    private_ranges = (PRIVATE_RANGE,)
    is_set_up = False

    def choice(self, facts: HostFacts, reason: str) -> ProviderChoice:
        return super().choice(facts, f"{reason}; not yet run on real VMs")

    def problems(self, facts: HostFacts, needs: LabNeeds) -> Sequence[Problem]:
        found = []
        if facts.system == "linux" and not facts.virtualisation:
            found.append(
                Problem("VirtualBox has no machines without the processor's vmx or svm", FIRMWARE)
            )
        # Windows has no such file, and VirtualBox 7 on macOS does not look at it.
        if facts.system == "linux" and not any(
            needs.private.subnet_of(allowed) for allowed in facts.host_only
        ):
            line = f"* {needs.private}"
            found.append(
                Problem(
                    f"VirtualBox does not allow the lab's private network in {needs.private}"
                    f" (allowed: {_allowed(facts)})",
                    f"add the line `{line}` to {vms.RANGES_FILE}:"
                    f" echo {shlex.quote(line)} | sudo tee -a {vms.RANGES_FILE}",
                )
            )
        return found

    def places(self, needs: LabNeeds) -> Mapping[str, int]:
        return {"boxes": 2 * IMAGE_MIB + needs.machines_mib}

    def rows(self, facts: HostFacts, chosen: str) -> Sequence[tuple[str, str]]:
        ((label, here),) = super().rows(facts, chosen)
        if self.command in facts.programs:
            here += f"; host-only networks allowed in {_allowed(facts)}"
        return [(label, here)]

    def host_layer_reason(self, *, elsewhere: bool = False) -> str | None:
        return "VirtualBox's networks are no bridges of this host"


def _allowed(facts: HostFacts) -> str:
    return ", ".join(map(str, facts.host_only)) or "none"
