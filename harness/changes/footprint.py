"""The state that `undo: exact` promises to bring back, on every machine and in the API.

What Kubernetes and its plugins move by themselves is left out: pods, leases, endpoints, interfaces
and routes of pods, iptables chains of kube-proxy and of CNIs, counters. IPv6 is left out, too: no
lab uses it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness import cni
from harness.base.errors import InconclusiveError
from harness.changes.objects import Object, essence, object_name
from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, observe, require_json, require_success

# What a fact is about (a machine, or the API), its kind and its name; its value is compared.
Key: TypeAlias = tuple[str, str, str]
Facts: TypeAlias = Mapping[Key, str]

# A machine's whole ruleset is some 400 rules; kube-system has some 60 objects.
MACHINE_SECONDS = 20.0
API_SECONDS = 30.0

# Tunnels of the kernel's own kinds, beside those of the cluster's network.
_TUNNELS = ("tun", "gre", "erspan", "ip6", "ip_vti", "sit", "docker")
# These follow an interface's addresses, which are compared.
_DERIVED_ROUTES = frozenset({"local", "broadcast", "multicast", "anycast"})
_VOLATILE = frozenset({"handle", "packets", "bytes", "index"})

# Lines are sorted: k0s writes arguments of its network provider in the order of a Go map, another
# one at each start (seen with v1.32.3+k0s.0), and k0sctl the time into a comment of k0s.yaml.
_FILES = """\
for place in /var/lib/k0s/manifests /etc/k0s /etc/systemd/system /etc/environment; do
    [ -e "$place" ] || continue
    find "$place" -type f \\( -path '*k0s*' -o -path /etc/environment \\) ! -name '*token*' \\
        -exec sh -c 'for file; do
            printf "%s  %s\\n" "$(grep -v "^#" "$file" | sort | sha256sum | cut -c1-64)" "$file"
        done' sh {} +
done
"""
# k0s's own, both made of the text of the manifest's file.
_OF_ITS_FILE = frozenset(
    {"k0s.k0sproject.io/last-applied-configuration", "k0s.k0sproject.io/stack-checksum"}
)
_PROGRAMS = "k0s,kube-apiserver,kubelet,konnectivity-se,konnectivity-server"
# Not Secrets, which are never read, and nothing that controllers make of these. Namespaces and
# APIServices are in none: a kubectl of their own would take as long as that of all others.
_KINDS = (
    "deployments.apps,daemonsets.apps,statefulsets.apps,services,configmaps,serviceaccounts,"
    "resourcequotas,limitranges,roles.rbac.authorization.k8s.io,"
    "rolebindings.rbac.authorization.k8s.io,namespaces,apiservices.apiregistration.k8s.io"
)


@dataclass(frozen=True)
class Footprint:
    """Facts by what they are about; two footprints are compared fact by fact."""

    facts: Facts


def probes(machines: Iterable[str]) -> tuple[Probe[Facts], ...]:
    """Return what is to be read."""
    on_machines = [
        probe
        for machine in machines
        for probe in (
            _probe("rules", machine, ("nft", "-s", "-j", "list", "ruleset"), parse_rules),
            _ip("routes", machine, ("route", "show", "table", "all"), parse_routes),
            _ip("policies", machine, ("rule", "show"), parse_policies),
            _probe("links", machine, ("ip", "-json", "address", "show"), parse_links),
            _probe("files", machine, ("sh", "-c", _FILES), parse_files),
            _probe(
                "programs",
                machine,
                ("ps", "-C", _PROGRAMS, "-o", "args=", "-ww"),
                parse_programs,
            ),
        )
    ]
    return (
        *on_machines,
        _api(_KINDS, "-n", "kube-system"),
        _api("networkpolicies.networking.k8s.io", "--all-namespaces"),
    )


def from_readings(machines: Iterable[str], readings: Iterable[Reading]) -> Footprint:
    """Return the footprint; raises `InconclusiveError` where a part of it could not be read."""
    parsers = {(probe.where, probe.argv): probe for probe in probes(machines)}
    facts: dict[Key, str] = {}
    for reading in readings:
        probe = parsers[reading.where, reading.argv]
        observation = observe(probe.parse, reading)
        if observation.value is None:
            raise InconclusiveError(
                f"Reading the {probe.name} of {reading.where}", observation.problem or ""
            )
        facts.update(observation.value)
    return Footprint(facts)


def differences(before: Footprint, after: Footprint) -> tuple[str, ...]:
    """Return in sentences what of `after` is not as it was `before`; nothing where all is."""
    sentences: list[str] = []
    for key in sorted(before.facts.keys() | after.facts.keys()):
        was, is_ = before.facts.get(key), after.facts.get(key)
        if was == is_:
            continue
        where, kind, name = key
        what = f"{'the API' if where == API else where}: {kind} {name}"
        if was is None:
            sentences.append(f"{what} was not there before")
        elif is_ is None:
            sentences.append(f"{what} is gone")
        else:
            sentences.append(f"{what} is not as before")
    return tuple(sentences)


def parse_rules(reading: Reading) -> Facts:
    """Return tables, chains and rules of nftables, without those of Kubernetes, its plugins' too.

    Rules of one text count once, and their order in a chain does not: network providers put their
    own in front again and again.
    """
    facts: dict[Key, str] = {}
    for entry in require_json(reading)["nftables"]:
        ((kind, body),) = entry.items()
        if kind == "metainfo" or _is_plugins(kind, body):
            continue
        place = " ".join(
            str(body[key]) for key in ("family", "table", "chain", "name") if key in body
        )
        text = json.dumps(_stable(body), sort_keys=True)
        if kind == "rule":
            facts[reading.where, "nftables rule", f"{place}: {_short(text)}"] = text
        else:
            facts[reading.where, f"nftables {kind}", place] = text
    return facts


def parse_routes(reading: Reading) -> Facts:
    """Return the routes of all tables, without plugins' and those that follow addresses."""
    facts: dict[Key, str] = {}
    for route in require_json(reading):
        kind = route.get("type", "unicast")
        if (
            kind in _DERIVED_ROUTES
            or route.get("protocol") in cni.route_protocols()
            or _is_plugins_interface(route.get("dev", ""))
        ):
            continue
        # linkdown and dead follow the interface's state, and DHCP's routes run out and are renewed.
        kept = {key: value for key, value in route.items() if key not in ("flags", "expires")}
        words = [kind, route["dst"], *_after("via", route, "gateway"), *_after("dev", route, "dev")]
        words += _after("metric", route, "metric") + _after("table", route, "table")
        facts[reading.where, "route", " ".join(words)] = json.dumps(kept, sort_keys=True)
    return facts


