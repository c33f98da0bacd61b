"""The daemons that machines live in, such as the docker engine: how they are started and stopped.

Pure: `HostFacts` in, an argument list or a line for people to type out.
"""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from harness.host.admin import Admin
from harness.host.facts import HostFacts
from harness.host.needs import Problem
from harness.host.tools import sudo_for


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
class Service(ABC):
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

    @abstractmethod
    def answers(self, facts: HostFacts) -> bool:
        """Return whether it answers this user."""

    @abstractmethod
    def denied(self, facts: HostFacts) -> bool:
        """Return whether it runs here and this user may not talk to it."""

    def hindrance(self, facts: HostFacts) -> Problem | None:
        """Return what keeps it from being started here, None where nothing does."""
        return None

    def config(self, facts: HostFacts) -> tuple[str, str] | None:
        """Return the daemon that needs a configuration of ours here, and its text."""
        return None

    def beside(self, facts: HostFacts) -> str:
        """Return what set-up makes beside starting it, in words, or nothing."""
        return ""

    def lacks(self, facts: HostFacts) -> str:
        """Return the command that makes what it lacks although it answers, or nothing."""
        return ""

    def complete(self, admin: Admin, facts: HostFacts) -> None:
        """Make what it lacks, once it runs: nothing, mostly."""


def start_command(facts: HostFacts, service: Service) -> str:
    """Return the command that starts `service` here, for people to type."""
    sudo = sudo_for(facts)
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

    start-stop-daemon is part of dpkg. `config` is the daemon's file where it is given one, `log`
    gets the output of a daemon that has none of its own.
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
        *([f"--config={config}"] if config is not None else []),
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
