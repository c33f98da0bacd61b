"""Agents that reach their server's address and are not taken: of TLS, of what answers, of tokens.

grpc-go keeps what ended a stream to itself where no header came, so an agent says the same
(`expected one server ID in the context, got []`) of a token that is refused, of a balancer's page
and of another server; what answers there, and the server's own log, tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from harness.diagnose import findings, last_words, mesh, scrapes
from harness.diagnose.facts import Facts, moment, once
from harness.diagnose.failures import FailedOf, failed_of, status_of
from harness.probe import konnectivity, machines, nodelogs
from harness.probe.konnectivity import Refusal
from harness.probe.nodelogs import Failure

# Where the server waits for the API server, an agent hears of it once a minute.
_LATELY_SECONDS = 150.0
_NO_SERVER_ID = "expected one server ID in the context"
# What a gRPC server answers to a request that is none.
_GRPC = frozenset({"HTTP 415", "HTTP 405"})
# Go's crypto/tls of what answers in plain text.
_PLAIN = "does not look like a TLS handshake"
_HTTP = re.compile(r"HTTP \d{3}")
_LOOKUP = "lookup failed"
_UNAUTHORIZED = 401


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


@once
def agents(facts: Facts) -> Mapping[str, Failure]:
    """Return, by worker, the last words of each agent that was turned away on a connection."""
    found = {}
    figures = facts.on(konnectivity.AGENT)
    for machine, log in facts.on(nodelogs.AGENT).items():
        if machine in figures and figures[machine].servers > 0:
            continue
        last = log.cannot_connect
        if last is None:
            continue
        ago = findings.seconds_ago(facts, nodelogs.AGENT.name, machine, last.at)
        if ago < _LATELY_SECONDS and _on_a_connection(last.why):
            found[machine] = last
    return found


def _on_a_connection(why: str) -> bool:
    return _NO_SERVER_ID in why or failed_of(why) in {FailedOf.TLS, FailedOf.STATUS}


def strangers(facts: Facts) -> Mapping[str, str]:
    """Return, by worker, what answered its agent that no konnectivity server says."""
    plain = {
        name: "something without TLS" for name, each in agents(facts).items() if _PLAIN in each.why
    }
    return plain | {
        name: each.text
        for name, each in findings.agents_to_server(facts).items()
        if each.answered and _HTTP.fullmatch(each.text) and each.text not in _GRPC
    }


@once
def refusing(facts: Facts) -> str:
    """Return the controller whose server lately turned agents away that it lacks, or empty."""
    order = sorted(facts.on(konnectivity.LOG), key=lambda name: name != facts.controller)
    none = agents(facts) or findings.connected_agents(facts) == 0
    lacking = set(mesh.lacking(facts)) | ({facts.controller} if none else set())
    return next((name for name in order if name in lacking and _refused(facts, name)), "")


def _refused(facts: Facts, controller: str) -> tuple[Refusal, ...]:
    reading = facts.readings[konnectivity.LOG.name, controller]
    log = facts.on(konnectivity.LOG)[controller]
    clock = facts.on(machines.CLOCK).get(controller)
    now = moment(reading) + (clock.ahead if clock is not None else 0.0)
    return tuple(each for each in log.refused if not each.at or now - each.at < _LATELY_SECONDS)


@once
def why(facts: Facts) -> Why | None:
    """Return why agents are turned away, None where none is."""
    away = agents(facts)
    where = refusing(facts)
    if not away and not where:
        return None
    if away and strangers(facts):
        return Why.STRANGER
    if any(failed_of(each.why) is FailedOf.TLS for each in away.values()):
        return Why.TLS
    if not where:
        return Why.TOKENS if _refused_too(facts) else Why.UNTOLD
    return Why.TOKENS if _LOOKUP in _refused(facts, where)[-1].why else Why.API_SERVER


def metrics_server_too(facts: Facts) -> bool:
    """Whether metrics-server is turned away as agents are: the API server takes no pod's token."""
    return why(facts) is Why.TOKENS and _refused_too(facts)


def _refused_too(facts: Facts) -> bool:
    """Whether kubelets do not know metrics-server's token, or the API server did not."""
    failing = (scrapes.failing_scrapes(facts) or {}).values()
    ended = last_words.crash(facts)
    return (bool(failing) and all(status_of(each.why) == _UNAUTHORIZED for each in failing)) or (
        ended is not None and status_of(ended) == _UNAUTHORIZED
    )


def words(facts: Facts) -> str:
    """Return what a server last said of an agent that it turned away, or else of whom."""
    where = refusing(facts)
    # Each of Go's wrappers puts its own words and `err:` before those of the one below.
    return _refused(facts, where)[-1].why.rpartition("err:")[2] if where else "nor metrics-server's"


def text(facts: Facts) -> str:
    """Return what is wrong beyond the dial, in a sentence, empty where nothing is."""
    found = [f"{each} answers the agent on {name}" for name, each in strangers(facts).items()]
    where = refusing(facts)
    if where:
        found.append(f"the konnectivity server on {where} turned agents away: {words(facts)}")
    return "; ".join(found)


def balancer_cut(facts: Facts) -> tuple[str, ...]:
    """Return the workers whose own balancer takes connections and has no controller for them."""
    if not mesh.behind_balancer(facts):
        return ()
    # Where an agent was answered something, the balancer has handed it on.
    answered = agents(facts)
    silent = {
        name
        for name, each in findings.agents_to_server(facts).items()
        if each.connected and not each.tls and name not in answered
    }
    doors = mesh.doors(facts).values()
    ways = {
        name: {findings.reaches(facts, name, *each) for each in doors} for name in facts.workers
    }
    return tuple(name for name, each in ways.items() if name in silent or each == {False})
