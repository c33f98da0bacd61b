"""Configurations that will collide are warned of, each with its place, before anything is built."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from harness.plan.conflicts import conflicts
from harness.scenario.load import load_text

PODS = "{pods: {selector: a=b, ready: 1}}"
PRIVATE = IPv4Network("192.168.56.0/24")
NAT = (IPv4Network("172.30.64.0/18"),)


def warnings_of(
    spec: str, *, host: tuple[str, ...] = (), more: str = "", broken: str = "[]"
) -> list[str]:
    text = (
        "format: k0s-harness/1\nname: x\ntitle: X\ncluster:\n"
        f"  break: {broken}\n  k0s: {{spec: {spec}}}\n"
        f"phases:\n- name: p\n  expect: [{PODS}]\n{more}"
    )
    found = conflicts(
        load_text(text, "s.yaml"),
        private=PRIVATE,
        nat=NAT,
        host=[IPv4Network(each) for each in host],
    )
    return [each.as_warning for each in found]


@pytest.mark.parametrize(
    "spec",
    [
        "{api: {extraArgs: {v: '4'}}}",
        "{network: {podCIDR: 10.200.0.0/16, serviceCIDR: 10.201.0.0/16}}",
        "{network: {provider: calico, calico: {mode: vxlan}}}",
        "{konnectivity: {agentPort: 9132, adminPort: 9133}}",
        "{network: {podCIDR: this is for k0s to refuse}}",
    ],
)
def test_a_configuration_without_conflicts_is_not_warned_of(spec):
    assert warnings_of(spec, host=("192.0.2.0/24",)) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            "{network: {podCIDR: 10.96.0.0/16}}",
            [
                (
                    "s.yaml:6:35: warning: the pod network 10.96.0.0/16 and the service network "
                    "10.96.0.0/12 overlap: an address may be a pod's and a service's"
                )
            ],
        ),
        (
            "{network: {serviceCIDR: 10.244.64.0/20}}",
            [
                (
                    "s.yaml:6:39: warning: the pod network 10.244.0.0/16 and the service network "
                    "10.244.64.0/20 overlap: an address may be a pod's and a service's"
                )
            ],
        ),
        (
            "{network: {serviceCIDR: 192.168.56.0/24}}",
            [
                (
                    "s.yaml:6:39: warning: the service network 192.168.56.0/24 overlaps the lab's "
                    "private network (192.168.56.0/24): what is sent to one may be meant for the "
                    "other"
                )
            ],
        ),
        (
            "{network: {podCIDR: 172.30.0.0/16}}",
            [
                (
                    "s.yaml:6:35: warning: the pod network 172.30.0.0/16 overlaps the lab's NAT "
                    "network (172.30.64.0/18): what is sent to one may be meant for the other"
                )
            ],
        ),
        (
            "{network: {provider: calico, kuberouter: {mtu: 1400}}}",
            [
                (
                    "s.yaml:6:44: warning: settings of kuberouter have no effect: the network "
                    "provider is calico"
                )
            ],
        ),
        (
            "{network: {calico: {mode: vxlan}}}",
            [
                (
                    "s.yaml:6:26: warning: settings of calico have no effect: the network provider "
                    "is kuberouter"
                )
            ],
        ),
        (
            "{konnectivity: {agentPort: 8133}}",
            [
                (
                    "s.yaml:6:42: warning: port 8133 of konnectivity's agents is taken by "
                    "konnectivity's admin server on the same machine"
                )
            ],
        ),
        (
            "{konnectivity: {adminPort: 10250, agentPort: 6443}}",
            [
                (
                    "s.yaml:6:42: warning: port 10250 of konnectivity's admin server is taken by "
                    "the kubelet on the same machine"
                ),
                (
                    "s.yaml:6:60: warning: port 6443 of konnectivity's agents is taken by the API "
                    "server on the same machine"
                ),
            ],
        ),
    ],
)
def test_a_conflict_is_warned_of_with_its_place(spec, expected):
    assert warnings_of(spec) == expected


def test_a_network_of_this_host_is_named_even_where_the_file_leaves_k0s_its_own():
    assert warnings_of("{}", host=("10.0.0.0/8", "192.0.2.0/24")) == [
        (
            "s.yaml:4:1: warning: the pod network 10.244.0.0/16 overlaps networks of this host "
            "(10.0.0.0/8): what is sent to one may be meant for the other"
        ),
        (
            "s.yaml:4:1: warning: the service network 10.96.0.0/12 overlaps networks of this host "
            "(10.0.0.0/8): what is sent to one may be meant for the other"
        ),
    ]


def test_a_host_with_many_networks_does_not_flood_the_line():
    (found,) = warnings_of("{}", host=tuple(f"10.244.{number}.0/24" for number in range(9)))
    assert "(10.244.0.0/24, 10.244.1.0/24, 10.244.2.0/24 and others)" in found


def test_a_later_phase_is_warned_of_at_its_own_line():
    more = (
        "- name: q\n  change:\n  - k0s_config: {spec: {konnectivity: {agentPort: 9443}}}\n"
        f"  expect: [{PODS}]\n"
    )
    assert warnings_of("{}", more=more) == [
        (
            "s.yaml:12:51: warning: port 9443 of konnectivity's agents is taken by k0s's own API "
            "on the same machine"
        )
    ]


def test_what_is_broken_on_purpose_is_said():
    found = warnings_of("{api: {address: 10.0.2.15}}", broken="[spec.api.address]")
    assert found == [
        (
            "s.yaml:6:31: warning: `spec.api.address` is 10.0.2.15 on purpose; the harness would "
            "set it to the controllers' addresses on the private network"
        )
    ]
