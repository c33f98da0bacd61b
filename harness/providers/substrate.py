"""What differs between providers while a lab is made: image, networks, the way in.

`harness.lab.creation` takes the same steps on every provider and asks one of these for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Protocol

from harness.base.completed import Completed
from harness.base.context import Say
from harness.host.subnets import POD_NETWORK, SERVICE_NETWORK
from harness.images.seed import Seed
from harness.providers.topology import MachineSpec
from harness.ssh.pace import EMULATED


@dataclass(frozen=True)
class LabRequest:
    """What is to be made; `log_dir` is the run's folder, where vagrant.log goes.

    `services` and `pods` are the cluster's networks, which the isolation counts by name. `seed` is
    what the machines' image is to have of k0s already, None for nothing; `emulated` says that the
    virtual processors are programs; `same_nat_address` gives all machines VirtualBox's one.
    """

    machines: tuple[MachineSpec, ...]
    log_dir: Path
    services: IPv4Network = SERVICE_NETWORK
    pods: IPv4Network = POD_NETWORK
    seed: Seed | None = None
    emulated: bool = False
    same_nat_address: bool = False

    @property
    def boot_pace(self) -> float:
        """How many times slower than this host the machines are taken to be until they are up."""
        return EMULATED if self.emulated else 1.0

    @property
    def log(self) -> Path:
        """The file with all that Vagrant said."""
        return self.log_dir / "vagrant.log"


class Substrate(Protocol):
    """One provider's part in making a lab. Every method raises a `HarnessError` at a failure."""

    @property
    def elsewhere(self) -> str:
        """The other host that the machines are on, nothing where it is this one."""

    def image(self, *, log_dir: Path, say: Say) -> Mapping[str, Any]:
        """Return what the topology says of the machines' image, made now if need be."""

    def make_networks(self) -> None:
        """Make the lab's networks, in which nothing is yet."""

    def settings(self) -> Mapping[str, Any]:
        """Return what else the Vagrantfile needs to know of this provider."""

    def before_up(self) -> None:
        """Put right what another run, killed while it made machines, may have left in the way.

        The lock for making machines is held.
        """

    def way(self, spec: MachineSpec, port: int) -> tuple[str, int]:
        """Return the address and port at which this host reaches `port` of a machine."""

    def key(self, machine: str) -> Path:
        """Return the private key that opens `machine`, once it is up."""

    def host_keys(self, machines: tuple[MachineSpec, ...], said: Completed) -> dict[str, str]:
        """Return each machine's public host key, taken from inside the machine.

        `said` is what `vagrant up` printed.
        """

    def console(self, machine: str) -> str:
        """Return the last lines that `machine` printed while it booted; may be empty."""
