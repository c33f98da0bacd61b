"""What a cause is: what shows it, what it rests on, what it explains, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause

K0S_ISSUES = "https://github.com/k0sproject/k0s/issues/"
METRICS_SERVER_ISSUES = (
    "https://github.com/kubernetes-sigs/metrics-server/blob/master/KNOWN_ISSUES.md"
)

NETWORK = (
    Cause.KUBELET_UNREACHABLE_FROM_PODS,
    Cause.APISERVER_UNREACHABLE_FROM_PODS,
    Cause.AGENTS_CANNOT_CONNECT,
    Cause.AGENT_MISSING,
    Cause.POD_UNREACHABLE_FROM_OWN_NODE,
    Cause.CROSS_NODE_TRAFFIC_CUT,
    Cause.CLUSTER_IP_NOT_TRANSLATED,
    Cause.LARGE_PACKETS_LOST,
    Cause.WAY_TO_SERVICE_BLOCKED,
    Cause.NODE_NOT_SCRAPED,
)
# What only metrics-server's log tells of a scrape.
SCRAPES = (
    Cause.KUBELETS_REFUSE_METRICS_SERVER,
    Cause.KUBELET_CERTIFICATE_NOT_TRUSTED,
    Cause.NODE_NAMES_NOT_RESOLVED,
)
BACKEND = (Cause.METRICS_SERVER_NOT_READY, Cause.APISERVICE_MISSING)
SANE_NODES = (
    Cause.NODE_ADDRESSES_WRONG,
    Cause.CLOCK_SKEW,
    Cause.PACKETS_NOT_FORWARDED,
    Cause.CONNECTION_TABLE_FULL,
    Cause.NODE_NOT_READY,
)


@dataclass(frozen=True, eq=False)
class CauseKind:
    """One cause, and what it says in a few words.

    `shown` says whether the facts show it, None where what that takes was not seen; `rests_on` are
    the hops that must have been seen. Of its `rivals` each must have been ruled out; what it
    `explains` is no second cause. One that `passes` is what a cluster that has just come up shows
    for a while, and a broken one for ever. With one of `backend_down` metrics-server's pod is not
    Ready, or need not be: where the nodes' network is wrong it depends on the node that it came to.
    `by_the_log` is known by metrics-server's log alone where no request was made. `remedy` is what
    to do, a step or an alternative a line, with this cluster's own addresses; `side_facts` tell it
    from its neighbours, `not_seen` is what it rests on besides hops and was not seen, `link` says
    more.
    """

    cause: str
    text: str
    shown: Callable[[Facts, Hops], bool | None]
    rests_on: tuple[HopId, ...]
    rivals: tuple[str, ...] = ()
    explains: Sequence[str] = ()
    passes: bool = False
    backend_down: bool = False
    by_the_log: bool = False
    remedy: Callable[[Facts], str] = lambda _: ""
    side_facts: Callable[[Facts], tuple[str, ...]] = lambda _: ()
    not_seen: Callable[[Facts], tuple[str, ...]] = lambda _: ()
    link: str | None = None
