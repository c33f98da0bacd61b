"""Agents reach their server's address and are turned away there."""

from __future__ import annotations

from harness.base.places import with_port
from harness.diagnose import findings, places, settling, turned_away
from harness.diagnose.causes.kind import K0S_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.diagnose.turned_away import Why
from harness.k0s import API_PORT
from harness.probe import konnectivity, objects
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether agents connect, by their own words, and are not taken."""
    on = findings.konnectivity(facts)
    if not on:
        return on
    if findings.listens(facts) is False:
        return False
    away = turned_away.agents(facts)
    if not (away or turned_away.refusing(facts)):
        return False
    passing = _passing(facts)
    if passing is not False:
        return None if passing is None else False
    # By a dial that fails now, what they said is over.
    dials, asked = findings.server_dials(facts), findings.agents_to_server(facts)
    return all(
        (name not in dials or dials[name].all_connected)
        and (name not in asked or asked[name].connected)
        for name in away
    )


def _passing(facts: Facts) -> bool | None:
    """Whether agents may be turned away by what is over in a moment; None where not seen."""
    if settling.restarted(facts):
        return True
    # A pod of an earlier template says what it met where it was sent then.
    pods = facts.one(objects.AGENTS)
    return None if pods is None else pods.rolling


def _remedy(facts: Facts) -> str:
    target = findings.server_target(facts)
    place = with_port(*target) if target is not None else "the agents' address"
    where = turned_away.refusing(facts) or facts.controller or "the controller"
    again = "kubectl -n kube-system delete pods -l k8s-app=konnectivity-agent"
    log = "journalctl -u k0scontroller | grep component=konnectivity"
    match turned_away.why(facts):
        case Why.STRANGER:
            said = next(iter(turned_away.strangers(facts).values()))
            return (
                f"what answers at {place} ({said}) is no konnectivity server: let the balancer or "
                f"proxy there hand TCP {target[1] if target else 8132} on to the controllers' 8132 "
                "as it is (layer 4: no TLS, no HTTP of its own), or send agents to the right "
                "address: spec.api.externalAddress, or spec.api.address"
            )
        case Why.TLS:
            return (
                f"TLS with {place} fails: compare the machines' clocks, and let spec.api.sans of "
                "k0sctl.yaml name that address; run k0sctl apply and restart k0scontroller\n"
                "a balancer there has to hand TLS through as it is"
            )
        case Why.API_SERVER:
            return (
                f"the konnectivity server on {where} cannot ask the API server about the agents' "
                f"tokens ({turned_away.words(facts)}): let user konnectivity-server on {where} "
                f"connect to localhost:{API_PORT} (output rules of its packet filter: nft list "
                "ruleset)\n"
                "agents connect again by themselves within a minute"
            )
        case Why.TOKENS:
            return (
                f"the API server does not accept the agents' tokens ({turned_away.words(facts)}): "
                "where spec.api.extraArgs.service-account-issuer, or the key that signs tokens, "
                "was changed, put it back, run k0sctl apply and restart k0scontroller\n"
                f"or keep it and let every pod get a new token, agents first: {again}"
            )
        case _:
            return (
                f"agents' tokens are not accepted; why is in the server's log: on {where} {log}: "
                f"either it does not reach the API server at localhost:{API_PORT}, or the API "
                "server refuses the tokens (spec.api.extraArgs.service-account-issuer changed)"
            )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    target = findings.server_target(facts)
    found = []
    dials = findings.server_dials(facts)
    reached = [name for name, each in dials.items() if each.all_connected]
    if reached and target is not None:
        found.append(f"not the firewall: {', '.join(reached)} connect to {with_port(*target)}")
    if not facts.on(konnectivity.LOG):
        found.append("the konnectivity server's own log was not seen: why is not known")
    flags = places.issuer(facts)
    if turned_away.why(facts) is Why.TOKENS and flags:
        found.append(f"the API server's service-account-issuer is {flags}")
    if turned_away.metrics_server_too(facts):
        found.append("metrics-server's token is not accepted either: it is no matter of the tunnel")
    return tuple(found)


KIND = CauseKind(
    Cause.AGENTS_TURNED_AWAY,
    "konnectivity agents reach their server's address and are turned away there",
    _shown,
    (HopId.EGRESS, HopId.TUNNEL),
    rivals=SANE_NODES,
    explains=(Cause.AGENTS_CANNOT_CONNECT, Cause.AGENT_MISSING, Cause.AGENTS_REACH_TOO_FEW_SERVERS),
    remedy=_remedy,
    link=f"{K0S_ISSUES}5940",
    side_facts=_side_facts,
)
