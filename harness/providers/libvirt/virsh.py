"""What the lab asks of libvirt beside Vagrant: its networks, and what a run left there.

Everything goes through `virsh`, so that a remote host is reached as its user reaches it
(`qemu+ssh://`). libvirt has no labels. What belongs to a run carries the run's id in its name; and
a network or a domain says whose it is by its UUID, which follows from its name, the user and the
state folder (`harness.state.owner`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.base.process import Runner
from harness.base.sayings import told
from harness.base.sayings.row import Of
from harness.base.telling import telling_sentence
from harness.host.vm_facts import remote_host
from harness.providers.libvirt import LibvirtProvider
from harness.providers.libvirt.virsh_output import (
    Domain,
    LibvirtNetwork,
    Volume,
    parse_console,
    parse_disks,
    parse_domains,
    parse_network,
    parse_physical,
    parse_volumes,
)
from harness.state import removal
from harness.state.networks import Network
from harness.state.removal import NotOursError

# QEMU's own range; its second bit says that nobody else was given these addresses (IEEE 802).
MAC_PREFIX = "52:54:00"
# Where libvirtd leaves what no API removes.
DOMAIN_LOGS = Path("/var/log/libvirt/qemu")
NETWORK_STATE = Path("/run/libvirt/network")

# An answer takes 0.03 s; systemd starting the daemon for it took one second.
ASK_SECONDS = 15.0
# `virsh destroy` waits for the domain's job in progress, 30 s at the most, then up to 15 s for qemu
# to end; deleting a volume of some gigabytes takes a tenth of a second.
CHANGE_SECONDS = 60.0
# What of a console is kept as evidence: a boot of Debian prints 30 kB.
CONSOLE_BYTES = 200_000

_DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"
# virsh has one exit status for everything, so its words decide (in English: LC_ALL=C).
_GONE = re.compile(
    r"error: failed to get (domain|vol) '[^']*'\n?\Z"
    r"|(Network|Domain|Storage volume|Storage pool) not found|no domain with matching"
)
_NOT_RUNNING = re.compile(r"is not active|domain is not running")
_TRANSIENT = re.compile(r"cannot undefine transient|transient (network|domain)")


class LibvirtError(InfrastructureError):
    """libvirt said no, or did not answer; the sentence is its own."""


class Libvirt:
    """virsh on one connection; without `uri` the one that the user's environment names."""

    def __init__(self, runner: Runner, uri: str | None = None) -> None:
        self._runner = runner
        self.uri = uri or LibvirtProvider().connection()

    @property
    def is_local(self) -> bool:
        """Whether the machines run on this host, so that its links and files are theirs."""
        return not remote_host(self.uri)

    def run(self, *args: str, doing: str, deadline: float = ASK_SECONDS) -> Completed:
        """Run `virsh args` and return what it printed.

        Raises `LibvirtError` with libvirt's reason, `HostLacksError` where there is no virsh.
        """
        completed = self._ask(*args, doing=doing, deadline=deadline)
        if not completed.ok:
            _refuse(doing, completed, self.uri)
        return completed

    # --- networks ---------------------------------------------------------------------------------

    def create_network(self, xml: str) -> None:
        """Create a transient network: it goes with `destroy_network`, or when this host goes down.

        virsh reads XML from files only, and `/dev/stdin` is one.
        """
        doing = "Creating a network of the lab"
        done = self._ask(
            "net-create", "/dev/stdin", doing=doing, deadline=CHANGE_SECONDS, stdin=xml
        )
        if not done.ok:
            _refuse(doing, done, self.uri)

    def networks(self, prefix: str = "") -> tuple[LibvirtNetwork, ...]:
        """Return the networks whose names begin with `prefix`, active or not."""
        listed = self.run("net-list", "--all", "--name", doing="Listing libvirt's networks")
        found = []
        for name in _names(listed.stdout):
            if not name.startswith(prefix):
                continue
            # One by one: a network that goes away between listing and asking costs only itself.
            doing = f"Reading the network {name}"
            shown = self._ask("net-dumpxml", name, doing=doing)
            if shown.ok:
                network = parse_network(shown.stdout)
                found += [network] if network is not None else []
            elif not _GONE.search(shown.stderr):
                _refuse(doing, shown, self.uri)
        return tuple(found)

    def destroy_network(self, name: str) -> None:
        """Remove a network, active or not; one that is not there is as good as removed."""
        doing = f"Removing the network {name}"
        self._unless(_NOT_RUNNING, "net-destroy", name, doing=doing)
        # Transient ones are gone by now. Vagrant defines one that it misses, which stays otherwise.
        self._unless(_TRANSIENT, "net-undefine", name, doing=doing)

    # --- domains ----------------------------------------------------------------------------------

    def domains(self, prefix: str = "") -> tuple[Domain, ...]:
        """Return the domains whose names begin with `prefix`, running or not."""
        done = self.run("list", "--all", "--uuid", "--name", doing="Listing libvirt's domains")
        return tuple(found for found in parse_domains(done.stdout) if found.name.startswith(prefix))

    def stop_domain(self, name: str) -> None:
        """Pull the plug; one that does not run, or is not there, is as good as stopped."""
        self._unless(_NOT_RUNNING, "destroy", name, doing=f"Stopping {name}")

    def undefine_domain(self, name: str) -> None:
        """Remove a stopped domain with its snapshots' metadata; its volumes stay."""
        metadata = ("--managed-save", "--snapshots-metadata", "--checkpoints-metadata", "--nvram")
        self._unless(_TRANSIENT, "undefine", name, *metadata, doing=f"Removing {name}")

    def disks(self, name: str) -> tuple[Path, ...]:
        """Return the files on the libvirt host that are the domain's disks."""
        return tuple(Path(path) for path in parse_disks(self._domain_xml(name)))

    def console(self, name: str) -> str:
        """Return the end of what the machine printed on its serial console.

        Empty where it goes to no file, and where this user may not read that: libvirt's log daemon
        writes it as root, on the libvirt host.
        """
        path = parse_console(self._domain_xml(name))
        if path is None or not self.is_local:
            return ""
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - CONSOLE_BYTES))
                return file.read().decode(errors="replace")
        except OSError:
            return ""

    # --- storage ----------------------------------------------------------------------------------

    def pools(self) -> tuple[str, ...]:
        """Return the names of the active storage pools."""
        done = self.run("pool-list", "--name", doing="Listing libvirt's storage pools")
        return _names(done.stdout)

    def volumes(self, prefix: str = "", *, pool: str | None = None) -> tuple[Volume, ...]:
        """Return the volumes whose names begin with `prefix`, of all active pools or of one."""
        found: list[Volume] = []
        for name in self.pools() if pool is None else (pool,):
            doing = f"Listing the volumes of the storage pool {name}"
            listed = self._ask("vol-list", name, doing=doing)
            if listed.ok:
                found += [Volume(name, volume) for volume in parse_volumes(listed.stdout)]
            elif not _GONE.search(listed.stderr):
                _refuse(doing, listed, self.uri)
        return tuple(volume for volume in found if volume.name.startswith(prefix))

    def volume_bytes(self, volume: Volume) -> int | None:
        """Return the length of the volume's file, None where there is no such volume.

        Of an image that was sent whole this is the length of what was sent.
        """
        doing = f"Reading the volume {volume.name}"
        done = self._ask("vol-info", "--bytes", "--physical", volume.name, volume.pool, doing=doing)
        if not done.ok:
            if _GONE.search(done.stderr):
                return None
            _refuse(doing, done, self.uri)
        return parse_physical(done.stdout)

    def delete_volume(self, volume: Volume) -> None:
        """Delete a volume; one that is not there is as good as deleted."""
        doing = f"Deleting the volume {volume.name}"
        self._unless(None, "vol-delete", volume.name, "--pool", volume.pool, doing=doing)

    # --- how --------------------------------------------------------------------------------------

    def _domain_xml(self, name: str) -> str:
        return self.run("dumpxml", name, doing=f"Reading the domain {name}").stdout

    def _unless(self, fine: re.Pattern[str] | None, *args: str, doing: str) -> None:
        """Change something; that it is not there, or what `fine` matches, is no error."""
        done = self._ask(*args, doing=doing, deadline=CHANGE_SECONDS)
        if done.ok or _GONE.search(done.stderr) or (fine and fine.search(done.stderr)):
            return
        _refuse(doing, done, self.uri)

    def _ask(
        self, *args: str, doing: str, deadline: float = ASK_SECONDS, stdin: str | None = None
    ) -> Completed:
        try:
            return self._runner.run(
                ["virsh", "--quiet", "--connect", self.uri, *args],
                doing=doing,
                deadline=deadline,
                env={"LC_ALL": "C"},
                stdin=stdin,
                check=False,
            )
        except CommandFailedError as late:
            raise LibvirtError(
                doing,
                f"libvirt at {self.uri} gave no answer within {deadline:.0f}s",
                remedy="k0s-harness doctor looks at the daemon",
            ) from late


