"""An interface taken down, and put back as it was.

IPv4 addresses stay on an interface that is down, but its routes go, all but those that the kernel
itself makes when it is up again. What manages the network (networkd on the virtual machines) may
take the addresses as well and ask for new ones. So all that was there is put back, address by
address and route by route; what is there already is replaced by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses, SshWay, machines
from harness.changes.links import Entry, LinkChange, link_probe, routes_probe
from harness.vocabulary.cluster_config import PRIVATE_INTERFACE
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.machines import CONTROLLER
from harness.vocabulary.part import Found

# networkd asks for an address again after it saw the interface come up.
UP_SECONDS = 15.0
# `valid_life_time` of an address that never expires.
FOREVER = 2**32 - 1


class NicDown(LinkChange):
    """Take an interface of a machine down; its routes come back with it."""

    kind: ClassVar[str] = "nic_down"
    body: ClassVar[str] = "{machine: MACHINE, interface: eth1}"
    does: ClassVar[str] = "takes an interface down"

    def describe(self) -> str:
        return f"take {self.interface} of {self.machine} down"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (*super().rules(around), self._spares_the_api())

    def _spares_the_api(self) -> Found:
        if self.interface == PRIVATE_INTERFACE and self.machine == CONTROLLER:
            why = f"the harness asks `{CONTROLLER}` everything through {PRIVATE_INTERFACE}"
            yield ("interface",), f"{why}; take a worker's down"

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action.

        Where SSH comes in by the interface it takes the second way; raises `InconclusiveError`
        where there is none.
        """
        where = machines(self.machine, addresses)
        interface = self.interface
        undo: list[Step] = []
        aside: set[str] = set()
        for machine in where:
            link = before.value(link_probe(machine, interface))
            routes = before.value(routes_probe(machine, interface))
            if _carries(link, addresses.ssh.get(machine)):
                aside.add(machine)
                if _carries(link, addresses.second_ssh.get(machine)):
                    raise InconclusiveError(
                        f"Taking {interface} of {machine} down",
                        "the harness reaches the machine through it alone, and could not take that"
                        " back",
                    )
            undo.append(Command(machine, ("ip", "link", "set", "dev", interface, "up")))
            undo += [
                Command(machine, ("ip", "address", "replace", *words))
                for words in address_words(interface, link)
            ]
            undo += [
                Command(machine, ("ip", "route", "replace", *words))
                for words in route_words(routes)
            ]
            undo += [
                _check_link(machine, interface, link),
                _check_routes(machine, interface, routes),
            ]
        return Action(
            text=f"take {interface} of {', '.join(where)} down",
            do=tuple(
                Command(machine, ("ip", "link", "set", "dev", interface, "down"))
                for machine in where
            ),
            undo=tuple(undo),
            check=tuple(_check_down(machine, interface) for machine in where),
            reconnect=where,
            aside=frozenset(aside),
        )


def address_words(interface: str, link: Entry) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of `ip address replace` that put an interface's addresses back."""
    words: list[tuple[str, ...]] = []
    for each in link["addr_info"]:
        options: list[str] = []
        if "broadcast" in each:
            options += ["broadcast", each["broadcast"]]
        if each["valid_life_time"] != FOREVER:
            options += ["valid_lft", str(each["valid_life_time"])]
            options += ["preferred_lft", str(each["preferred_life_time"])]
        where = ("dev", interface, "scope", each["scope"])
        words.append((f"{each['local']}/{each['prefixlen']}", *where, *options))
    return tuple(words)


def route_words(routes: Sequence[Entry]) -> tuple[tuple[str, ...], ...]:
    """Return the arguments of `ip route replace` for the routes that the kernel does not make.

    Those without a gateway come first: a gateway has to be reachable before it is named.
    """
    own = [each for each in routes if each.get("protocol") != "kernel"]
    return tuple(
        _words(each) for each in sorted(own, key=lambda each: "gateway" in each or "via" in each)
    )


def _carries(link: Entry, way: SshWay | None) -> bool:
    """Whether the way to the machine leads through the interface; one not seen may."""
    return way is None or any(each["local"] == str(way.server) for each in link["addr_info"])


def _words(route: Entry) -> tuple[str, ...]:
    words = [*([route["type"]] if "type" in route else []), str(route["dst"])]
    for key, option in (
        ("gateway", "via"),
        ("dev", "dev"),
        ("table", "table"),
        ("protocol", "proto"),
        ("scope", "scope"),
        ("prefsrc", "src"),
        ("metric", "metric"),
    ):
        if key in route:
            words += [option, str(route[key])]
    # linkdown and dead are what the kernel says of it, onlink what it was told.
    return (*words, *(flag for flag in route.get("flags", ()) if flag == "onlink"))


def _check_down(machine: str, interface: str) -> Check:
    def wrong(link: Entry) -> str | None:
        return f"{interface} of {machine} is up" if "UP" in link["flags"] else None

    return Check(f"{interface} of {machine} is down", link_probe(machine, interface), wrong)


def _check_link(machine: str, interface: str, was: Entry) -> Check:
    def essence(link: Entry) -> tuple[object, ...]:
        addresses = {(each["local"], each["prefixlen"]) for each in link["addr_info"]}
        return "UP" in link["flags"], link["mtu"], addresses

    def wrong(link: Entry) -> str | None:
        return None if essence(link) == essence(was) else f"it is {essence(link)}"

    what = f"{interface} of {machine} is up, with its addresses"
    return Check(what, link_probe(machine, interface), wrong, within=UP_SECONDS)


def _check_routes(machine: str, interface: str, were: Sequence[Entry]) -> Check:
    wanted = {_words(each) for each in were}

    def wrong(routes: Sequence[Entry]) -> str | None:
        differing = sorted(wanted ^ {_words(each) for each in routes})
        return f"{' '.join(differing[0])} differs" if differing else None

    what = f"the routes through {interface} of {machine} are as before"
    return Check(what, routes_probe(machine, interface), wrong, within=UP_SECONDS)
