"""Recordings of different labs told as if all were of one, so that readings of two go together.

Machines, addresses and times are those of one made-up lab; everything else stays as it was read.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.diagnose import findings
from harness.diagnose.causes import KINDS
from harness.diagnose.facts import facts_from
from harness.diagnose.judge import diagnose
from harness.diagnose.model import Diagnosis, HopId, HopState
from harness.evidence.reading import Reading
from harness.probe import controlplane, workloads
from harness.vocabulary.words import Cause
from tests.unit.recorded import readings

_NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_EPOCH = re.compile(r"(?<![\d.])1[67]\d{8}(?=\.\d|\n|$)")
_SCIENTIFIC = re.compile(r"1\.[67]\d*e\+09")
# The looks that each hop is told by.
_LOOKS = {
    HopId.API_SERVER: {"etcd_health"},
    HopId.NODES: {
        *("nodes", "addresses", "clock", "api_connections", "cluster_cidr", "kernel"),
        "node_leases",
    },
    # Why a pod is not there or not Ready is told by its own log, too.
    HopId.BACKEND: {
        *("pods", "deployment", "metrics_server_log", "pod_log", "leases"),
        *("named_pods", "named_deployments", "pod_events", "pod_after"),
    },
    HopId.ALIVE: {"health"},
    HopId.SCRAPING: {
        *("metrics_server_log", "kubelet", "csrs", "metrics_role", "metrics_binding"),
    },
    HopId.SERVICE: {"apiservice", "service", "endpoints", "named_service", "named_endpoints"},
    HopId.EGRESS: {"apiserver_environment"},
    HopId.TUNNEL: {
        *("tunnel", "listening", "agents", "agent_pods", "agent_log", "agent_server"),
        *("to_server", "apiserver_metrics", "konnectivity_processes", "konnectivity_log"),
        *("konnectivity_connections", "agent_figures", "controller_leases"),
    },
    HopId.ROUTE: {"route", "apiserver_flags"},
    HopId.DIAL: {"from_controller"},
    HopId.PATH: {"dial", "payload", "agent_payload", "policies", "service_rules"},
    HopId.LARGE: {"payload", "agent_payload"},
    HopId.CONDITION: {"apiservice"},
    HopId.DATA: {"metrics", "top_nodes", "pod_metrics", "node_pods", "kubelet_process"},
}
RESTS_ON = {kind.cause: frozenset(kind.rests_on) for kind in KINDS}
# Whose pods are not Ready, while all of their hop's state is that they are there.
_OF_PODS = {kind.cause for kind in KINDS if kind.backend_down and HopId.BACKEND in kind.rests_on}


@functools.cache
def of_one_lab(path: Path) -> tuple[Reading, ...]:
    """The walk of a recording, with metrics-server on worker1 of 192.168.56.0/24, at one time."""
    walk = readings(path)
    names = _names(walk)
    pattern = re.compile(
        "|".join(
            re.escape(each) + ("" if each.endswith(".") else r"(?!\d)")
            for each in sorted(names, key=len, reverse=True)
        )
    )
    later = _NOW - max(datetime.fromisoformat(each.at) for each in walk)
    # In whole seconds: a log's lines have fractions of their own behind them.
    later -= timedelta(microseconds=later.microseconds)
    seconds = later.total_seconds()

    def told(text: str) -> str:
        text = pattern.sub(lambda found: names[found.group()], text)
        text = _ISO.sub(
            lambda found: (datetime.fromisoformat(found.group()) + later).isoformat(
                timespec="seconds"
            ),
            text,
        )
        text = _EPOCH.sub(lambda found: str(int(found.group()) + int(seconds)), text)
        return _SCIENTIFIC.sub(lambda found: repr(float(found.group()) + seconds), text)

    return tuple(
        replace(
            each,
            probe=told(each.probe),
            where=told(each.where),
            argv=tuple(map(told, each.argv)),
            stdout=told(each.stdout),
            stderr=told(each.stderr),
            at=(datetime.fromisoformat(each.at) + later).isoformat(timespec="milliseconds"),
        )
        for each in walk
    )


@functools.cache
def told(path: Path) -> Diagnosis:
    """What is said of that walk alone."""
    return diagnose(of_one_lab(path))


def pasted(one: Path, other: Path) -> tuple[Reading, ...] | None:
    """The walk of `one` with what is broken in `other`; None where they contradict each other.

    Where both are broken in one hop, `one` has its way.
    """
    first, second = told(one), told(other)
    hops = {hop.id: hop for hop in first.hops}
    broken = second.broken
    if broken is None or broken.id not in hops or hops[broken.id].state is HopState.BROKEN:
        return None
    # A Service of one metrics-server has no pods of another one.
    strange = len(_namespaces(one) | _namespaces(other)) > 1
    if strange or (broken.id is HopId.BACKEND and first.cause in _OF_PODS):
        return None
    alone = sum(each.probe == "agent_log" for each in of_one_lab(one)) == 1
    proof = _broken(second) & RESTS_ON.get(second.cause, frozenset())
    whole = hops.keys() - _broken(first)
    # The one node that there is makes it all of them; and what is left without what proves a cause
    # shows another one, as kubelets that refuse one token, and not all.
    if (alone and second.cause == Cause.NODE_NOT_SCRAPED) or (proof and not proof & whole):
        return None
    wanted: set[str] = set()
    for hop in second.hops:
        here = hops.get(hop.id)
        ours = here is None or here.state is HopState.BROKEN
        if hop.state is not HopState.BROKEN:
            ours = (
                ours
                or hop.id in RESTS_ON.get(first.cause, frozenset())
                or hop.id not in RESTS_ON.get(second.cause, frozenset())
            )
        if hop.id is HopId.BACKEND and second.cause in _OF_PODS:
            ours = first.cause in _OF_PODS
        if not ours:
            wanted |= _LOOKS.get(hop.id, set())
    # One look tells of several hops: what is broken in `one` stays as it is.
    own = _looks(first)
    if first.cause in _OF_PODS:
        # Its pod's own words are why, although its hop says that it is there.
        own |= _LOOKS[HopId.BACKEND]
    if any(
        _LOOKS[each] & own & wanted
        for each in RESTS_ON.get(second.cause, frozenset())
        if each in _LOOKS
    ):
        return None
    wanted -= own
    kept = [each for each in of_one_lab(one) if _look(each) not in wanted]
    return (*kept, *(each for each in of_one_lab(other) if _look(each) in wanted))


@functools.cache
def _namespaces(path: Path) -> frozenset[str]:
    """The namespaces of metrics-server's pods."""
    pods = facts_from(of_one_lab(path)).one(workloads.PODS) or ()
    return frozenset(pod.namespace for pod in pods)


