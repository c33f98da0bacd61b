"""Firewall changes: an nftables table of the harness's own on the machine, one for each change.

kube-proxy and CNIs write iptables' tables again and again, and insert at their heads; they do
not know this one, so the rule stays where it is, and taking it back is exact: the table goes.

Its chain comes after connection tracking and after the translation of destinations (priorities -200
and -100), so addresses and ports are those of the pod behind a Service; and before every filter
chain (0), so nothing accepts a packet that it would stop. A destination in the service network is
compared with what the sender wrote, port included: after the translation no packet has it. With
`output` and an interface, a packet for a Service that this machine translates is judged by the
interface it had before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.base.errors import InconclusiveError
from harness.change import connections
from harness.change.addresses import Addresses, SshWay, machines
from harness.change.model import Action, Check, Command, Step
from harness.change.stop import Stop, names, stop_of
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_json
from harness.scenario import changes
from harness.vocabulary.words import Answer, Hook, Protocol

TABLE_PREFIX = "k0s_harness_fault_"
COUNTER = "stopped"
PRIORITY = -10

_ANSWERS = {
    Answer.DROP: "drop",
    Answer.RESET: "reject with tcp reset",
    Answer.PORT_UNREACHABLE: "reject with icmpx type port-unreachable",
    Answer.HOST_UNREACHABLE: "reject with icmpx type host-unreachable",
    Answer.ADMIN_PROHIBITED: "reject with icmpx type admin-prohibited",
}


@dataclass(frozen=True)
class Table:
    """A fault's table as the kernel has it: its hook, each rule's last word, packets stopped."""

    hook: str
    priority: int
    verdicts: tuple[str, ...]
    stopped: int


def table_name(key: str) -> str:
    """Return the name of the table of the change `key`."""
    return f"{TABLE_PREFIX}{key}"


def action(change: changes.Firewall, addresses: Addresses, key: str) -> Action:
    """Return the action of a firewall change.

    Connections that were open go on through most rules, so they are cut first: sockets are closed
    on this machine (`ss -K`, which the kernel supports with CONFIG_INET_DIAG_DESTROY), while the
    table lets resets pass and answers every other packet with one. Then the table gets the answer
    that was asked for.
    """
    stop = stop_of(change, addresses)
    where = machines(change.machine, addresses)
    name = table_name(key)
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


def ruleset(name: str, stop: Stop, way: SshWay | None, *, cutting: bool = False) -> str:
    """Return the table as nft text; loading it takes the place of one with that name.

    With `cutting`, TCP connections are reset, whatever answer was asked for.
    """
    lines = [*_except_ssh(stop.hook, way)]
    if cutting:
        tcp = " ".join(_matches(stop, (Protocol.TCP,)))
        lines += [
            f"{tcp} tcp flags & rst == rst accept",
            f"{tcp} counter name {COUNTER} reject with tcp reset",
        ]
    matches = " ".join(_matches(stop, stop.protocols))
    lines.append(f"{matches} counter name {COUNTER} {_ANSWERS[stop.answer]}".lstrip())
    rules = "\n".join(f"        {line}" for line in lines)
    return f"""\
table inet {name}
delete table inet {name}
table inet {name} {{
    counter {COUNTER} {{ }}
    chain stop {{
        type filter hook {stop.hook} priority {PRIORITY}; policy accept;
{rules}
    }}
}}
"""


def parse_table(reading: Reading) -> Table | None:
    """Return the table, None when there is none of that name."""
    if reading.returncode not in (None, 0) and "No such file or directory" in reading.stderr:
        return None
    hook, priority, stopped = "", 0, 0
    verdicts: list[str] = []
    for entry in require_json(reading)["nftables"]:
        if "chain" in entry:
            hook, priority = entry["chain"]["hook"], entry["chain"]["prio"]
        elif "counter" in entry:
            stopped = entry["counter"]["packets"]
        elif "rule" in entry:
            verdicts.append(_verdict(entry["rule"]["expr"][-1]))
    return Table(hook, priority, tuple(verdicts), stopped)


def table_probe(machine: str, name: str) -> Probe[Table | None]:
    """Return the probe of the table `name` on `machine`."""
    argv = ("nft", "-j", "list", "table", "inet", name)
    return Probe("fault_table", machine, argv, parse_table, sudo=True)


def _except_ssh(hook: Hook, way: SshWay | None) -> Sequence[str]:
    """Return the rule that spares the harness's own way to the machine."""
    if way is None or hook is Hook.FORWARD:
        return ()
    if hook is Hook.INPUT:
        return (f"ip saddr {way.client} tcp dport {way.port} accept",)
    return (f"ip daddr {way.client} tcp sport {way.port} accept",)


def _matches(stop: Stop, protocols: Sequence[Protocol]) -> Sequence[str]:
    words: list[str] = []
    if stop.interface is not None:
        words.append(f'{"oifname" if stop.hook is Hook.OUTPUT else "iifname"} "{stop.interface}"')
    if stop.sources:
        words.append(f"ip saddr {_set(stop.sources)}")
    if protocols:
        words.append(f"meta l4proto {_set(protocols)}")
    if stop.service:
        words.append("ct direction original ct original ip daddr " + _set(stop.destinations))
        if stop.port is not None:
            words.append(f"ct original proto-dst {stop.port}")
    else:
        if stop.destinations:
            words.append(f"ip daddr {_set(stop.destinations)}")
        if stop.port is not None:
            words.append(f"th dport {stop.port}")
    if stop.longer_than is not None:
        words.append(f"meta length > {stop.longer_than}")
    return words


def _set(members: Sequence[object]) -> str:
    return str(members[0]) if len(members) == 1 else f"{{ {names(members)} }}"


def _load(machine: str, text: str) -> Command:
    return Command(machine, ("nft", "--file", "-"), stdin=text)


def _verdict(expression: dict[str, object]) -> str:
    """Return the last word of a rule as in `_ANSWERS`, from nft's JSON."""
    if "reject" not in expression:
        return next(iter(expression))
    with_ = expression["reject"]
    if not isinstance(with_, dict):
        # nft leaves out what is its default.
        return _ANSWERS[Answer.PORT_UNREACHABLE]
    if with_["type"] == "tcp reset":
        return _ANSWERS[Answer.RESET]
    return f"reject with {with_['type']} type {with_.get('expr', 'port-unreachable')}"


def _check(machine: str, name: str, stop: Stop) -> Check:
    wanted = _ANSWERS[stop.answer]
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
