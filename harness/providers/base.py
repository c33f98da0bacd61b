"""What a provider is: all that differs between what machines are made with, in one object.

Its part of the host (tools, services, problems) and its texts are asked before there is a virtual
environment, so a provider's own module imports the standard library only. What makes and removes
machines is its `Backend`, a module of its own (`harness.providers.backend`).
"""

from __future__ import annotations

import os
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import ClassVar

from harness.host.facts import HostFacts
from harness.host.needs import HOST_MEMORY_MIB, VM_MEMORY_MIB, LabNeeds, Problem
from harness.host.services import Service
from harness.host.subnets import MORE_PRIVATE_RANGES, PRIVATE_RANGE
from harness.host.tools import UIDMAP, Tool, common_tools, tools_in

# Where the list of what a box is made with is.
BOX_TOOLS = Path(__file__).parents[1] / "images" / "box"
# Of these what a box that somebody brings needs, too.
OF_BROUGHT_BOXES = {"qemu-img"}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")


@dataclass(frozen=True)
class ProviderChoice:
    """The provider of a run and why it is that one; both are printed and recorded.

    `emulated` says that the machines' processors are programs: everything takes several times as
    long there.
    """

    provider: str
    reason: str
    emulated: bool = False


class Provider(ABC):
    """One of the providers that the Vagrantfile has blocks for.

    `command` is the program that asks it: without it nothing of a lab can be there. `machines` and
    `isolation` are what `plan` says of its machines and of the filter on the host. With `boxed` the
    machines are made of a box, with `own_kernel` they share none with this host; `same_nat_address`
    says that all of them have one and the same. `folder` has its `tools.txt`, `backend` names the
    module that has its `BACKEND`.
    """

    name: ClassVar[str]
    command: ClassVar[str]
    machines: ClassVar[str]
    isolation: ClassVar[str]
    folder: ClassVar[Path]
    backend: ClassVar[str]
    service: ClassVar[Service | None] = None
    boxed: ClassVar[bool] = True
    own_kernel: ClassVar[bool] = True
    same_nat_address: ClassVar[bool] = False
    private_ranges: ClassVar[tuple[IPv4Network, ...]] = (PRIVATE_RANGE, *MORE_PRIVATE_RANGES)
    # Whether set-up installs what it needs.
    is_set_up: ClassVar[bool] = True
    # Whether machines can be put back to how they were, memory included.
    keeps_memory: ClassVar[bool] = False
    # Whether its machines may be on the host of a libvirt, which is then asked for what it has.
    by_libvirt: ClassVar[bool] = False

    # --- choosing it ------------------------------------------------------------------------------

    def wanted(self, facts: HostFacts) -> str:
        """Return why a run takes it here where the user named none, nothing where it does not."""
        return ""

    def choice(self, facts: HostFacts, reason: str) -> ProviderChoice:
        """Return the choice of it for `reason`."""
        return ProviderChoice(self.name, reason)

    # --- what it needs of the host ----------------------------------------------------------------

    def tools(self) -> tuple[Tool, ...]:
        """Return every program that it may need, in the order they are needed."""
        box = tools_in(BOX_TOOLS) if self.boxed else ()
        return (*common_tools(), *tools_in(self.folder), *box, UIDMAP)

    def missing_tools(self, facts: HostFacts) -> tuple[Tool, ...]:
        """Return the tools that it needs here and that are not here."""
        # A box is made on Linux alone; elsewhere BOX_URL= brings one.
        builds = not self.boxed or (facts.system == "linux" and not facts.box_url)
        spared = set()
        if not builds:
            spared = {tool for tool in tools_in(BOX_TOOLS) if tool.program not in OF_BROUGHT_BOXES}
        if not builds or facts.sudo == "root":
            spared.add(UIDMAP)
        if self.service is not None and self.service.answers(facts):
            # A daemon that answers may be one of another kind, or in another place on this host.
            daemons = {daemon.program for daemon in self.service.daemons}
            spared |= {tool for tool in self.tools() if tool.program in daemons}
        return tuple(
            tool
            for tool in dict.fromkeys(self.tools())
            if tool not in spared and tool.program not in facts.programs
        )

    def service_here(self, facts: HostFacts) -> Service | None:
        """Return the service of this host that it needs, None where it needs none here."""
        return self.service

    def problems(self, facts: HostFacts, needs: LabNeeds) -> Sequence[Problem]:
        """Return what keeps its machines from this host; tools, disk and memory aside."""
        return ()

    def memory_mib(self, needs: LabNeeds) -> int:
        """Return the memory that a lab takes, what the host itself needs included."""
        extra = needs.machines * VM_MEMORY_MIB if self.own_kernel else 0
        return HOST_MEMORY_MIB + needs.memory_mib + extra

    def available_mib(self, facts: HostFacts) -> tuple[int, str]:
        """Return the memory there is, and on which other host, nothing where it is this one."""
        return facts.available_mib, ""

    def places(self, needs: LabNeeds) -> Mapping[str, int]:
        """Return the MiB that a lab takes in places that are this provider's."""
        return {}

    def free_mib(self, facts: HostFacts) -> Mapping[str, int]:
        """Return the free MiB of each place."""
        return facts.free_mib

    def rows(self, facts: HostFacts, chosen: str) -> Sequence[tuple[str, str]]:
        """Return what `doctor` says of it, a label and a text a line; `chosen` was said already."""
        here = f"({facts.programs[self.command]})" if self.command in facts.programs else "not here"
        return [(self.name, here)]

    # --- labs -------------------------------------------------------------------------------------

    def connection(self) -> str | None:
        """Return where its machines are made, as the record of a lab says; None: on this host."""
        return None

    def host_layer_reason(self, *, elsewhere: bool = False) -> str | None:
        """Return why this host cannot isolate a lab, None where it can.

        `elsewhere` says that the machines are on another host.
        """
        return "it needs root" if os.geteuid() != 0 else None

    def describe(self, machines: int, *, emulated: bool = False, elsewhere: bool = False) -> str:
        """Return what stands there, for a report's first line."""
        where = " on another host" if elsewhere else ""
        emulation = " under software emulation" if emulated else ""
        return f"{counted(machines, 'VM')}{where}{emulation}"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    count = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{count} {noun}{'' if number == 1 else 's'}"