def _broken(found: Diagnosis) -> set[HopId]:
    return {hop.id for hop in found.hops if hop.state is HopState.BROKEN}


def _looks(found: Diagnosis) -> set[str]:
    """The looks that tell of what is broken."""
    return set().union(*(_LOOKS.get(each, set()) for each in _broken(found)))


def _look(reading: Reading) -> str:
    name, _, target = reading.probe.partition(":")
    if name == "dial" and target.endswith(":8132"):
        return "to_server"
    controls = reading.where.startswith("controller")
    return "from_controller" if name in ("dial", "payload") and controls else name


def _names(walk: tuple[Reading, ...]) -> dict[str, str]:
    """What is called how in the one lab; workers change places where metrics-server is on 0."""
    facts = facts_from(walk)
    pod, service = findings.pod_target(facts), findings.service_target(facts)
    flags = facts.of_controller(controlplane.FLAGS)
    here = ("worker1", "worker0") if pod is not None and pod[2] == "worker0" else None
    names = dict(zip(("worker0", "worker1"), here or ("worker0", "worker1"), strict=True))
    for node in facts.one(workloads.NODES) or ():
        number = names.get(node.name, "")[-1:]
        if not number:
            continue
        names |= dict.fromkeys(node.addresses[:1], f"192.168.56.{11 + int(number)}")
        if node.pod_cidr:
            names[f"{node.pod_cidr.rpartition('.')[0]}."] = f"10.244.{number}."
    if flags is not None and flags.advertised:
        names[flags.advertised] = "192.168.56.10"
    if service is not None:
        names[service[0]] = "10.96.77.77"
    if pod is not None and pod[2] in names:
        names[pod[0]] = f"10.244.{names[pod[2]][-1]}.99"
    return names
