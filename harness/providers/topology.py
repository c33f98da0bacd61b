"""What the one Vagrantfile reads: the machines of a lab, their networks and names, as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from harness.base.run_id import RunId
from harness.base.settings import ProviderName
from harness.host.subnets import gateway
from harness.vocabulary.words import Role

# Container machines never get these: a clock set, a module loaded, a port written in a container is
# the host's.
ALWAYS_DROPPED = ("SYS_TIME", "SYS_MODULE", "SYS_RAWIO")
# What stands before a host key that a VM prints at its creation.
HOST_KEY_MARKER = "k0s-harness-host-key"
# Position of each capability's bit, for those that a host's engine itself may lack.
_CAPABILITY_BITS = {"SYS_RESOURCE": 24}


@dataclass(frozen=True)
class MachineSpec:
    """A machine to be made: name, role, address on the private network, size for VMs."""

    name: str
    role: Role
    address: str
    cpus: int = 2
    memory_mib: int = 2048


@dataclass(frozen=True)
class Network:
    """A network of a lab: its name, the bridge's name on the host, its subnet."""

    name: str
    bridge: str
    subnet: str

    @property
    def ipv4(self) -> IPv4Network:
        """The subnet as a value."""
        return IPv4Network(self.subnet)

    @property
    def gateway(self) -> str:
        """The host's own address in it."""
        return str(gateway(self.ipv4))


@dataclass(frozen=True)
class Networks:
    """The two networks of a lab: NAT (default route) and private (carries the cluster)."""

    nat: Network
    private: Network


def nat_address(spec: MachineSpec, networks: Networks) -> str:
    """Return the machine's address on the NAT network: the same host part as on the private one."""
    offset = int(IPv4Address(spec.address)) - int(networks.private.ipv4.network_address)
    return str(networks.nat.ipv4[offset])


def topology(
    *,
    run_id: RunId,
    provider: ProviderName,
    machines: Sequence[MachineSpec],
    networks: Networks,
    labels: Mapping[str, str],
    key: Path,
    public_key: str,
    boot_seconds: int,
    of_provider: Mapping[str, Any],
) -> str:
    """Return the topology as JSON text; `of_provider` has what the one provider wants beside.

    Vagrant gives up on a machine that does not answer within `boot_seconds`.
    """
    data: dict[str, Any] = {
        "run_id": run_id,
        "provider": provider.value,
        "host_key_marker": HOST_KEY_MARKER,
        "labels": dict(labels),
        "volume_labels": volume_labels(labels),
        "boot_timeout": boot_seconds,
        "private_key": str(key),
        "public_key": public_key,
        "netmask": str(networks.private.ipv4.netmask),
        "networks": {
            name: {
                "name": network.name,
                "bridge": network.bridge,
                "subnet": network.subnet,
                "gateway": network.gateway,
            }
            for name, network in (("nat", networks.nat), ("private", networks.private))
        },
        "machines": [
            {
                "name": spec.name,
                "container": container_name(run_id, spec.name),
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


def volume_labels(labels: Mapping[str, str]) -> str:
    """Return `labels` as docker's `--mount` wants them for a volume: fields of a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(
        f"volume-label={name}={text}" for name, text in labels.items()
    )
    return line.getvalue()


def container_name(run_id: RunId, machine: str) -> str:
    """Return the container's name: named after the run."""
    return f"{RunId(run_id)}-{machine}"


def dropped_capabilities() -> tuple[str, ...]:
    """Return the capabilities that container machines do without on this host.

    Docker's `--cap-add=ALL` fails for one that the engine itself does not have.
    """
    bounding = _bounding_set()
    lacking = [name for name, bit in _CAPABILITY_BITS.items() if not bounding >> bit & 1]
    return (*ALWAYS_DROPPED, *lacking)


def _bounding_set() -> int:
    """Return the bounding set of the docker engine, or of this process where it is not seen."""
    try:
        engine = Path("/var/run/docker.pid").read_text().strip()
        status = Path(f"/proc/{engine}/status").read_text()
    except OSError:
        status = Path(f"/proc/{os.getpid()}/status").read_text()
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return ~0