def mac_of(run_id: str, machine: str, network: str) -> str:
    """Return the MAC address of a machine's interface on the network `nat` or `private`.

    It follows from the run's id, so that the lease can be written before the machine is there.
    """
    digest = hashlib.sha256(f"{run_id}/{machine}/{network}".encode()).digest()
    return ":".join((MAC_PREFIX, *(f"{byte:02x}" for byte in digest[:3])))


def nat_network_xml(network: Network, leases: Mapping[str, str], *, mark: UUID) -> str:
    """Return the network with the default route: `leases` are its addresses by MAC address.

    Without <forward>, so libvirt itself lets nothing out of it; the route is handed out all the
    same (DHCP option 3), because the API server's way out is what scenarios are about. Nobody but
    the machines gets an address, and there is no name service.
    """
    hosts = "\n".join(
        f'      <host mac="{mac}" ip="{address}"/>' for mac, address in leases.items()
    )
    return f"""\
<network xmlns:dnsmasq="{_DNSMASQ}">
  <name>{network.name}</name>
  <uuid>{mark}</uuid>
  <bridge name="{network.bridge}" stp="off" delay="0"/>
  <dns enable="no"/>
  <ip address="{network.gateway}" netmask="{network.ipv4.netmask}">
    <dhcp>
{hosts}
    </dhcp>
  </ip>
  <dnsmasq:options>
    <dnsmasq:option value="dhcp-option=3,{network.gateway}"/>
  </dnsmasq:options>
</network>
"""


