"""Choosing subnets that nothing on this host uses, and addresses in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from harness.base.errors import HostLacksError
from harness.base.process import Runner

# k0s's defaults for pods and services (10.244.0.0/16, 10.96.0.0/12): a lab inside them would make
# the very faults that scenarios are about.
POD_NETWORK = IPv4Network("10.244.0.0/16")
SERVICE_NETWORK = IPv4Network("10.96.0.0/12")
# VirtualBox allows host-only networks in 192.168.56.0/21 only, without /etc/vbox/networks.conf; so
# private networks come from there, and NAT networks, which the host itself makes, from elsewhere.
PRIVATE_RANGE = IPv4Network("192.168.56.0/21")
MORE_PRIVATE_RANGES = (IPv4Network("172.31.64.0/18"), IPv4Network("10.213.0.0/16"))
NAT_RANGES = (IPv4Network("172.30.64.0/18"), IPv4Network("10.212.0.0/16"))
# The bridge's own address; the plan's machines begin well above it.
GATEWAY_OFFSET = 1
# Tunnels set the default route as two halves (0.0.0.0/1, 128.0.0.0/1), and no network of somebody's
# own is wider than 10.0.0.0/8.
SHORTEST_PREFIX = 8

# What `ip` is asked, here and on the host of a libvirt elsewhere.
ADDRESSES = ("ip", "-j", "-4", "address")
ROUTES = ("ip", "-j", "-4", "route", "show", "table", "all")
# `ip` answers at once; this only bounds a host that is out of breath.
IP_SECONDS = 20.0


def choose_free(
    used: Iterable[IPv4Network], ranges: Iterable[IPv4Network], *, what: str
) -> IPv4Network:
    """Return the first /24 of `ranges` that overlaps neither `used` nor a cluster's networks.

    Raises `HostLacksError` when every one is taken.
    """
    taken = (*used, POD_NETWORK, SERVICE_NETWORK)
    for candidate in _each_24(ranges):
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise HostLacksError(
        f"Choosing a subnet for the lab's {what} network",
        "every one that may be used is taken on this host",
        remedy="k0s-harness labs lists what earlier runs left; k0s-harness labs --clean removes it",
    )


def choose_private(used: Iterable[IPv4Network], ranges: Iterable[IPv4Network]) -> IPv4Network:
    """Return a free subnet of `ranges` for the network that carries the cluster."""
    return choose_free(used, ranges, what="private")


def choose_nat(used: Iterable[IPv4Network]) -> IPv4Network:
    """Return a free subnet for the network with the default route."""
    return choose_free(used, NAT_RANGES, what="NAT")


def gateway(subnet: IPv4Network) -> IPv4Address:
    """Return the host's own address in `subnet`."""
    return subnet[GATEWAY_OFFSET]


def host_networks(runner: Runner) -> tuple[IPv4Network, ...]:
    """Return what this host's interfaces and routes use, the default route left out."""
    addresses = runner.run(ADDRESSES, doing="Reading this host's addresses", deadline=IP_SECONDS)
    routes = runner.run(ROUTES, doing="Reading this host's routes", deadline=IP_SECONDS)
    return (*parse_addresses(addresses.stdout), *parse_routes(routes.stdout))


def parse_addresses(text: str) -> tuple[IPv4Network, ...]:
    """Return the networks in `ip -j -4 address`."""
    return tuple(
        IPv4Interface(f"{entry['local']}/{entry['prefixlen']}").network
        for link in json.loads(text)
        for entry in link.get("addr_info", [])
        if "local" in entry
    )


def parse_routes(text: str) -> tuple[IPv4Network, ...]:
    """Return the destinations in `ip -j -4 route`, without default routes."""
    found = (
        IPv4Network(route["dst"], strict=False)
        for route in json.loads(text)
        if route["dst"] != "default"
    )
    return tuple(network for network in found if network.prefixlen >= SHORTEST_PREFIX)


def _each_24(ranges: Iterable[IPv4Network]) -> Iterator[IPv4Network]:
    for wide in ranges:
        yield from wide.subnets(new_prefix=24)
