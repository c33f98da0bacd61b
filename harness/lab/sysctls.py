"""Host sysctls that k0s and the kubelet set, which container machines share with the host.

They have no namespace, so a kubelet in a container changes this host. They are written down before
the first lab on a container provider and put back after the last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.errors import InfrastructureError
from harness.lab.node_image import REPOSITORY
from harness.process import Runner

# What the kubelet (protect-kernel-defaults' list) and k0s set: k0s-facts of 1.32.
NAMES = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
PROC = Path("/proc/sys")
# A container that writes a few files: 1 s measured.
CONTAINER_SECONDS = 60.0


def reference_path(state_dir: Path) -> Path:
    """Return where this host's values from before the first lab are kept."""
    return state_dir / "host-sysctls.json"


def record(state_dir: Path) -> None:
    """Write this host's values down, unless an earlier lab's are still there.

    They are: the file outlives a killed run, and what is set now may be a kubelet's doing.
    """
    path = reference_path(state_dir)
    if path.exists():
        return
    values = {name: _read(name) for name in NAMES}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({k: v for k, v in values.items() if v is not None}, indent=2))
    temporary.replace(path)


def restore(state_dir: Path, runner: Runner) -> Mapping[str, str]:
    """Put recorded values back and forget them; return those that were changed, name to value.

    Without root it is done by a container, as the change was. Raises `InfrastructureError` when
    a value stays changed; the record then stays too.
    """
    path = reference_path(state_dir)
    try:
        wanted: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        path.unlink()
        raise InfrastructureError(
            "Putting this host's sysctls back", f"{path} could not be read and was removed"
        ) from None
    changed = {name: value for name, value in wanted.items() if _read(name) != value}
    if changed:
        _write(changed, runner)
        stuck = sorted(name for name, value in changed.items() if _read(name) != value)
        if stuck:
            raise InfrastructureError(
                "Putting this host's sysctls back",
                f"these stay changed: {', '.join(stuck)}",
                remedy="as root: sysctl -w "
                + " ".join(f"{name}={changed[name]}" for name in stuck),
            )
    path.unlink(missing_ok=True)
    return changed


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
            "docker",
            "run",
            "--rm",
            "--network=none",
            "--security-opt=systempaths=unconfined",
            "--security-opt=apparmor=unconfined",
            "--cap-add=SYS_ADMIN",
            "--entrypoint=sysctl",
            images[0],
            "-w",
            *(f"{name}={value}" for name, value in values.items()),
        ],
        doing="Putting this host's sysctls back",
        deadline=CONTAINER_SECONDS,
    )
