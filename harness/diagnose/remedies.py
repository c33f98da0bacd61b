"""What to do about each cause, with this cluster's own addresses, networks and nodes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping

from harness.cluster.existing import DATA_DIR
from harness.diagnose import findings
from harness.diagnose import hops_way
from harness.diagnose import node_findings
from harness.diagnose.facts import Facts
from harness.probe import controlplane
from harness.scenario.words import Cause

_K0S = "https://github.com/k0sproject/k0s/issues/"
_NETWORKING = "https://docs.k0sproject.io/stable/networking/"
LINKS: Mapping[Cause, str] = {
    Cause.NODE_ADDRESSES_WRONG: f"{_K0S}1669",
    Cause.NETWORKS_OVERLAP: "https://docs.k0sproject.io/stable/configuration/#specnetwork",
    Cause.APISERVICE_MISSING: f"{_K0S}1192",
    Cause.METRICS_SERVER_MISSING: f"{_K0S}1192",
    Cause.IMAGE_MISSING: "https://docs.k0sproject.io/stable/airgap-install/",
    Cause.KUBELET_UNREACHABLE_FROM_PODS: f"{_K0S}4016",
    Cause.KUBELET_CERTIFICATES_NOT_APPROVED: (
        "https://github.com/kubernetes-sigs/metrics-server/issues/146"
    ),
    Cause.PROXY_IN_ENVIRONMENT: "https://docs.k0sproject.io/stable/environment-variables/",
    Cause.NO_ROUTE_TO_SERVICE_NETWORK: f"{_K0S}5781",
    Cause.NO_ROUTE_TO_POD_NETWORK: f"{_K0S}5781",
    Cause.WAY_TO_SERVICE_BLOCKED: _NETWORKING,
    Cause.AGENTS_CANNOT_CONNECT: f"{_K0S}5809",
    Cause.AGENT_MISSING: f"{_K0S}1113",
    Cause.TUNNEL_DOWN: f"{_K0S}5809",
    Cause.CROSS_NODE_TRAFFIC_CUT: _NETWORKING,
    Cause.LARGE_PACKETS_LOST: f"{_K0S}2822",
    Cause.NODE_NOT_SCRAPED: (
        "https://github.com/kubernetes-sigs/metrics-server/blob/master/KNOWN_ISSUES.md"
    ),
}


def remedies(facts: Facts, cause: Cause) -> tuple[str, ...]:
    """Return what to do, a step or an alternative each; nothing where nothing is known.

    Below, each is a line of one text.
    """
    make = _REMEDIES.get(cause)
    return tuple(make(facts).splitlines()) if make is not None else ()


def _proxied(facts: Facts) -> str:
    flags, proxy = facts.apiserver_flags, facts.proxy
    target = hops_way.dialled(facts)
    networks = [
        *([proxy.no_proxy] if proxy is not None and proxy.no_proxy else []),
        (flags.service_cidr if flags is not None else "") or (target[0] if target else ""),
        facts.cluster_cidr or "",
    ]
    return (
        f"in k0sctl.yaml, under environment of the host {facts.controller}, set NO_PROXY: "
        f"{','.join(each for each in networks if each)}\n"
        f"run k0sctl apply, and on {facts.controller}: systemctl restart k0scontroller"
    )


def _no_route_to_service(facts: Facts) -> str:
    flags = facts.apiserver_flags
    cidr = flags.service_cidr if flags is not None else ""
    target = hops_way.dialled(facts)
    route = facts.route(target[0]) if target is not None else None
    if route is not None and route.kind != "unicast" and route.prefix is not None:
        return (
            f"on {facts.controller}: ip route del {route.kind} {route.prefix}\n"
            "and then, while konnectivity stays off, a route to the Service network "
            f"({_via(facts, cidr)}), or enable konnectivity"
        )
    text = (
        "enable konnectivity: remove konnectivity-server from --disable-components "
        "in the controller's installFlags and run k0sctl apply"
    )
    way = _via(facts, cidr)
    return f"{text}\nor, while it stays off, on the controller: {way}" if way else text


def _no_route_to_pods(facts: Facts) -> str:
    routes = [
        f"ip route add {node.pod_cidr} via {node.addresses[0]}"
        for node in facts.nodes or ()
        if node.pod_cidr and node.addresses and facts.machine_of(node.name) != facts.controller
    ]
    return (
        "the API server dials pods (enable-aggregator-routing); on the controller: "
        f"{'; '.join(routes) or 'a route to each pod network of a worker'}\n"
        "or enable konnectivity: remove konnectivity-server from --disable-components in the "
        "controller's installFlags and run k0sctl apply"
    )


def _way_blocked(facts: Facts) -> str:
    policies = findings.isolating_policies(facts) or ()
    pod = findings.pod_target(facts)
    port = pod[1] if pod is not None else findings.METRICS_PORT
    if policies:
        names = ", ".join(each.name for each in policies)
        sources = _controller_address(facts)
        return (
            f"let NetworkPolicy {names} in kube-system admit TCP {port} from whoever dials: "
            f"ingress from ipBlock {sources or 'the controller'}/32 while konnectivity is off, "
            "from podSelector k8s-app=konnectivity-agent while it is on\n"
            f"or remove it: kubectl -n kube-system delete networkpolicy {policies[0].name}"
        )
    target = hops_way.dialled(facts)
    place = f"{target[0]}:{target[1]}" if target is not None else "metrics-server"
    route = facts.route(target[0]) if target is not None else None
    via = f" through {route.gateway}" if route is not None and route.gateway else ""
    return (
        f"something drops or refuses TCP from {facts.controller or 'the controller'} to {place}"
        f"{via}: on that machine and on the pod's node allow it in the firewall "
        f"(forwarded TCP to {place} and to port {port} of the pods)\n"
        "see what stands there with: nft list ruleset; iptables-save"
    )


def _agents(facts: Facts, only: tuple[str, ...] = ()) -> str:
    target = findings.server_target(facts)
    place = f"{target[0]}:{target[1]}" if target is not None else "TCP 8132 of the controller"
    elsewhere = _not_the_controllers(facts)
    if elsewhere:
        return (
            f"agents are sent to {elsewhere}, and workers reach the API server at "
            f"{_reached_at(facts)}: in k0sctl.yaml set spec.k0s.config.spec.api.address: "
            f"{_reached_at(facts)} (and sans), run k0sctl apply\n"
            "and restart k0scontroller on the controller, which k0sctl does not"
        )
    port = target[1] if target is not None else controlplane.AGENT_PORT
    workers = [
        address
        for node in facts.nodes or ()
        if not only or facts.machine_of(node.name) in only
        for address in node.addresses
    ]
    allowed = ", ".join(workers) or "every worker"
    said = findings.unconnected(facts)
    if any("x509" in each.why or "uthenti" in each.why for each in said.values()):
        return (
            f"agents reach {place} and are turned away: {next(iter(said.values())).why}\n"
            "compare the machines' clocks, and that spec.api.sans names that address"
        )
    return (
        f"let {allowed} reach {place}: on the controller open TCP {port} "
        f"(firewalld: firewall-cmd --permanent --add-port={port}/tcp && firewall-cmd --reload)\n"
        "agents connect again by themselves within 10 seconds"
    )


def _agent_missing(facts: Facts) -> str:
    agents = facts.agent_pods
    without = [n.name for n in facts.nodes or () if agents is not None and n.name not in agents]
    if without:
        return (
            f"no agent runs on {', '.join(without)}: "
            "kubectl -n kube-system describe daemonset konnectivity-agent"
        )
    lost = [name for name, each in findings.server_dials(facts).items() if not each.all_connected]
    if not lost:
        lost = list(findings.unconnected(facts))
    if not lost:
        return (
            "see which worker's agent is not connected: on each worker "
            "tail /var/log/pods/kube-system_konnectivity-agent-*/*/*.log"
        )
    return f"only {', '.join(lost)} cannot: {_agents(facts, tuple(lost))}"


def _tunnel_down(facts: Facts) -> str:
    if facts.tunnel is not None and not facts.tunnel.listening:
        return (
            f"the konnectivity server on {facts.controller} is down: journalctl -u k0scontroller "
            "| grep component=konnectivity; restart k0scontroller"
        )
    return (
        "let every worker reach TCP 8132 on the controller, then look at "
        "the konnectivity-agent logs on the workers (kubectl logs dies with the tunnel)"
    )


def _kubelets(facts: Facts) -> str:
    failing = findings.failing_scrapes(facts) or {}
    names = set(failing) or set(findings.missing_figures(facts) or ())
    nodes = [node for node in facts.nodes or () if node.name in names]
    to = ", ".join(address for node in nodes for address in node.addresses) or "every worker"
    pod = findings.metrics_pod(facts)
    sources = facts.cluster_cidr or "the pods' network"
    home = [
        address
        for node in facts.nodes or ()
        if pod is not None and node.name == pod.node
        for address in node.addresses
    ]
    also = f" and from {home[0]}, behind which other nodes see them" if home else ""
    return (
        f"open TCP {findings.KUBELET_PORT} on {to} for {sources}{also}\n"
        f"firewalld: firewall-cmd --permanent --zone=trusted --add-source={sources} "
        "&& firewall-cmd --reload"
    )


def _certificates(facts: Facts) -> str:
    waiting = [each.name for each in facts.csrs or () if not each.approved and not each.denied]
    names = " ".join(waiting) or "$(kubectl get csr -o name)"
    return (
        f"kubectl certificate approve {names}\n"
        "and remove csr-approver from --disable-components in the controller's installFlags"
    )


def _image(facts: Facts) -> str:
    pod = findings.metrics_pod(facts)
    image = ", ".join(pod.images) if pod is not None else "metrics-server's image"
    node = pod.node if pod is not None and pod.node else "the node"
    return (
        f"get {image} onto {node}: let it be pulled, or put it into an image bundle in "
        f"{_data_dir(facts)}/images/ there and restart k0sworker\n"
        "or correct spec.images.metricsserver in the ClusterConfig"
    )


def _data_dir(facts: Facts) -> str:
    return facts.apiserver_flags.data_dir if facts.apiserver_flags is not None else DATA_DIR


def _missing(facts: Facts) -> str:
    deployment = facts.deployment
    if deployment is not None and deployment.exists:
        return "kubectl -n kube-system scale deployment metrics-server --replicas=1"
    return (
        "metrics-server is not installed: remove metrics-server from --disable-components in the "
        "controller's installFlags and run k0sctl apply"
    )


def _addresses(facts: Facts) -> str:
    nodes = facts.nodes or ()
    calico = node_findings.calico_elsewhere(nodes)
    if calico and not node_findings.duplicate_addresses(nodes):
        name = next(iter(calico))
        internal = next((n.addresses[0] for n in nodes if n.name == name and n.addresses), "")
        machine = facts.machine_of(name)
        own = facts.addresses(machine) if machine is not None else None
        device = next((each.interface for each in own or () if each.address == internal), None)
        method = f"interface={device}" if device else f"can-reach={_controller_address(facts)}"
        return f"spec.network.calico.ipAutodetectionMethod: {method}, then restart calico-node"
    return (
        "give every host of k0sctl.yaml its own privateAddress (it becomes the kubelet's "
        "--node-ip), set spec.k0s.config.spec.api.address to the controller's on that network, "
        "and run k0sctl apply"
    )


def _overlap(facts: Facts) -> str:
    found = "; ".join(node_findings.overlaps(facts) or ())
    return (
        f"choose spec.network.podCIDR and serviceCIDR apart from the machines' networks ({found}); "
        "they cannot be changed later: it takes a new cluster"
    )


def _clocks(facts: Facts) -> str:
    skewed = node_findings.skewed(facts) or {}
    return (
        f"set the time of {', '.join(skewed)} and keep it set (chrony or systemd-timesyncd: "
        "timedatectl set-ntp true), then restart k0s there"
    )


def _cross_node(facts: Facts) -> str:
    networks = [
        f"{node.pod_cidr} via {node.addresses[0]}"
        for node in facts.nodes or ()
        if node.pod_cidr and node.addresses
    ]
    return (
        "let workers forward pods' traffic to each other: on each, ip route shows the others' pod "
        f"networks ({', '.join(networks)}), and the firewall forwards them\n"
        "kube-router wants TCP 179 between workers (and IP protocol 4 across subnets), "
        "Calico UDP 4789"
    )


def _large(facts: Facts) -> str:
    least: dict[str, int] = {}
    for machine, addresses in facts.by_machine.get("addresses", {}).items():
        least[machine] = min((each.mtu for each in addresses if each.mtu), default=0)
    seen = ", ".join(f"{machine} {mtu}" for machine, mtu in least.items() if mtu)
    return (
        "find the packet size that passes between the nodes: ping -M do -s 1472 NODE, then less; "
        f"interfaces' least MTU: {seen or 'not seen'}\n"
        "and set it: spec.network.calico.mtu, or kuberouter autoMTU: false with mtu; "
        "then make the pods anew"
    )


def _via(facts: Facts, cidr: str) -> str:
    workers = [node for node in facts.nodes or () if node.ready and node.addresses]
    return f"ip route add {cidr} via {workers[0].addresses[0]}" if cidr and workers else ""


def _controller_address(facts: Facts) -> str:
    return _reached_at(facts) or (facts.apiserver_flags.advertised if facts.apiserver_flags else "")


def _reached_at(facts: Facts) -> str:
    """Return the address at which workers reach the API server, empty where that was not seen."""
    peers = [
        peer
        for found in facts.by_machine.get("api_connections", {}).values()
        for _, peer in found
        if not peer.startswith("127.")
    ]
    return max(peers, key=peers.count) if peers else ""


def _not_the_controllers(facts: Facts) -> str:
    """Return where agents are sent, if that is not where workers reach the API server."""
    target = findings.server_target(facts)
    reached = _reached_at(facts)
    return target[0] if target is not None and reached and target[0] != reached else ""


_REMEDIES: Mapping[Cause, Callable[[Facts], str]] = {
    Cause.APISERVER_UNREACHABLE: lambda _: (
        "see whether it runs: on the controller, k0s status and journalctl -u k0scontroller -n 50"
    ),
    Cause.NODE_NOT_READY: lambda facts: (
        "on "
        + ", ".join(node.name for node in facts.nodes or () if not node.ready)
        + ": systemctl status k0sworker; journalctl -u k0sworker -n 50"
    ),
    Cause.NODE_ADDRESSES_WRONG: _addresses,
    Cause.NETWORKS_OVERLAP: _overlap,
    Cause.CLOCK_SKEW: _clocks,
    # k0s applies a manifest again when its file changes, and not when its object is gone (seen on
    # v1.32.3+k0s.0: not within 60 s, and 4 s after the touch).
    Cause.APISERVICE_MISSING: lambda facts: (
        f"metrics-server's APIService is gone: on {facts.controller or 'the controller'}: touch "
        f"{_data_dir(facts)}/manifests/metricserver/*, after which k0s applies it again; without "
        "that folder remove metrics-server from --disable-components and run k0sctl apply"
    ),
    Cause.METRICS_SERVER_MISSING: _missing,
    Cause.IMAGE_MISSING: _image,
    Cause.KUBELET_UNREACHABLE_FROM_PODS: _kubelets,
    Cause.KUBELET_CERTIFICATES_NOT_APPROVED: _certificates,
    Cause.METRICS_SERVER_NOT_READY: lambda _: (
        "look at the metrics-server pod: kubectl -n kube-system describe pod "
        "-l k8s-app=metrics-server"
    ),
    Cause.PROXY_IN_ENVIRONMENT: _proxied,
    Cause.NO_ROUTE_TO_SERVICE_NETWORK: _no_route_to_service,
    Cause.NO_ROUTE_TO_POD_NETWORK: _no_route_to_pods,
    Cause.WAY_TO_SERVICE_BLOCKED: _way_blocked,
    Cause.AGENTS_CANNOT_CONNECT: _agents,
    Cause.AGENT_MISSING: _agent_missing,
    Cause.TUNNEL_DOWN: _tunnel_down,
    Cause.CROSS_NODE_TRAFFIC_CUT: _cross_node,
    Cause.LARGE_PACKETS_LOST: _large,
    Cause.NODE_NOT_SCRAPED: _kubelets,
    Cause.SETTLING: lambda _: (
        "look again then; if it says the same, it is none of the causes that are known here"
    ),
}
