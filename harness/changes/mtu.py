"""The MTU of an interface."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses, machines
from harness.changes.links import Entry, LinkChange, link_probe
from harness.vocabulary.fields import MOST_MTU

# Ethernet's least that IPv4 allows.
LEAST_MTU = 576


class Mtu(LinkChange):
    """Set the MTU of an interface."""

    kind: ClassVar[str] = "mtu"
    body: ClassVar[str] = "{machine: MACHINE, interface: eth1, size: 1400}"
    does: ClassVar[str] = f"sets the MTU of an interface, {LEAST_MTU} to {MOST_MTU}"

    size: Annotated[int, Field(ge=LEAST_MTU, le=MOST_MTU)]
    """The MTU in bytes."""

    def describe(self) -> str:
        return f"set the MTU of {self.interface} on {self.machine} to {self.size}"

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action; the harness's own connections are opened anew.

        They agreed on a size of segments, and a packet that is too long for the interface of its
        receiver may be lost without a word.
        """
        where = machines(self.machine, addresses)
        interface = self.interface
        was = {machine: before.value(link_probe(machine, interface))["mtu"] for machine in where}
        return Action(
            text=f"MTU of {interface} on {', '.join(where)}: {self.size}",
            do=tuple(_set_mtu(machine, interface, self.size) for machine in where),
            undo=tuple(
                step
                for machine in where
                for step in (
                    _set_mtu(machine, interface, was[machine]),
                    _check_mtu(machine, interface, was[machine]),
                )
            ),
            check=tuple(_check_mtu(machine, interface, self.size) for machine in where),
            reconnect=where,
        )


def _set_mtu(machine: str, interface: str, size: int) -> Command:
    return Command(machine, ("ip", "link", "set", "dev", interface, "mtu", str(size)))


def _check_mtu(machine: str, interface: str, size: int) -> Check:
    def wrong(link: Entry) -> str | None:
        return None if link["mtu"] == size else f"it is {link['mtu']}"

    what = f"the MTU of {interface} on {machine} is {size}"
    return Check(what, link_probe(machine, interface), wrong)
