"""The daemons that machines live in: the docker engine, libvirt. How they are started and stopped.

Pure: `HostFacts` in, an argument list or a line for people to type out.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.settings import ProviderName
from harness.host.facts import HostFacts


@dataclass(frozen=True)
class Daemon:
    """A program that a system without an init has to be given: `options` to run as that daemon.

    `pid_file` is where it writes its process id by default; it is named all the same, so that
    stopping finds it whatever the default is. `detaches` says that it goes to the background of
    itself, once it can answer.
    """

    program: str
    pid_file: Path
    options: tuple[str, ...]
    detaches: bool


@dataclass(frozen=True)
class Service:
    """Daemons in the order they are started, and systemd's units for them.

    `group` is whose members may talk to it; all of them are as powerful as root. `seconds` bounds
    its start, `log` is its own where it has one.
    """

    title: str
    group: str
    daemons: tuple[Daemon, ...]
    unit: str
    stop_units: tuple[str, ...]
    seconds: float
    log: str = ""


_DOCKER_PID = Path("/var/run/docker.pid")
_LIBVIRT_PID = Path("/run/libvirtd.pid")
_VIRTLOG_PID = Path("/run/virtlogd.pid")
DOCKER = Service(
    title="the docker engine",
    group="docker",
    daemons=(Daemon("dockerd", _DOCKER_PID, (f"--pidfile={_DOCKER_PID}",), detaches=False),),
    unit="docker",
    # A socket unit would start the service again at the next call.
    stop_units=("docker.socket", "docker"),
    # It answers 2 s after its start; its first start on a slow disk takes longer.
    seconds=60.0,
)
LIBVIRT = Service(
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
SERVICES: Mapping[ProviderName, Service] = {
    ProviderName.DOCKER: DOCKER,
    ProviderName.LIBVIRT: LIBVIRT,
}
# Where there is no system bus, there is no polkit that libvirt could ask about users: the socket
# is opened to its group alone instead, as it is where libvirt is built without polkit.
LIBVIRT_CONFIG = """\
unix_sock_group = "libvirt"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
"""


def denied(facts: HostFacts, service: Service) -> bool:
    """Whether the service runs here and this user may not talk to it."""
    return facts.engine.denied if service is DOCKER else facts.libvirt.denied


def answers(facts: HostFacts, service: Service) -> bool:
    """Whether the service answers this user."""
    return facts.engine.reachable if service is DOCKER else facts.libvirt.reachable


def start_command(facts: HostFacts, service: Service) -> str:
    """Return the command that starts `service` here, for people to type."""
    sudo = "" if facts.sudo == "root" else "sudo "
    if facts.systemd:
        return f"{sudo}systemctl start {service.unit}"
    words = [
        shlex.join([daemon.program, *daemon.options])
        if daemon.detaches
        else f"{daemon.program} >/var/log/{daemon.program}.log 2>&1 &"
        for daemon in service.daemons
    ]
    return f"{sudo}sh -c {shlex.quote(' && '.join(words))}"


def start_argv(
    facts: HostFacts, daemon: Daemon, log: Path, config: Path | None = None
) -> list[str]:
    """Return what starts `daemon` by hand, detached; it does nothing where it runs already.

    start-stop-daemon is part of dpkg. `config` is libvirtd's file, `log` gets the output of a
    daemon that has none of its own.
    """
    program = facts.programs[daemon.program]
    detach = [] if daemon.detaches else ["--background", f"--output={log}"]
    return [
        facts.programs.get("start-stop-daemon", "start-stop-daemon"),
        "--start",
        "--oknodo",
        *detach,
        f"--pidfile={daemon.pid_file}",
        f"--exec={program}",
        "--",
        *daemon.options,
        *([f"--config={config}"] if config is not None and daemon.program == "libvirtd" else []),
    ]


def log_place(facts: HostFacts, service: Service, state: Path) -> str:
    """Return where `service` says why it did not start; `state` is the harness's state folder."""
    if facts.systemd:
        return f"journalctl -u {service.unit}"
    return service.log or str(state / f"{service.daemons[-1].program}.log")


def stop_argv(facts: HostFacts, daemon: Daemon) -> list[str]:
    """Return what stops the very `daemon` of its pid file and waits; 30 s, then it is killed."""
    return [
        facts.programs.get("start-stop-daemon", "start-stop-daemon"),
        "--stop",
        "--oknodo",
        "--retry=30",
        f"--pidfile={daemon.pid_file}",
        f"--exec={facts.programs[daemon.program]}",
    ]


def start_unit_argv(service: Service) -> list[str]:
    """Return what starts `service` where there is systemd."""
    return ["systemctl", "start", service.unit]


def stop_unit_argv(service: Service) -> list[str]:
    """Return what stops `service` where there is systemd."""
    return ["systemctl", "stop", *service.stop_units]
