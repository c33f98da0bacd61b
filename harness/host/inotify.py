"""inotify instances of root, which the kernel counts by user: all containers of a host share them.

Debian's and the kernel's default is 128. Where none is left kube-proxy ends with `too many open
files`, the CNI then waits for Services that nobody translates, and no pod gets a network: seen
on 2026-11-25 with four labs on one host.
"""

from __future__ import annotations

import os
from pathlib import Path

LIMIT_SYSCTL = "fs.inotify.max_user_instances"
LIMIT_FILE = "/proc/sys/" + LIMIT_SYSCTL.replace(".", "/")
# What root raises it to while there is a lab of containers.
RAISED = 1024
# What /proc/PID/fd/N of one points to.
_INSTANCE = "anon_inode:inotify"


def held_by_root(proc: Path = Path("/proc")) -> int | None:
    """Return how many instances root's processes hold; None where nobody can look at them.

    An ordinary user cannot, and only Linux shows them.
    """
    if os.getuid() != 0 or not proc.is_dir():
        return None
    return sum(_held(process) for process in proc.iterdir() if process.name.isdigit())


def _held(process: Path) -> int:
    try:
        files = list((process / "fd").iterdir()) if process.stat().st_uid == 0 else []
    except OSError:
        # It ended meanwhile.
        return 0
    return sum(_is_instance(each) for each in files)


def _is_instance(file: Path) -> bool:
    try:
        return str(file.readlink()) == _INSTANCE
    except OSError:
        # Closed meanwhile.
        return False
