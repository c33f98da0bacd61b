"""What differs between providers while a lab is made: image, networks, the way in.

`harness.lab.creation` takes the same steps on every provider and asks one of these for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.base.context import Say
from harness.base.process import Completed
from harness.providers.topology import MachineSpec


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
