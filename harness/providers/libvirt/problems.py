"""What keeps virtual machines from a host, as sentences with a remedy. Pure: facts in."""

from __future__ import annotations

import shlex

from harness.base.settings import Driver
from harness.host import vm_facts as vms
from harness.host.facts import HostFacts
from harness.host.needs import FIRMWARE, Problem
from harness.host.services import start_command
from harness.host.tools import sudo_for
from harness.host.vm_facts import Kvm
from harness.providers.libvirt.daemon import LIBVIRT, pool_steps, typed
from harness.ssh.pace import EMULATED


def kvm_remedy(facts: HostFacts) -> str:
    """Return what makes KVM usable here; nothing where it is."""
    sudo = sudo_for(facts)
    return {
        Kvm.USABLE: "",
        Kvm.ABSENT: FIRMWARE,
        Kvm.PARAVIRTUAL: FIRMWARE,
        Kvm.NO_MODULE: f"{sudo}modprobe kvm_intel || {sudo}modprobe kvm_amd",
        Kvm.DENIED: f"sudo usermod -aG kvm {shlex.quote(facts.user)}, then log in again",
        Kvm.UNKNOWN: f"virsh --connect {shlex.quote(facts.libvirt.uri)} capabilities shows why",
    }[facts.kvm]


def processors(facts: HostFacts) -> str:
    """Return what libvirt's machines get as processors here, in a few words."""
    if not facts.emulated:
        return "hardware virtualisation (KVM)"
    why = "asked for" if facts.driver == Driver.QEMU else facts.kvm.value
    text = f"software emulation: {why}; expect about {EMULATED:.0f} times longer"
    slow = slow_definitions(facts)
    return f"{text}; {slow}" if slow else text


def slow_definitions(facts: HostFacts) -> str:
    """Return why machines are defined slowly here and the remedy, or nothing.

    libvirt 9.0 takes what it knows of qemu for outdated where it can open /dev/kvm itself and the
    user that qemu runs as cannot. It asks qemu anew, up to 32 s each time, and `vagrant up` defines
    each machine two or three times: three machines were not up after 5 min, and in 92 s once that
    user could.
    """
    if not facts.kvm_kept_from_qemu:
        return ""
    sudo = sudo_for(facts)
    return (
        f"libvirt's machines may not open {vms.KVM_DEVICE}, which makes libvirt take half a minute"
        f" to define one: {sudo}chgrp kvm {vms.KVM_DEVICE} && {sudo}chmod 660 {vms.KVM_DEVICE}"
    )


def libvirt_problems(facts: HostFacts) -> list[Problem]:
    """Return what keeps machines of libvirt from this host, disk and memory aside."""
    libvirt = facts.libvirt
    unusable = vms.uri_problem(libvirt.uri)
    if unusable:
        return [
            Problem(
                f"{libvirt.uri} cannot be used: {unusable}",
                "unset LIBVIRT_DEFAULT_URI for qemu:///system, or set it to"
                " qemu+ssh://USER@HOST/system",
            )
        ]
    if not libvirt.host and facts.system != "linux":
        return [
            Problem(
                "libvirt's machines need a Linux host",
                "PROVIDER=virtualbox (not yet run on real VMs), or"
                " LIBVIRT_DEFAULT_URI=qemu+ssh://USER@HOST/system",
            )
        ]
    found = []
    # Without virsh nothing is known but that it is missing, and that was said.
    if not libvirt.reachable and "virsh" in facts.programs and _can_run(facts):
        found.append(_connection_problem(facts))
    if libvirt.reachable:
        found += _pool_problems(facts)
    if facts.driver == Driver.KVM and facts.kvm is not Kvm.USABLE and not _unknown(facts):
        found.append(
            Problem(
                f"K0S_HARNESS_DRIVER=kvm cannot be had: {facts.kvm.value}",
                f"{kvm_remedy(facts)}; without K0S_HARNESS_DRIVER the machines are emulated",
            )
        )
    return found


def _can_run(facts: HostFacts) -> bool:
    """Whether there is a libvirt to connect to: the other host's, or this one's."""
    return bool(facts.libvirt.host) or "libvirtd" in facts.programs


def _unknown(facts: HostFacts) -> bool:
    """Whether KVM is unknown only because libvirt does not answer, a problem of its own."""
    return facts.kvm is Kvm.UNKNOWN and not facts.libvirt.reachable


def _pool_problems(facts: HostFacts) -> list[Problem]:
    libvirt = facts.libvirt
    name = libvirt.pool_name
    if libvirt.pool is None:
        listing = shlex.join(vms.virsh(libvirt.uri, "pool-list", "--all"))
        remedy = typed(pool_steps(libvirt)) or f"{listing} shows those there are"
        return [Problem(f"libvirt has no storage pool {name}", remedy)]
    if not libvirt.pool.active:
        return [Problem(f"libvirt's storage pool {name} is not active", typed(pool_steps(libvirt)))]
    return []


def _connection_problem(facts: HostFacts) -> Problem:
    return _remote_problem(facts) if facts.libvirt.host else _local_problem(facts)


def _local_problem(facts: HostFacts) -> Problem:
    libvirt = facts.libvirt
    if "system bus" in libvirt.problem:
        return Problem(
            f"{facts.user} may not talk to libvirt: it asks polkit, and no system bus is here",
            "run as root, or end libvirtd and let make start it, for the group libvirt",
        )
    if libvirt.denied:
        return Problem(
            f"{facts.user} may not talk to libvirt",
            f"sudo usermod -aG libvirt {shlex.quote(facts.user)}, then log in again"
            " (members of that group are as powerful as root)",
        )
    return Problem(f"libvirt is not running: {libvirt.problem}", start_command(facts, LIBVIRT))


def _remote_problem(facts: HostFacts) -> Problem:
    """Return why the libvirt of another host does not answer: SSH's reasons, then libvirt's."""
    libvirt = facts.libvirt
    host, login, said = libvirt.host, libvirt.login, libvirt.problem
    at_libvirt = "libvirt-sock" in said
    cases = (
        (
            "identification has changed" in said,
            f"the host key of {host} is not the one that is known",
            f"ask its owner whether it changed; then ssh-keygen -R {host}, and ssh {login} once",
        ),
        (
            "Host key verification failed" in said,
            f"the host key of {host} is not known",
            f"ssh {login} once by hand, and compare the fingerprint it shows",
        ),
        (
            at_libvirt and "Permission denied" in said,
            f"the user of {login} may not talk to libvirt there",
            f"on {host}: sudo usermod -aG libvirt USER",
        ),
        (
            at_libvirt,
            f"libvirt is not running on {host}",
            f"on {host}: sudo systemctl start libvirtd",
        ),
        (
            "Permission denied" in said,
            f"{host} lets nobody in as {login} without a password",
            f"ssh-copy-id {login}, or ?keyfile=/path/to/key in the URI; an ssh-agent serves too",
        ),
        (
            "resolve hostname" in said or "connect to host" in said,
            f"{host} cannot be reached by SSH: {_of_ssh(said)}",
            f"ssh {login} true shows whether it can now",
        ),
    )
    for holds, happened, remedy in cases:
        if holds:
            return Problem(happened, remedy)
    return Problem(
        f"libvirt on {host} does not answer: {said}",
        f"{shlex.join(vms.version_command(libvirt.uri))} shows it again",
    )


def _of_ssh(said: str) -> str:
    """Return ssh's own reason, from virsh's words around it."""
    return said.removeprefix("Cannot recv data: ssh: ").removesuffix(": Connection reset by peer")
