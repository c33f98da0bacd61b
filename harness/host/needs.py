"""What one lab asks of its host in numbers, and what a problem of the host is."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from harness.host.subnets import PRIVATE_RANGE

# Memory: 2 GiB a machine is what a k0s node of this size is given everywhere; the host itself, the
# harness (below 150 MB) and Vagrant (about 200 MB while it runs) are left this much.
HOST_MEMORY_MIB = 512
# What qemu takes beside a machine's own memory: 2.2 to 2.5 GB were measured for machines of 2 GiB
# under software emulation; with KVM it was not measured and is less.
VM_MEMORY_MIB = 512
# Disk of the docker provider, from measured sizes: the node image below 1 GiB; a k0s binary 253 MB
# plus etcd and logs on each machine; a bundle of 494 MB and the 958 MB store it unpacks to on each
# worker. For VMs the same stands in their overlays, on top of a box of the image's size.
IMAGE_MIB = 1024
CONTROLLER_MIB = 1024
WORKER_MIB = 2048
# inotify instances of root, measured on a running lab: 18 on a controller (12 of k0s, 6 of systemd
# and dbus), 15 on a worker (5 of the kubelet, 4 of k0s, containerd and kube-proxy, 6 of systemd and
# dbus). The CNI and the pods of a scenario may have some more.
CONTROLLER_INOTIFY = 24
WORKER_INOTIFY = 20
# The cache holds binary, bundle, k0sctl and kubectl once; keys, logs and evidence are a few MiB.
CACHE_MIB = 1024
SMALL_MIB = 64

# What makes the processor's virtualisation usable where it is off.
FIRMWARE = (
    "turn virtualisation on in the firmware; if this host is a virtual machine itself, turn nested"
    " virtualisation on for it, on its own host (kvm_intel.nested=1 or kvm_amd.nested=1, and a"
    " processor of the kind host-passthrough)"
)


@dataclass(frozen=True)
class LabNeeds:
    """What one lab asks of its host: numbers of machines, memory of all together, k0s's version.

    `private` is the range that its private network is taken from, `saved` whether the machines'
    memory is to be kept on disk where the provider can.
    """

    controllers: int = 1
    workers: int = 2
    memory_mib: int = 3 * 2048
    k0s_version: str = "v1.32.3+k0s.0"
    private: IPv4Network = PRIVATE_RANGE
    saved: bool = False

    @property
    def machines(self) -> int:
        """Return how many there are."""
        return self.controllers + self.workers

    @property
    def machines_mib(self) -> int:
        """Return the disk that image and machines take, in MiB."""
        return IMAGE_MIB + self.controllers * CONTROLLER_MIB + self.workers * WORKER_MIB

    @property
    def inotify(self) -> int:
        """Return how many inotify instances of root machines take that are containers."""
        return self.controllers * CONTROLLER_INOTIFY + self.workers * WORKER_INOTIFY


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a lab from this host, and what to do about it.

    `passes` says that it goes away by itself when other labs on this host end.
    """

    happened: str
    remedy: str
    passes: bool = False

    def __str__(self) -> str:
        """Return both, the remedy on a line of its own."""
        return f"{self.happened}\n  -> {self.remedy}"