def private_network_xml(network: Network, *, mark: UUID) -> str:
    """Return the network that carries the cluster: no DHCP, no name service, no way out."""
    return f"""\
<network>
  <name>{network.name}</name>
  <uuid>{mark}</uuid>
  <bridge name="{network.bridge}" stp="off" delay="0"/>
  <dns enable="no"/>
  <ip address="{network.gateway}" netmask="{network.ipv4.netmask}"/>
</network>
"""


def remove_remains(domains: Iterable[str], networks: Iterable[str]) -> None:
    """Remove the files on this host that libvirt leaves of domains and networks that are gone.

    They are small and lie where only root writes; as another user they stay until this host's next
    boot (dnsmasq's pid, a folder for the ports of a network) or until logs are rotated away.
    """
    with contextlib.suppress(OSError, NotOursError):
        for name in networks:
            (NETWORK_STATE / f"{name}.pid").unlink(missing_ok=True)
            removal.remove_folder(NETWORK_STATE, name)
        for name in domains:
            for file in DOMAIN_LOGS.glob(f"{name}.log*"):
                file.unlink(missing_ok=True)


def _names(text: str) -> tuple[str, ...]:
    """Return the names in a list of virsh, one a line; one that looks like an option is left out.

    Nothing of ours is called so, and virsh would take it for an option when it is asked for.
    """
    names = (line.strip() for line in text.splitlines())
    return tuple(name for name in names if name and not name.startswith("-"))


def _refuse(doing: str, completed: Completed, uri: str) -> NoReturn:
    lines = [
        line.removeprefix("error: ").strip()
        for line in completed.stderr.splitlines()
        if line.startswith("error: ")
    ]
    if lines and lines[0].startswith("failed to connect to the hypervisor"):
        raise LibvirtError(
            doing,
            f"no connection to libvirt at {uri}: {lines[-1]}",
            remedy="k0s-harness doctor says what is missing",
        )
    # The first line is virsh's own and says what was tried; the second is libvirt's reason.
    own = lines[-1] if lines else telling_sentence(completed.stderr)
    known = told(completed.stderr, Of.LIBVIRT, Of.SSH)
    if known is not None:
        raise LibvirtError(doing, known.happened, details=own or None, remedy=known.remedy)
    raise LibvirtError(doing, own or f"virsh ended with {completed.returncode} without a word")
