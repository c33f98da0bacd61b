"""libvirt's daemons, and the storage pool that machines need there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.host import vm_facts as vms
from harness.host.admin import Admin
from harness.host.facts import HostFacts
from harness.host.services import Daemon, Service
from harness.host.texts import Answer
from harness.host.tools import sudo_for
from harness.host.vm_facts import Libvirt

# Where libvirt keeps its disk images on Debian, Ubuntu and Fedora; vagrant-libvirt would take it
# for the pool `default`, too.
DEFAULT_POOL = "default"
POOL_PATH = "/var/lib/libvirt/images"
_LIBVIRT_PID = Path("/run/libvirtd.pid")
_VIRTLOG_PID = Path("/run/virtlogd.pid")
# Where there is no system bus, there is no polkit that libvirt could ask about users: the socket
# is opened to its group alone instead, as it is where libvirt is built without polkit.
CONFIG = """\
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
"""


class LibvirtDaemons(Service):
    """libvirt and what keeps its machines' consoles."""

    def answers(self, facts: HostFacts) -> bool:
        return facts.libvirt.reachable

    def denied(self, facts: HostFacts) -> bool:
        return facts.libvirt.denied

    def config(self, facts: HostFacts) -> tuple[str, str] | None:
        return None if facts.sudo == "root" else ("libvirtd", CONFIG)

    def beside(self, facts: HostFacts) -> str:
        name = facts.libvirt.pool_name
        return f"its storage pool {name} to be made in {POOL_PATH} where it is missing"

    def lacks(self, facts: HostFacts) -> str:
        if not facts.libvirt.reachable:
            return ""
        return typed(pool_steps(facts.libvirt), sudo_for(facts))

    def complete(self, admin: Admin, facts: HostFacts) -> None:
        """Make or start the pool where it is missing or stopped; one that is named stays.

        As root: a user who joined the group a moment ago is not in it yet.
        """
        libvirt = facts.libvirt
        doing = "Making libvirt's storage pool"
        if not libvirt.reachable:
            info = vms.pool_info_command(libvirt.uri, libvirt.pool_name)
            said = admin.root(facts, info, doing=doing, check=False)
            answer = Answer(said.returncode, said.stdout, said.stderr)
            pool = vms.pool_from(libvirt.pool_name, answer, None)
            libvirt = replace(libvirt, reachable=True, pool=pool)
        steps = pool_steps(libvirt)
        if not steps:
            return
        name = libvirt.pool_name
        admin.context.say(f"==> libvirt's storage pool {name} in {POOL_PATH}")
        for argv in steps:
            admin.root(facts, argv, doing=doing)
        did = "made" if libvirt.pool is None else "started"
        admin.record(did, ("pool", name), sudo_for(facts) + typed(pool_undo(libvirt)))


LIBVIRT = LibvirtDaemons(
    title="libvirt",
    group="libvirt",
    daemons=(
        # Without it no machine starts: it keeps what a machine's console prints.
        Daemon("virtlogd", _VIRTLOG_PID, ("--daemon", f"--pid-file={_VIRTLOG_PID}"), detaches=True),
        Daemon("libvirtd", _LIBVIRT_PID, ("--daemon", f"--pid-file={_LIBVIRT_PID}"), detaches=True),
    ),
    unit="libvirtd",
    stop_units=("libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket", "libvirtd"),
    # It answered after 1 s, and after 21 s at its first start on a busy host, where it asks qemu
    # what that can do.
    seconds=120.0,
    log="/var/log/libvirt/libvirtd.log",
)


def pool_steps(libvirt: Libvirt) -> tuple[tuple[str, ...], ...]:
    """Return the commands that make or start libvirt's storage pool; none where it is active.

    Only `default` is made: where another would have to be is not known.
    """
    uri, pool = libvirt.uri, libvirt.pool_name
    start = vms.virsh(uri, "pool-start", pool)
    if libvirt.pool is not None:
        return () if libvirt.pool.active else (start,)
    if pool != DEFAULT_POOL:
        return ()
    return (
        vms.virsh(uri, "pool-define-as", pool, "dir", "--target", POOL_PATH),
        vms.virsh(uri, "pool-build", pool),
        start,
        vms.virsh(uri, "pool-autostart", pool),
    )


def pool_undo(libvirt: Libvirt) -> tuple[tuple[str, ...], ...]:
    """Return the commands that undo `pool_steps`; the pool's folder stays."""
    uri, pool = libvirt.uri, libvirt.pool_name
    stop = vms.virsh(uri, "pool-destroy", pool)
    return (stop,) if libvirt.pool is not None else (stop, vms.virsh(uri, "pool-undefine", pool))


def typed(commands: Sequence[Sequence[str]], sudo: str = "") -> str:
    """Return commands as one line for people to type."""
    return " && ".join(sudo + shlex.join(command) for command in commands)
