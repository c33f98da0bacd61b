"""Subnets that runs on this host have chosen and may not have made into networks yet.

Each is a lock of the host, so that commands with other state folders and other users see it, and
none outlives its process.
"""

from __future__ import annotations

import contextlib
import os
from ipaddress import IPv4Network

from harness.base.locks import FileLock, is_held, lock_path

# In file names, so without the slash: each is a /24.
_NAME = "subnet-{}"


def claimed() -> tuple[IPv4Network, ...]:
    """Return the subnets that living processes have claimed."""
    every = lock_path(_NAME.format("*"))
    before, _, behind = every.name.partition("*")
    found = []
    for path in every.parent.glob(every.name):
        # Anyone may have laid a file of another name there.
        with contextlib.suppress(ValueError):
            subnet = IPv4Network(f"{path.name.removeprefix(before).removesuffix(behind)}/24")
            if is_held(path):
                found.append(subnet)
    return tuple(found)


def claim(subnet: IPv4Network) -> FileLock:
    """Claim a /24 that nobody has, until the lock is released or this process ends.

    Raises `CannotLockError` where the lock's file is none.
    """
    lock = FileLock(lock_path(_NAME.format(subnet.network_address)))
    lock.try_acquire(f"process {os.getpid()}")
    return lock
