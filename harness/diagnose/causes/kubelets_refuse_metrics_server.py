"""Kubelets answer metrics-server, and refuse."""

from __future__ import annotations

from harness.diagnose import findings, places, scrapes, turned_away
from harness.diagnose.causes.kind import BACKEND, METRICS_SERVER_ISSUES, SANE_NODES, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.failures import FailedOf, status_of
from harness.diagnose.model import HopId, Hops
from harness.k0s import KUBELET_PORT
from harness.probe import rbac, workloads
from harness.vocabulary.words import Cause

_UNAUTHORIZED = 401
_FORBIDDEN = 403
# What a kubelet says of its metrics where it does not give them (pkg/kubelet/server/server.go).
_OF_KUBELETS = frozenset({_UNAUTHORIZED, _FORBIDDEN, 500})


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether a kubelet answered a scrape with a status that is no success, for its own reasons."""
    if turned_away.metrics_server_too(facts):
        return False
    return scrapes.any_failing_of(facts, FailedOf.STATUS)


def _statuses(facts: Facts) -> set[int | None]:
    failing = scrapes.failing_of(facts, FailedOf.STATUS) or {}
    return {status_of(each.why) for each in failing.values()}


def _remedy(facts: Facts) -> str:
    nodes = scrapes.failing_of(facts, FailedOf.STATUS) or {}
    statuses = _statuses(facts)
    namespace, account = _account(facts)
    if _FORBIDDEN in statuses and not facts.led.own:
        return (
            f"give a ClusterRole that is bound to ServiceAccount {namespace}/{account} the verb "
            f"get on {rbac.WANTED}: apply again the chart or the manifests that it came from\n"
            "figures are back within a minute: kubelets ask again for what they refused after 30 "
            "seconds"
        )
    if _FORBIDDEN in statuses:
        touch = f"touch {places.data_dir(facts)}/manifests/metricserver/*.yaml"
        return (
            f"give ClusterRole {rbac.ROLE} the verb get on {rbac.WANTED}, bound to ServiceAccount "
            "kube-system/metrics-server: kubectl delete clusterrole,clusterrolebinding "
            f"{rbac.ROLE}\n"
            f"and on {facts.controller or 'the controller'}: {touch}, which makes k0s apply "
            "both anew (what is only edited it leaves as it is)\n"
            "figures are back within a minute: kubelets ask again for what they refused after 30 "
            "seconds, and for what they granted after 5 minutes"
        )
    if _UNAUTHORIZED in statuses:
        pod = findings.metrics_pod(facts)
        which = "-l k8s-app=metrics-server" if facts.led.own or pod is None else pod.name
        return (
            f"the kubelets of {', '.join(nodes)} do not take metrics-server's token: give it a "
            f"new one with kubectl -n {namespace} delete pod {which}\n"
            "where that does not help, see why: journalctl -u k0sworker | grep -i "
            "'authenticat' on the node (a kubelet asks the API server about each token)"
        )
    said = ", ".join(f"HTTP {each}" for each in statuses if each is not None) or "an error"
    where = f"the kubelets of {', '.join(nodes)} answer with {said}"
    if statuses.isdisjoint({None, *_OF_KUBELETS}):
        return (
            f"{where}, which a kubelet does not say of its metrics: see what else answers at TCP "
            f"{KUBELET_PORT} there (ss -ltnp, nft list ruleset, iptables-save), and take it out of "
            "the way"
        )
    return (
        f"{where}: look there for why with journalctl -u k0sworker -n 100 "
        "| grep component=kubelet\n"
        "where that says `Authorization error`, the kubelet could not ask the API server about "
        "metrics-server's rights"
    )


def _account(facts: Facts) -> tuple[str, str]:
    """Return the namespace and the name of metrics-server's ServiceAccount."""
    pod = findings.metrics_pod(facts)
    return facts.led.namespace, (pod.account if pod is not None else "") or "metrics-server"


def _side_facts(facts: Facts) -> tuple[str, ...]:
    """Return what of its rights is missing; the network is not."""
    found = []
    if _FORBIDDEN in _statuses(facts):
        # Another one's may have any name.
        own = facts.led.own
        role = facts.one(rbac.METRICS_ROLE) if own else None
        binding = facts.one(rbac.METRICS_BINDING) if own else None
        if role is not None and not role.exists:
            found.append(f"there is no ClusterRole {rbac.ROLE}")
        elif role is not None and not role.reads_kubelets:
            found.append(f"ClusterRole {rbac.ROLE} has no rule for get on {rbac.WANTED}")
        if binding is not None and not binding.accounts:
            found.append(f"ClusterRoleBinding {rbac.ROLE} binds no ServiceAccount to it")
        who = ":".join(("system:serviceaccount", *_account(facts)))
        found.append(f"see with: kubectl auth can-i get {rbac.WANTED} --as={who}")
    names = [node.name for node in facts.one(workloads.NODES) or ()]
    reached = [name for name in names if (each := scrapes.kubelets(facts).get(name)) and each.tls]
    if reached:
        found.append(f"the network is not it: kubelets of {', '.join(reached)} answer the pod")
    return tuple(found)


KIND = CauseKind(
    Cause.KUBELETS_REFUSE_METRICS_SERVER,
    "kubelets answer metrics-server and refuse",
    _shown,
    (HopId.BACKEND, HopId.SCRAPING),
    rivals=SANE_NODES,
    explains=(*BACKEND, Cause.NODE_NOT_SCRAPED),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    link=METRICS_SERVER_ISSUES,
    side_facts=_side_facts,
)
