"""Nodes share an address, or have one that is not the cluster network's."""

from __future__ import annotations

from harness.diagnose import node_findings, places, scrapes
from harness.diagnose.causes.kind import BACKEND, K0S_ISSUES, NETWORK, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import machines, workloads
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether nodes share an address, or have one that is not the cluster network's."""
    nodes = facts.one(workloads.NODES)
    if nodes is None:
        return None
    if node_findings.duplicate_addresses(nodes) or node_findings.cni_elsewhere(nodes):
        return True
    if node_findings.stray_addresses(facts) or node_findings.without_address(nodes):
        return scrapes.suffers(facts)
    return None if node_findings.untold_addresses(facts) and scrapes.suffers(facts) else False


def _remedy(facts: Facts) -> str:
    nodes = facts.one(workloads.NODES) or ()
    elsewhere = node_findings.cni_elsewhere(nodes)
    if elsewhere and not node_findings.duplicate_addresses(nodes):
        name, (cni, _) = next(iter(elsewhere.items()))
        assert cni.node_address is not None
        internal = next((n.addresses[0] for n in nodes if n.name == name and n.addresses), "")
        machine = facts.machine_of(name)
        own = facts.on(machines.ADDRESSES).get(machine) if machine is not None else None
        device = next((each.interface for each in own or () if each.address == internal), None)
        method = (
            cni.node_address.by_interface.format(device)
            if device
            else cni.node_address.by_reach.format(places.controller_address(facts))
        )
        setting = ".".join(cni.node_address.setting)
        return f"{setting}: {method}, then restart {cni.daemonset}"
    without = ", ".join(node_findings.without_address(nodes))
    if without:
        return (
            f"{without} has no InternalIP: give its host in k0sctl.yaml a privateAddress (the "
            "kubelet's --node-ip) and run k0sctl apply\n"
            "where kubelets run with --cloud-provider=external, the cloud's own controller has to "
            "set it: see whether that one runs, or leave --enable-cloud-provider away"
        )
    return (
        "give every host of k0sctl.yaml its own privateAddress (it becomes the kubelet's "
        "--node-ip), set spec.k0s.config.spec.api.address to the controller's on that network, "
        "and run k0sctl apply"
    )


KIND = CauseKind(
    Cause.NODE_ADDRESSES_WRONG,
    "nodes share an address, or have one that is not the cluster network's",
    _shown,
    (HopId.NODES,),
    explains=(*NETWORK, *BACKEND, Cause.NODE_NOT_READY),
    backend_down=True,
    remedy=_remedy,
    link=f"{K0S_ISSUES}1669",
)