def parse_policies(reading: Reading) -> Facts:
    """Return the rules that choose a routing table."""
    texts = [json.dumps(rule, sort_keys=True) for rule in require_json(reading)]
    return {(reading.where, "routing policy", text): "" for text in texts}


def parse_links(reading: Reading) -> Facts:
    """Return each of the machine's own interfaces: whether it is up, its MTU, its addresses."""
    facts: dict[Key, str] = {}
    for link in require_json(reading):
        if _is_plugins_interface(link["ifname"]):
            continue
        addresses = sorted(
            f"{each['local']}/{each['prefixlen']}"
            for each in link["addr_info"]
            if each["family"] == "inet"
        )
        state = "up" if "UP" in link["flags"] else "down"
        facts[reading.where, "interface", link["ifname"]] = (
            f"{state}, MTU {link['mtu']}, {', '.join(addresses)}"
        )
    return facts


def parse_files(reading: Reading) -> Facts:
    """Return the checksums of k0s's units, configuration and manifests."""
    facts: dict[Key, str] = {}
    for line in require_success(reading).splitlines():
        checksum, path = line.split(maxsplit=1)
        facts[reading.where, "file", path] = checksum
    return facts


def parse_programs(reading: Reading) -> Facts:
    """Return the arguments of k0s, its API server, its konnectivity server and its kubelet.

    `k0s` is the name of a command at work, too, such as `k0s status`: only the services count.
    """
    facts: dict[Key, str] = {}
    for line in reading.stdout.splitlines():
        program, *arguments = line.split()
        name = program.rpartition("/")[2]
        if name == "k0s":
            if not arguments or arguments[0] not in ("controller", "worker"):
                continue
            name = f"k0s {arguments[0]}"
        # k0s hands its components' flags over in the order of a Go map: another each time.
        facts[reading.where, "arguments of", name] = " ".join(sorted(arguments))
    if not facts:
        require_success(reading)
    return facts


def parse_objects(reading: Reading) -> Facts:
    """Return a checksum of what was wished for, for each object of a list."""
    return {
        (API, "object", object_name(item)): _checksum(_wished(item))
        for item in require_json(reading)["items"]
    }


def _wished(item: Object) -> str:
    """Return an object's wish as text, without what k0s writes another time in another order."""
    wish = copy.deepcopy(essence(item))
    annotations = wish["metadata"].get("annotations") or {}
    for name in _OF_ITS_FILE & set(annotations):
        del annotations[name]
    template = wish.get("spec", {}).get("template", {}).get("spec", {})
    for container in template.get("containers", ()):
        if "args" in container:
            container["args"] = sorted(container["args"])
    return json.dumps(wish, sort_keys=True)


def _probe(name: str, machine: str, argv: tuple[str, ...], parse: Any) -> Probe[Facts]:  # noqa: ANN401
    return Probe(name, machine, argv, parse, sudo=True, deadline=MACHINE_SECONDS)


def _ip(name: str, machine: str, words: tuple[str, ...], parse: Any) -> Probe[Facts]:  # noqa: ANN401
    return _probe(name, machine, ("ip", "-4", "-json", *words), parse)


def _api(kinds: str, *where: str) -> Probe[Facts]:
    argv = ("kubectl", "get", kinds, *where, "-o", "json")
    return Probe(f"objects:{kinds}", API, argv, parse_objects, deadline=API_SECONDS)


def _is_plugins(kind: str, body: Mapping[str, Any]) -> bool:
    if (body["name"] if kind == "table" else body.get("table")) in cni.tables():
        return True
    if kind in ("set", "map", "element"):
        return True
    chain = str(body.get("name" if kind == "chain" else "chain", ""))
    theirs = cni.chains()
    return chain.startswith(theirs) or any(
        _target(expression).startswith(theirs) for expression in body.get("expr", ())
    )


def _target(expression: object) -> str:
    """Return the chain that an expression of a rule jumps or goes to."""
    if isinstance(expression, Mapping):
        for word in ("jump", "goto"):
            if word in expression:
                return str(expression[word]["target"])
    return ""


def _stable(value: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, Mapping):
        return {key: _stable(inner) for key, inner in value.items() if key not in _VOLATILE}
    return [_stable(inner) for inner in value] if isinstance(value, list) else value


def _is_plugins_interface(name: str) -> bool:
    return name.startswith((*_TUNNELS, *cni.interfaces()))


def _after(word: str, route: Mapping[str, Any], key: str) -> list[str]:
    return [word, str(route[key])] if key in route else []


def _short(text: str) -> str:
    return _checksum(text)[:12]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
