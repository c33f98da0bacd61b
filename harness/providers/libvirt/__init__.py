"""Machines that are VMs of a libvirt, here or on another host. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from harness.base.settings import Driver
from harness.host.facts import HostFacts
from harness.host.needs import IMAGE_MIB, LabNeeds, Problem
from harness.host.services import Service
from harness.host.tools import Tool
from harness.host.vm_facts import Kvm, Libvirt, uri_problem
from harness.providers.base import Provider, ProviderChoice
from harness.providers.libvirt.daemon import LIBVIRT
from harness.providers.libvirt.problems import libvirt_problems, processors, slow_definitions

URI_VARIABLE = "LIBVIRT_DEFAULT_URI"
DEFAULT_URI = "qemu:///system"
# What a libvirt on another host needs there, and not here; its packet filter is not this user's.
_THERE = {"nft", "libvirtd", "qemu-system-x86_64", "dnsmasq"}


class LibvirtProvider(Provider):
    """VMs on two networks of libvirt, with KVM or under software emulation."""

    name = "libvirt"
    command = "virsh"
    machines = "virtual machines (libvirt); run under software emulation, not yet with KVM"
    isolation = (
        "on the host, with root: a rule stops what goes between the lab's bridges and anything "
        "else, but for the VMs asking the host for their NAT address; libvirt itself lets nothing "
        "out of these networks. Without root, and for machines on another host, this layer is "
        "missing, and the report says so"
    )
    folder = Path(__file__).parent
    backend = "harness.providers.libvirt.backend"
    service: ClassVar[Service | None] = LIBVIRT
    keeps_memory = True
    by_libvirt = True

    def wanted(self, facts: HostFacts) -> str:
        """Return why VMs are taken: with KVM where all is here, emulated ones for want of docker.

        Disk and memory aside.
        """
        ready = (
            facts.libvirt.reachable
            and not self.missing_tools(facts)
            and not libvirt_problems(facts)
        )
        if ready and not facts.emulated:
            return "everything for VMs is here"
        return "there is no docker here" if ready and "docker" not in facts.programs else ""

    def choice(self, facts: HostFacts, reason: str) -> ProviderChoice:
        return ProviderChoice(self.name, f"{reason}; {processors(facts)}", facts.emulated)

    def missing_tools(self, facts: HostFacts) -> tuple[Tool, ...]:
        missing = super().missing_tools(facts)
        if not facts.libvirt.host:
            return missing
        return tuple(tool for tool in missing if tool.program not in _THERE)

    def service_here(self, facts: HostFacts) -> Service | None:
        libvirt = facts.libvirt
        return None if libvirt.host or uri_problem(libvirt.uri) else self.service

    def problems(self, facts: HostFacts, needs: LabNeeds) -> Sequence[Problem]:
        return libvirt_problems(facts)

    def available_mib(self, facts: HostFacts) -> tuple[int, str]:
        host = facts.libvirt.host
        return (facts.libvirt.available_mib or 0, host) if host else super().available_mib(facts)

    def places(self, needs: LabNeeds) -> Mapping[str, int]:
        memory = needs.memory_mib if needs.saved else 0
        return {"pool": needs.machines_mib + memory, "boxes": 2 * IMAGE_MIB}

    def free_mib(self, facts: HostFacts) -> Mapping[str, int]:
        pool = facts.libvirt.pool
        if pool is None or pool.free_mib is None:
            return facts.free_mib
        free = facts.free_mib.get("pool", pool.free_mib)
        return {**facts.free_mib, "pool": min(pool.free_mib, free)}

    def rows(self, facts: HostFacts, chosen: str) -> Sequence[tuple[str, str]]:
        kvm = "usable" if facts.kvm is Kvm.USABLE else f"not usable: {facts.kvm.value}"
        forced = "; K0S_HARNESS_DRIVER=qemu" if facts.driver == Driver.QEMU else ""
        rows = [("kvm", kvm + forced)]
        slow = slow_definitions(facts)
        if slow and slow not in chosen:
            rows += [("", slow)]
        if self.command not in facts.programs:
            return [*rows, (self.name, "not here")]
        libvirt = facts.libvirt
        rows += [(self.name, _connection(libvirt))]
        if libvirt.reachable:
            rows += [("", f"storage pool {libvirt.pool_name}: {_pool(libvirt)}")]
        qemu = facts.programs.get("qemu-img")
        plugin = facts.plugin or "not here"
        here = f"({qemu})" if qemu else "not here"
        return [*rows, ("", f"vagrant-libvirt {plugin}; qemu-img {here}")]

    def connection(self) -> str:
        return os.environ.get(URI_VARIABLE) or DEFAULT_URI

    def host_layer_reason(self, *, elsewhere: bool = False) -> str | None:
        if elsewhere:
            return (
                "the machines are on another host, whose packet filter is not the harness's;"
                " libvirt itself lets nothing out of the lab's networks there, except to that host"
            )
        return super().host_layer_reason()


def _connection(libvirt: Libvirt) -> str:
    if not libvirt.reachable:
        return f"{libvirt.uri} not reachable: {uri_problem(libvirt.uri) or libvirt.problem}"
    return f"{libvirt.version} with qemu {libvirt.qemu or '?'} at {libvirt.uri}"


def _pool(libvirt: Libvirt) -> str:
    pool = libvirt.pool
    if pool is None:
        return "not there"
    return pool.path if pool.active else "not active"
