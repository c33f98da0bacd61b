"""What the one Vagrantfile reads: the machines of a lab, their networks and names, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from typing import Any

from harness.state.networks import Networks
from harness.state.owner import machine_name
from harness.state.records import LabRecord
from harness.vocabulary.words import Role

# What stands before a host key that a VM prints at its creation.
HOST_KEY_MARKER = "k0s-harness-host-key"


@dataclass(frozen=True)
class MachineSpec:
    """A machine to be made: name, role, address on the private network, size for VMs."""

    name: str
    role: Role
    address: str
    cpus: int = 2
    memory_mib: int = 2048


def nat_address(spec: MachineSpec, networks: Networks) -> str:
    """Return the machine's address on the NAT network: the same host part as on the private one."""
    offset = int(IPv4Address(spec.address)) - int(networks.private.ipv4.network_address)
    return str(networks.nat.ipv4[offset])


def topology(
    record: LabRecord,
    machines: Sequence[MachineSpec],
    *,
    public_key: str,
    boot_seconds: int,
    of_provider: Mapping[str, Any],
) -> str:
    """Return the topology of a lab as JSON; `of_provider` is what its provider wants beside.

    Vagrant gives up on a machine that does not answer within `boot_seconds`.
    """
    networks = record.networks
    data: dict[str, Any] = {
        "run_id": record.run_id,
        "provider": record.provider,
        "host_key_marker": HOST_KEY_MARKER,
        "boot_timeout": boot_seconds,
        "private_key": str(record.key),
        "public_key": public_key,
        "netmask": str(networks.private.ipv4.netmask),
        "networks": {
            name: {**asdict(network), "gateway": network.gateway}
            for name, network in (("nat", networks.nat), ("private", networks.private))
        },
        "machines": [
            {
                "name": spec.name,
                "container": machine_name(record.run_id, spec.name),
                "address": spec.address,
                "nat_address": nat_address(spec, networks),
                "cpus": spec.cpus,
                "memory_mib": spec.memory_mib,
            }
            for spec in machines
        ],
        **of_provider,
    }
    return json.dumps(data, indent=2) + "\n"
