"""Host sysctls that k0s, the kubelet and the harness set, which container machines share.

They have no namespace, so a kubelet in a container changes this host. They are written down before
the first lab on a container provider and put back after the last. What is set in between by the
harness is how many inotify instances root may have: with the kernel's 128 one lab has room.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from harness.base import untrusted
from harness.base.errors import InfrastructureError
from harness.base.own_files import write_own
from harness.base.process import Runner
from harness.base.untrusted import Limits, RefusedError
from harness.host.inotify import LIMIT_SYSCTL, RAISED
from harness.providers.docker.node_image import REPOSITORY

# What the kubelet (protect-kernel-defaults' list) and k0s set: k0s-facts of 1.32.
NAMES = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
    LIMIT_SYSCTL,
)
PROC = Path("/proc/sys")
# A container that writes a few files: 1 s measured.
CONTAINER_SECONDS = 60.0
# Each of them is one number of 32 bits.
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_LIMITS = Limits("the record of this host's sysctls", most_bytes=64 * 1024, most_levels=4)
_QUOTED = 60
_DOING = "Putting this host's sysctls back"
_LOOK = "look at it, and remove it if it is not yours"


def reference_path(state_dir: Path) -> Path:
    """Return where this host's values from before the first lab are kept."""
    return state_dir / "host-sysctls.json"


def record(state_dir: Path) -> None:
    """Write this host's values down, unless an earlier lab's are still there; raise one of them.

    They are: the file outlives a killed run, and what is set now may be a kubelet's doing. How many
    inotify instances root may have is raised where this user may do it.
    """
    path = reference_path(state_dir)
    if not os.path.lexists(path):
        values = {name: _read(name) for name in NAMES}
        write_own(path, json.dumps({k: v for k, v in values.items() if v is not None}, indent=2))
    # Whatever is wrong with the record is told when it is read to put the values back.
    with contextlib.suppress(OSError, ValueError):
        limit = _read(LIMIT_SYSCTL)
        if limit is None or int(limit) >= RAISED or not os.access(_proc(LIMIT_SYSCTL), os.W_OK):
            return
        known = _recorded(path)
        if LIMIT_SYSCTL not in known:
            # Of a harness that did not raise it, so it is the host's own.
            write_own(path, json.dumps({**known, LIMIT_SYSCTL: limit}, indent=2))
        _proc(LIMIT_SYSCTL).write_text(str(RAISED))


def restore(state_dir: Path, runner: Runner) -> Mapping[str, str]:
    """Put recorded values back and forget them; return those that were changed, name to value.

    Without root it is done by a container, as the change was. Raises `InfrastructureError` when a
    value stays changed; the record then stays too. It is raised as well for what the record should
    not say, once the rest of it is put back and the record is gone; and for a record that is not
    this user's own, which stays.
    """
    path = reference_path(state_dir)
    try:
        wanted = _recorded(path)
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise InfrastructureError(_DOING, f"{path}: {problem.strerror}", remedy=_LOOK) from None
    except RefusedError as problem:
        raise InfrastructureError(_DOING, f"{path}: {problem}", remedy=_LOOK) from None
    except ValueError as problem:
        path.unlink()
        raise InfrastructureError(
            _DOING, f"{path} could not be read and was removed: {problem}"
        ) from None
    known = {name: str(value) for name, value in wanted.items() if _is_value(name, value)}
    changed = {name: value for name, value in known.items() if _read(name) != value}
    if changed:
        _write(changed, runner)
        stuck = sorted(name for name, value in changed.items() if _read(name) != value)
        if stuck:
            raise InfrastructureError(
                _DOING,
                f"these stay changed: {', '.join(stuck)}",
                remedy="as root: sysctl -w "
                + " ".join(f"{name}={changed[name]}" for name in stuck),
            )
    path.unlink(missing_ok=True)
    odd = [name for name in wanted if name not in known]
    if odd:
        raise InfrastructureError(
            _DOING,
            f"{path} said what none ever says ({odd[0][:_QUOTED]!r}), which was not set;"
            " all else is put back",
        )
    return changed


def _recorded(path: Path) -> dict[str, object]:
    """Return what the record says; raises `RefusedError` where it is not this user's own file.

    Raises `ValueError` where it says nothing that can be read.
    """
    text = untrusted.read_text(path, _LIMITS, own=True)
    try:
        value = untrusted.json_value(text, _LIMITS)
    except RefusedError as odd:
        raise ValueError(str(odd)) from None
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004  # of a file, not of a call
    return value


def _is_value(name: str, value: object) -> bool:
    """Return whether the harness itself could have written `value` down for `name`."""
    return name in NAMES and isinstance(value, str) and _INTEGER.fullmatch(value) is not None


def _proc(name: str) -> Path:
    return PROC / name.replace(".", "/")


def _read(name: str) -> str | None:
    try:
        return _proc(name).read_text().strip()
    except OSError:
        return None


def _write(values: Mapping[str, str], runner: Runner) -> None:
    if os.geteuid() == 0:
        for name, value in values.items():
            # What the kernel refuses is found to be as it was.
            with contextlib.suppress(OSError):
                _proc(name).write_text(value)
        return
    images = runner.run(
        ["docker", "images", "--quiet", REPOSITORY],
        doing="Looking for the node image",
        deadline=CONTAINER_SECONDS,
    ).stdout.split()
    if not images:
        return
    runner.run(
        [
            *("docker", "run", "--rm", "--network=none", "--cap-add=SYS_ADMIN"),
            *("--security-opt=systempaths=unconfined", "--security-opt=apparmor=unconfined"),
            *("--entrypoint=sysctl", images[0], "-w"),
            *(f"{name}={value}" for name, value in values.items()),
        ],
        doing=_DOING,
        deadline=CONTAINER_SECONDS,
    )
