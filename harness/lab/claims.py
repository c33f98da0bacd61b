"""Subnets that runs on this host have chosen and may not have made into networks yet.

Each is a lock of the host, so that commands with other state folders and other users see it, and
none outlives its process.
"""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network

from harness.base.locks import FileLock, is_held, lock_path

# In file names, so without the slash.
_NAME = "subnet-{}"
_24 = re.compile(r"subnet-((?:(?:1?\d?\d|2[0-4]\d|25[0-5])\.){3}0)\.lock$")


def claimed() -> tuple[IPv4Network, ...]:
    """Return the subnets that living processes have claimed."""
    every = lock_path(_NAME.format("*"))
    named = ((_24.search(path.name), path) for path in every.parent.glob(every.name))
    return tuple(
        IPv4Network(f"{name[1]}/24") for name, path in named if name is not None and is_held(path)
    )


def claim(subnet: IPv4Network) -> FileLock:
    """Claim a /24 that nobody has, until the lock is released or this process ends.

    Raises `CannotLockError` where the lock's file is none.
    """
    lock = FileLock(lock_path(_NAME.format(subnet.network_address)))
    lock.try_acquire(f"process {os.getpid()}")
    return lock
