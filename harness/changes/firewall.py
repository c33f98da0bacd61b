"""Firewall changes: an nftables table of the harness's own on the machine, one for each change.

kube-proxy and CNIs write iptables' tables again and again, and insert at their heads; they do not
know this one, so the rule stays where it is, and taking it back is exact: the table goes.

Its chain comes after connection tracking and after the translation of destinations (priorities -200
and -100), so addresses and ports are those of the pod behind a Service; and before every filter
chain (0), so nothing accepts a packet that it would stop. A destination in the service network is
compared with what the sender wrote, port included: after the translation no packet has it. With
`output` and an interface, a packet for a Service that this machine translates is judged by the
interface it had before.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from harness.base.errors import InconclusiveError
from harness.changes import connections
from harness.changes.action import Action, Before, Check, Command, Step
from harness.changes.addresses import Addresses, machines, resolve
from harness.changes.kind import DirectChange, OnMachine
from harness.changes.nftables import ANSWERS, PRIORITY, Table, ruleset, table_name, table_probe
from harness.changes.places import place_rules
from harness.changes.stop import Stop
from harness.evidence.reading import Reading
from harness.probe.core import Probe
from harness.vocabulary.fields import MOST_MTU, Interface, Place, Word
from harness.vocabulary.kinds import Surroundings
from harness.vocabulary.part import Found
from harness.vocabulary.words import Answer, Hook, Protocol

# SSH, the only way in.
_SSH_PORT = 22
_SSH_SENTENCE = "it would cut the harness itself off, which comes in by SSH (port 22)"


class Firewall(OnMachine, DirectChange):
    """Stop packets on a machine, in a table of the harness's own; open connections are cut too."""

    kind: ClassVar[str] = "firewall"
    body: ClassVar[str] = "{machine: MACHINE, hook: HOOK, answer: ANSWER, …}"
    does: ClassVar[str] = "stops packets, and cuts connections that were open"

    hook: Annotated[Hook, Word(Hook, "hook")]
    """`input` for what comes in for the machine, `output` for its own, `forward` for its pods."""

    answer: Annotated[Answer, Word(Answer, "answer")]
    """What the sender gets: `drop` for nothing, `reset`, or an ICMP error."""

    protocol: Annotated[Protocol, Word(Protocol, "protocol")] | None = None
    """Only this protocol: tcp or udp."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Only this destination port."""

    source: Place | None = None
    """Only from there: a machine, `pod-network`, `pods-on-worker0`, an address or a network."""

    destination: Place | None = None
    """Only to there: a machine, `service-network`, `pods-on-worker0`, an address or a network."""

    interface: Interface | None = None
    """Only through this interface: where it comes in, or with `output` where it leaves."""

    longer_than: Annotated[int, Field(ge=64, le=MOST_MTU)] | None = None
    """Only packets longer than this many bytes."""

    def describe(self) -> str:
        what = {Answer.DROP: "drop", Answer.RESET: "reset"}.get(
            self.answer, f"reject ({self.answer})"
        )
        limits = [
            *([self.protocol.value] if self.protocol else []),
            *([f"port {self.port}"] if self.port else []),
            *([f"from {self.source}"] if self.source else []),
            *([f"to {self.destination}"] if self.destination else []),
            *([f"through {self.interface}"] if self.interface else []),
            *([f"longer than {self.longer_than} bytes"] if self.longer_than else []),
        ]
        return f"{what} {' '.join(limits)} on {self.machine} ({self.hook})"

    def rules(self, around: Surroundings) -> tuple[Found, ...]:
        return (
            *super().rules(around),
            *place_rules(self, "source", around),
            *place_rules(self, "destination", around),
            self._port_of_a_protocol(),
            self._reset(),
            self._longer_than(),
            self._is_limited(),
            self._spares_ssh(),
        )

    def _port_of_a_protocol(self) -> Found:
        if self.port is not None and self.protocol is None:
            yield ("port",), "a port belongs to a protocol: say `protocol: tcp` or `udp`"

    def _reset(self) -> Found:
        if self.answer is Answer.RESET and self.protocol is not Protocol.TCP:
            yield ("answer",), "only tcp has resets: say `protocol: tcp`, or another answer"

    def _longer_than(self) -> Found:
        if self.longer_than is not None and self.protocol is not Protocol.TCP:
            why = "only tcp fits its packets to what gets through: `protocol: tcp`"
            yield ("longer_than",), why

    def _is_limited(self) -> Found:
        limits = (self.protocol, self.port, self.source, self.destination)
        if not any(each is not None for each in (*limits, self.interface, self.longer_than)):
            yield (), f"nothing limits this `firewall`; {_SSH_SENTENCE}"

    def _spares_ssh(self) -> Found:
        if self.port == _SSH_PORT and self.protocol is Protocol.TCP:
            yield ("port",), f"choose another port; {_SSH_SENTENCE}"

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action of a firewall change.

        Connections that were open go on through most rules, so they are cut first: sockets are
        closed on this machine (`ss -K`, which the kernel supports with CONFIG_INET_DIAG_DESTROY),
        while the table lets resets pass and answers every other packet with one. Then the table
        gets the answer that was asked for.
        """
        stop = self.stop(addresses)
        where = machines(self.machine, addresses)
        name = table_name(before.key)
        do: list[Step] = []
        for machine in where:
            way = addresses.ssh.get(machine)
            if way is None and stop.hook is not Hook.FORWARD:
                raise InconclusiveError(
                    f"Making a firewall rule on {machine}",
                    "the harness's own connection to it was not seen, so it could not be excepted",
                )
            if stop.tcp:
                do.append(_load(machine, ruleset(name, stop, way, cutting=True)))
            do += connections.cut(machine, stop, way)
            do.append(_load(machine, ruleset(name, stop, way)))
        gone = f"table inet {name}\ndelete table inet {name}\n"
        return Action(
            text=f"firewall on {', '.join(where)}: {stop.text()}",
            do=tuple(do),
            undo=(
                *(_load(machine, gone) for machine in where),
                *(_check_gone(machine, name) for machine in where),
            ),
            check=tuple(_check(machine, name, stop) for machine in where),
            evidence=tuple(_stopped_probe(machine, name) for machine in where),
        )

    def stop(self, addresses: Addresses) -> Stop:
        """Return the change with its places resolved.

        Raises `InconclusiveError` for a place that was not seen, and for a TCP reset of something
        else.
        """
        protocols: tuple[Protocol, ...] = () if self.protocol is None else (self.protocol,)
        if self.answer is Answer.RESET:
            if self.protocol is Protocol.UDP:
                raise InconclusiveError(
                    "Making a firewall rule", "only TCP can be answered by a reset"
                )
            protocols = (Protocol.TCP,)
        elif self.port is not None and not protocols:
            protocols = (Protocol.TCP, Protocol.UDP)
        destinations = () if self.destination is None else resolve(self.destination, addresses)
        services = addresses.services
        return Stop(
            hook=self.hook,
            answer=self.answer,
            protocols=protocols,
            port=self.port,
            sources=() if self.source is None else resolve(self.source, addresses),
            destinations=destinations,
            service=services is not None
            and bool(destinations)
            and all(each.subnet_of(services) for each in destinations),
            interface=self.interface,
            longer_than=self.longer_than,
        )


def _load(machine: str, text: str) -> Command:
    return Command(machine, ("nft", "--file", "-"), stdin=text)


def _check(machine: str, name: str, stop: Stop) -> Check:
    wanted = ANSWERS[stop.answer]
    rules = 1 if stop.hook is Hook.FORWARD else 2

    def wrong(table: Table | None) -> str | None:
        if table is None:
            return f"{machine} has no table {name}"
        if (table.hook, table.priority) != (stop.hook.value, PRIORITY):
            return f"it is at {table.hook} {table.priority}"
        if len(table.verdicts) != rules or table.verdicts[-1] != wanted:
            return f"its rules say: {', '.join(table.verdicts) or 'nothing'}"
        return None

    return Check(f"table {name} on {machine} says {wanted}", table_probe(machine, name), wrong)


def _check_gone(machine: str, name: str) -> Check:
    def wrong(table: Table | None) -> str | None:
        return None if table is None else f"{machine} still has table {name}"

    return Check(f"table {name} on {machine} is gone", table_probe(machine, name), wrong)


def _stopped_probe(machine: str, name: str) -> Probe[str]:
    probe = table_probe(machine, name)

    def parse(reading: Reading) -> str:
        table = probe.parse(reading)
        if table is None:
            return f"{machine} has no table {name} any more"
        return f"{table.stopped} packets were stopped on {machine}"

    return Probe(probe.name, machine, probe.argv, parse, sudo=probe.sudo)
