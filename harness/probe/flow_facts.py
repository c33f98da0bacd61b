"""Where a cluster's flows begin and end: its Nodes, pods, Services, API servers and machines.

Of other people's pods only these few fields are asked for: neither their environment nor their
commands are anybody's business here. A missing field is empty, a pod that is Pending has many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.base.places import with_port
from harness.evidence.reading import Reading
from harness.probe import controlplane, workloads
from harness.probe.core import ApiProbe, Probe, TargetProbe, require_success
from harness.probe.seen import seen_in
from harness.vocabulary.words import Role

METRICS_SERVER = "metrics-server"
# The name of CoreDNS's Service and its pods' k8s-app label, which Kubernetes kept from kube-dns.
DNS = "kube-dns"

_POD_FIELDS = (
    ".metadata.namespace",
    ".metadata.name",
    ".metadata.labels.k8s-app",
    ".metadata.deletionTimestamp",
    ".spec.nodeName",
    ".spec.hostNetwork",
    ".status.podIP",
    '.status.conditions[?(@.type=="Ready")].status',
    ".status.containerStatuses[?(@.state.running)].name",
    ".status.containerStatuses[?(@.state.running)].containerID",
)
_SERVICE_FIELDS = (
    ".metadata.name",
    ".spec.clusterIP",
    '.spec.ports[?(@.protocol=="TCP")].port',
)
_SERVER_FIELDS = (".endpoints[*].addresses[*]", ".ports[*].port")
# Its name, what of the tools is there, and its addresses.
_MACHINE = """\
uname -n
for tool in curl nsenter; do command -v "$tool"; done
ip -o -4 address show
"""


@dataclass(frozen=True)
class PodEnd:
    """A pod as one end of a flow; `containers` has the running ones' ids by name, bare."""

    namespace: str
    name: str
    app: str
    node: str
    address: str
    host_network: bool
    ready: bool
    leaving: bool
    containers: Mapping[str, str]

    @property
    def is_end(self) -> bool:
        """Whether it has a network of its own that can be entered, and stays."""
        return bool(not self.host_network and self.address and self.containers and not self.leaving)


@dataclass(frozen=True)
class ServiceEnd:
    """A Service: its ClusterIP and the first of its TCP ports."""

    name: str
    cluster_ip: str
    port: int


@dataclass(frozen=True)
class MachineEnd:
    """A machine that can be looked from, what `uname -n` says, and its IPv4 addresses."""

    machine: str
    role: Role
    hostname: str
    addresses: frozenset[str]
    tools: frozenset[str]


@dataclass(frozen=True)
class FlowFacts:
    """What the plan of the flows rests on; None is what could not be read, and `unread` why.

    `tunnelled` says of each controller that was seen whether its API server dials through
    konnectivity.
    """

    nodes: tuple[workloads.Node, ...] | None
    pods: tuple[PodEnd, ...] | None
    services: tuple[ServiceEnd, ...] | None
    servers: tuple[str, ...] | None
    machines: tuple[MachineEnd, ...]
    unread: tuple[str, ...]
    tunnelled: Mapping[str, bool] = field(default_factory=dict)

    def machine_of(self, node: workloads.Node) -> MachineEnd | None:
        """Return the machine that a Node is, by its InternalIP, else by its name."""
        for machine in self.machines:
            if machine.addresses & set(node.addresses):
                return machine
        return next((each for each in self.machines if each.hostname == node.name), None)

    def service(self, name: str) -> ServiceEnd | None:
        """Return a Service of kube-system by name."""
        return next((each for each in self.services or () if each.name == name), None)


def first_probes(machines: Mapping[str, Role]) -> tuple[Probe[Any], ...]:
    """Return the probes of all that is to be known before the flows can be planned."""
    return (
        *(each.look() for each in (workloads.NODES, PODS, SERVICES, SERVERS)),
        *(MACHINE.on(name, role, ("sh", "-c", _MACHINE)) for name, role in machines.items()),
        *(
            controlplane.FLAGS.on(name)
            for name, role in machines.items()
            if role is not Role.WORKER
        ),
    )


