"""What shows the causes that lie before the API server's way out, in three values each.

None means that what it takes was not seen.
"""

from __future__ import annotations

from harness.diagnose import findings
from harness.diagnose import hops_inside
from harness.diagnose import node_findings
from harness.diagnose import passing
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId
from harness.diagnose.model import Hops
from harness.diagnose.model import does_hold


def unreachable(facts: Facts, _: Hops) -> bool | None:
    """Whether the API server does not answer."""
    answered = hops_inside.answers(facts)
    return None if answered is None else not answered


def addresses_wrong(facts: Facts, _: Hops) -> bool | None:
    """Whether nodes share an address, or have one that is not the cluster network's."""
    if facts.nodes is None:
        return None
    if node_findings.duplicate_addresses(facts.nodes) or node_findings.calico_elsewhere(
        facts.nodes
    ):
        return True
    if node_findings.stray_addresses(facts):
        return findings.suffers(facts)
    return None if node_findings.untold_addresses(facts) and findings.suffers(facts) else False


def networks_overlap(facts: Facts, _: Hops) -> bool | None:
    """Whether the cluster's networks overlap each other or the machines'."""
    found = node_findings.overlaps(facts)
    return None if found is None else bool(found)


def clock_skew(facts: Facts, _: Hops) -> bool | None:
    """Whether a machine's clock differs from the others'."""
    found = node_findings.skewed(facts)
    return None if found is None else bool(found)


def node_not_ready(facts: Facts, _: Hops) -> bool | None:
    """Whether a node is not Ready that has had its time."""
    if facts.nodes is None:
        return None
    down = [node for node in facts.nodes if not node.ready]
    return any(not findings.is_young(facts, node.created) for node in down)


def metrics_server_missing(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server is not installed, or scaled to nothing."""
    if facts.deployment is not None:
        return not facts.deployment.exists or facts.deployment.replicas == 0
    # A Deployment that makes no pods (its controller is off) would look the same.
    return True if facts.pods == () else (False if facts.pods else None)


def apiservice_missing(facts: Facts, _: Hops) -> bool | None:
    """Whether the APIService does not exist."""
    return None if facts.apiservice is None else not facts.apiservice.exists


def image_missing(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server waits for its image, and no other of its pods is Ready."""
    pods = passing.none_ready(facts)
    return None if pods is None else any(passing.waits_for_image(pod) for pod in pods)


def _runs(facts: Facts) -> bool | None:
    """Whether a container of metrics-server runs, so that it could read kubelets."""
    if facts.pods is None:
        return None
    return any(pod.phase == "Running" and not pod.waiting for pod in facts.pods)


def certificates(facts: Facts, _: Hops) -> bool | None:
    """Whether kubelets have no serving certificate that anybody approved."""
    failing = findings.failing_scrapes(facts)
    if failing and any(findings.is_about_certificates(each.why) for each in failing.values()):
        return True
    waiting = findings.unapproved(facts)
    if waiting:
        # Without an approver nothing else need be wrong, but something must be.
        return failing is None or bool(failing) or bool(passing.none_ready(facts))
    if waiting is None and failing is None:
        return None if _runs(facts) is not False else False
    return False


def kubelets_unreachable(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server can read no kubelet at all."""
    failing = findings.failing_scrapes(facts)
    if failing is None:
        return None if _runs(facts) is not False else False
    if facts.nodes is None:
        return None if failing else False
    network = {
        node for node, each in failing.items() if not findings.is_about_certificates(each.why)
    }
    ready = {node.name for node in facts.nodes if node.ready}
    if network and not ready <= network | findings.scraped(facts):
        return None
    return bool(network) and network >= ready


def not_ready(facts: Facts, hops: Hops) -> bool | None:
    """Whether metrics-server is there and not Ready, and has had its time."""
    pods = passing.none_ready(facts)
    if pods is None:
        return None
    if passing.starting(facts):
        return False
    if pods:
        again = passing.scraping_again(facts)
        return None if again is None else not again
    # A Deployment without pods is neither missing nor ready.
    return facts.pods == () and does_hold(hops, HopId.API_SERVER)
