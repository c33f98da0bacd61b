from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.base.errors import HostLacksError
from harness.host import subnets
from harness.providers.registry import provider
from tests.unit.paths import UNIT

RECORDED = UNIT / "recordings" / "lab"
ANY = provider("docker").private_ranges


def test_the_hosts_interfaces_and_routes_are_taken_but_not_the_default_route():
    addresses = subnets.parse_addresses((RECORDED / "host-address.json").read_text())
    routes = subnets.parse_routes((RECORDED / "host-route.json").read_text())
    assert IPv4Network("172.17.0.0/16") in addresses
    assert IPv4Network("192.168.57.0/24") in addresses
    assert IPv4Network("192.168.57.0/24") in routes
    assert IPv4Network("0.0.0.0/0") not in routes
    assert subnets.choose_private((*addresses, *routes), ANY) == IPv4Network("192.168.56.0/24")


def test_a_lab_beside_another_gets_the_next_subnet():
    first = subnets.choose_private((), ANY)
    second = subnets.choose_private((first,), ANY)
    assert first != second
    assert not first.overlaps(second)


def test_a_tunnel_that_takes_the_whole_internet_leaves_room_for_labs():
    # What OpenVPN's redirect-gateway sets, in the form of the recording.
    text = '[{"dst":"0.0.0.0/1","dev":"tun0","flags":[]},{"dst":"128.0.0.0/1","dev":"tun0"}]'
    assert subnets.parse_routes(text) == ()


def test_virtualbox_gets_no_network_beyond_what_it_allows():
    taken = (subnets.PRIVATE_RANGE,)
    assert not subnets.choose_private(taken, ANY).overlaps(subnets.PRIVATE_RANGE)
    with pytest.raises(HostLacksError, match="private network"):
        subnets.choose_private(taken, provider("virtualbox").private_ranges)


def test_every_subnet_taken_is_the_hosts_lack_and_names_the_remedy():
    everything = (IPv4Network("0.0.0.0/0"),)
    with pytest.raises(HostLacksError, match="taken on this host") as lack:
        subnets.choose_nat(everything)
    assert "labs --clean" in lack.value.text()


# A busy host takes its time.
@settings(deadline=None, database=None)
@given(st.lists(st.integers(0, 2**32 - 1).flatmap(
    lambda address: st.integers(10, 32).map(
        lambda prefix: IPv4Network((address, prefix), strict=False)
    )
)))  # fmt: skip
def test_no_choice_overlaps_what_is_taken_nor_a_clusters_networks(taken):
    try:
        chosen = subnets.choose_private(taken, ANY)
    except HostLacksError:
        return
    assert chosen.prefixlen == 24
    assert not any(
        chosen.overlaps(network)
        for network in (*taken, subnets.POD_NETWORK, subnets.SERVICE_NETWORK)
    )