def facts_from(readings: Iterable[Reading]) -> FlowFacts:
    """Return the facts; of two readings of one look the later one counts."""
    taken = tuple(readings)
    seen = seen_in(taken, (workloads.NODES, PODS, SERVICES, SERVERS, MACHINE))
    # Apart: without it every way counts, and nothing of the plan is missing.
    flags = seen_in(taken, (controlplane.FLAGS,)).on(controlplane.FLAGS)
    return FlowFacts(
        nodes=seen.one(workloads.NODES),
        pods=seen.one(PODS),
        services=seen.one(SERVICES),
        servers=seen.one(SERVERS),
        machines=tuple(seen.to(MACHINE).values()),
        unread=tuple(seen.unseen_at.values()),
        tunnelled={name: each.egress_selector for name, each in flags.items()},
    )


def parse_pods(reading: Reading) -> tuple[PodEnd, ...]:
    """Return all pods of all namespaces, kube-system's first, then by name."""
    pods = [_pod(fields) for fields in _rows(reading, len(_POD_FIELDS))]
    return tuple(sorted(pods, key=lambda pod: (pod.namespace != "kube-system", pod.name)))


def parse_services(reading: Reading) -> tuple[ServiceEnd, ...]:
    """Return the Services that have a ClusterIP and a TCP port."""
    return tuple(
        ServiceEnd(name, cluster_ip, int(ports.split()[0]))
        for name, cluster_ip, ports in _rows(reading, len(_SERVICE_FIELDS))
        if cluster_ip not in ("", "None") and ports
    )


def parse_servers(reading: Reading) -> tuple[str, ...]:
    """Return the API servers as `address:port`, as they registered themselves."""
    return tuple(
        with_port(address, int(port))
        for addresses, ports in _rows(reading, len(_SERVER_FIELDS))
        for address in addresses.split()
        for port in ports.split()[:1]
    )


def parse_machine(reading: Reading) -> MachineEnd:
    """Return the machine; the last of the program's commands decides its status."""
    hostname, *lines = require_success(reading).splitlines()
    tools = {line.rpartition("/")[2] for line in lines if line.startswith("/")}
    words = [line.split() for line in lines if not line.startswith("/")]
    addresses = {each[each.index("inet") + 1].partition("/")[0] for each in words if "inet" in each}
    addresses = {each for each in addresses if not each.startswith("127.")}
    role = Role(reading.probe.partition(":")[2])
    return MachineEnd(reading.where, role, hostname, frozenset(addresses), frozenset(tools))


def _get(kind: str, fields: Iterable[str], *options: str) -> tuple[str, ...]:
    columns = '{"\\t"}'.join(f"{{{field}}}" for field in fields)
    template = f'{{range .items[*]}}{columns}{{"\\n"}}{{end}}'
    return ("kubectl", "get", kind, *options, "-o", f"jsonpath={template}")


def _rows(reading: Reading, width: int) -> list[list[str]]:
    rows = [line.split("\t") for line in require_success(reading).splitlines() if line.strip()]
    wrong = next((row for row in rows if len(row) != width), None)
    if wrong is not None:
        raise ValueError(f"{len(wrong)} columns instead of {width}: {wrong}")
    return rows


def _pod(fields: list[str]) -> PodEnd:
    namespace, name, app, leaving, node, host_network, address, ready, names, ids = fields
    bare = [each.rpartition("/")[2] for each in ids.split()]
    return PodEnd(
        namespace=namespace,
        name=name,
        app=app,
        node=node,
        address=address,
        host_network=host_network == "true",
        ready=ready == "True",
        leaving=bool(leaving),
        containers=dict(zip(names.split(), bare, strict=True)),
    )


PODS = ApiProbe("flow_pods", _get("pods", _POD_FIELDS, "-A"), parse_pods, deadline=20.0)
SERVICES = ApiProbe(
    "flow_services", _get("services", _SERVICE_FIELDS, "-n", "kube-system"), parse_services
)
SERVERS = ApiProbe(
    "flow_servers",
    _get(
        "endpointslices",
        _SERVER_FIELDS,
        *("-n", "default", "-l", "kubernetes.io/service-name=kubernetes"),
    ),
    parse_servers,
)
MACHINE = TargetProbe("flow_machine", parse_machine)
"""A machine as a flow's end; the target is its role, which the machine itself does not know."""
