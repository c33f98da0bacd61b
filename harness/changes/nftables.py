"""The nftables table of a firewall change: as text, and as the kernel has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.changes.addresses import SshWay
from harness.changes.stop import Stop, names
from harness.evidence.reading import Reading
from harness.probe.core import Probe, require_json
from harness.vocabulary.words import Answer, Hook, Protocol

TABLE_PREFIX = "k0s_harness_fault_"
COUNTER = "stopped"
PRIORITY = -10

ANSWERS = {
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
    lines.append(f"{matches} counter name {COUNTER} {ANSWERS[stop.answer]}".lstrip())
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


def _verdict(expression: dict[str, object]) -> str:
    """Return the last word of a rule as in `ANSWERS`, from nft's JSON."""
    if "reject" not in expression:
        return next(iter(expression))
    with_ = expression["reject"]
    if not isinstance(with_, dict):
        # nft leaves out what is its default.
        return ANSWERS[Answer.PORT_UNREACHABLE]
    if with_["type"] == "tcp reset":
        return ANSWERS[Answer.RESET]
    return f"reject with {with_['type']} type {with_.get('expr', 'port-unreachable')}"
