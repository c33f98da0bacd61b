"""Agents that reach their server's address and are not taken: of TLS, of what answers, of tokens.

grpc-go keeps what ended a stream to itself where no header came, so an agent says the same
(`expected one server ID in the context, got []`) of a token that is refused, of a balancer's page
and of another server; what answers there, and the server's own log, tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from harness.diagnose import findings, mesh
from harness.diagnose.facts import Facts, moment
from harness.diagnose.failures import FailedOf, failed_of
from harness.probe import konnectivity, nodelogs, workloads
from harness.probe.konnectivity import Refusal
from harness.probe.nodelogs import Failure

# Where the server waits for the API server, an agent hears of it once a minute.
_LATELY_SECONDS = 150.0
_NO_SERVER_ID = "expected one server ID in the context"
# What a gRPC server answers to a request that is none.
_GRPC = frozenset({"HTTP 415", "HTTP 405"})
_HTTP = re.compile(r"HTTP \d{3}")
_LOOKUP = "lookup failed"


class Why(StrEnum):
    """Why agents that reach an address are not taken there."""

    STRANGER = "stranger"
    """What answers there is no konnectivity server: a balancer's or a proxy's page, another one."""
    TLS = "tls"
    API_SERVER = "api-server"
    """The konnectivity server cannot ask the API server about tokens."""
    TOKENS = "tokens"
    """The API server says that the tokens are not valid."""
    UNTOLD = "untold"
    """Their tokens are not accepted, and why was not seen."""


def agents(facts: Facts) -> Mapping[str, Failure]:
    """Return, by worker, the last words of each agent that was turned away on a connection."""
    found = {}
    figures = facts.on(konnectivity.AGENT)
    for machine, log in facts.on(nodelogs.AGENT).items():
        if machine in figures and figures[machine].servers > 0:
            continue
        connected = [line.at for line in log.lines if "Connect to server" in line.text]
        last = next(iter(log.connecting[-1:]), None)
        if last is None or (connected and connected[-1] >= last.at):
            continue
        ago = findings.seconds_ago(facts, nodelogs.AGENT.name, machine, last.at)
        if ago < _LATELY_SECONDS and _on_a_connection(last.why):
            found[machine] = last
    return found


def _on_a_connection(why: str) -> bool:
    return _NO_SERVER_ID in why or failed_of(why) in {FailedOf.TLS, FailedOf.STATUS}


def strangers(facts: Facts) -> Mapping[str, str]:
    """Return, by worker, what answered its agent that no konnectivity server says."""
    return {
        name: each.text
        for name, each in findings.agents_to_server(facts).items()
        if each.answered and _HTTP.fullmatch(each.text) and each.text not in _GRPC
    }


def refusals(facts: Facts) -> tuple[Refusal, ...] | None:
    """Return whom the judged controller's konnectivity server lately turned away."""
    log = facts.of_controller(konnectivity.LOG)
    if log is None:
        return None
    reading = facts.readings[konnectivity.LOG.name, facts.controller]
    return tuple(
        each for each in log.refused if not each.at or moment(reading) - each.at < _LATELY_SECONDS
    )


def why(facts: Facts) -> Why | None:
    """Return why agents are turned away, None where none is."""
    away = agents(facts)
    if not away:
        return None
    if any(failed_of(each.why) is FailedOf.TLS for each in away.values()):
        return Why.TLS
    if strangers(facts):
        return Why.STRANGER
    said = refusals(facts)
    if not said:
        return Why.UNTOLD
    return Why.TOKENS if _LOOKUP in said[-1].why else Why.API_SERVER


def words(facts: Facts) -> str:
    """Return what the server last said of an agent that it turned away, empty without."""
    said = refusals(facts) or ()
    return said[-1].why if said else ""


def text(facts: Facts) -> str:
    """Return what is wrong beyond the dial, in a sentence, empty where nothing is."""
    found = [f"{each} answers the agent on {name}" for name, each in strangers(facts).items()]
    if agents(facts) and words(facts):
        found.append(f"the konnectivity server turned agents away: {words(facts)}")
    return "; ".join(found)


def names(facts: Facts) -> str:
    """Return the nodes, or the machines, whose agents are turned away."""
    away = agents(facts)
    nodes = {facts.machine_of(node.name): node.name for node in facts.one(workloads.NODES) or ()}
    return ", ".join(nodes.get(name, name) for name in away)


def balancer_cut(facts: Facts) -> tuple[str, ...]:
    """Return the workers whose own balancer takes connections and has no controller for them."""
    if not mesh.behind_balancer(facts):
        return ()
    return tuple(
        name
        for name, each in findings.agents_to_server(facts).items()
        if each.connected and not each.tls
    )
