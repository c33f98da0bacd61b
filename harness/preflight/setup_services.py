"""Starts, opens and stops the daemons that machines live in, and writes down what it did.

A part of set-up (`harness.preflight.setup`), so it imports nothing but the standard library and the
harness's own ground. Consent was given before anything here is called.
"""

from __future__ import annotations

import grp
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.base.errors import HostLacksError
from harness.base.wait import WaitTimeoutError, wait_until
from harness.host import services
from harness.host.admin import Admin, read_records
from harness.host.facts import HostFacts
from harness.host.services import Daemon, Service
from harness.host.tools import sudo_for
from harness.providers.registry import providers


def open_service(admin: Admin, facts: HostFacts, service: Service) -> None:
    """Start `service` where it does not run, let this user talk to it, make its storage pool."""
    if not service.denied(facts) and not service.answers(facts):
        _start(admin, facts, service)
        facts = admin.look()
    if service.denied(facts) and not is_member(facts, service):
        group = service.group
        admin.context.say(
            f"==> {facts.user} joins the group {group}, whose members are as powerful as root"
        )
        admin.root(facts, join_argv(facts, service), doing=f"Reaching {service.title}")
        admin.record("added", (facts.user, "to", group), f"sudo gpasswd -d {facts.user} {group}")
    service.complete(admin, facts)


def stop_started(admin: Admin) -> None:
    """Stop the daemons that set-up started last, where those very processes still run."""
    for service in (each.service for each in providers() if each.service is not None):
        for daemon in reversed(service.daemons):
            pid = pid_of(daemon)
            started = [
                record
                for record in read_records(admin.context.settings.state_dir)
                if record.what[:1] == (daemon.program,)
            ]
            if not pid or not started or started[-1].what != (daemon.program, f"pid={pid}"):
                continue
            facts = admin.look()
            admin.root(facts, _stop_argv(facts, service, daemon), doing=f"Stopping {service.title}")
            admin.record("stopped", (daemon.program,), services.start_command(facts, service))


def join_argv(facts: HostFacts, service: Service) -> list[str]:
    """Return what makes this user a member of the service's group."""
    return ["usermod", "-aG", service.group, facts.user]


def is_member(facts: HostFacts, service: Service) -> bool:
    """Whether the group's own list has this user; the running process may not know it yet."""
    try:
        return facts.user in grp.getgrnam(service.group).gr_mem
    except KeyError:
        return False


def pid_of(daemon: Daemon) -> str:
    """Return the daemon's process id as it wrote it down, or nothing."""
    try:
        return daemon.pid_file.read_text().strip()
    except OSError:
        return ""


def _start(admin: Admin, facts: HostFacts, service: Service) -> None:
    doing = f"Starting {service.title}"
    stuck = sorted({"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}.intersection(facts.missing_capabilities))
    if stuck:
        raise HostLacksError(
            doing,
            f"it cannot run here: this system has no {' and no '.join(stuck)}",
            remedy="use a machine of its own, or a container with these capabilities",
        )
    hindrance = service.hindrance(facts)
    if hindrance is not None:
        raise HostLacksError(doing, hindrance.happened, remedy=hindrance.remedy)
    admin.context.say(f"==> {doing} (up to {service.seconds:.0f}s)")
    began = admin.context.clock.monotonic()
    state = admin.context.settings.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ran = {pid_of(daemon) for daemon in service.daemons}
    if facts.systemd:
        admin.root(facts, services.start_unit_argv(service), doing=doing)
        ours: Sequence[Daemon] = service.daemons[-1:]
    else:
        for daemon in service.daemons:
            config = _config(admin, facts, service, daemon)
            log = state / f"{daemon.program}.log"
            admin.root(facts, services.start_argv(facts, daemon, log, config), doing=doing)
        ours = service.daemons
    try:
        wait_until(
            service.title,
            admin.look,
            lambda now: service.answers(now) or service.denied(now),
            bound=service.seconds,
            every=1.0,
            clock=admin.context.clock,
        )
    except WaitTimeoutError:
        raise HostLacksError(
            doing,
            f"it does not answer within {service.seconds:.0f}s",
            remedy=f"{services.log_place(facts, service, state)} says why",
        ) from None
    for daemon in ours:
        # One that ran before is not ours to stop.
        if (pid := pid_of(daemon)) not in ran or not pid:
            undo = sudo_for(facts) + shlex.join(_stop_argv(facts, service, daemon))
            admin.record("started", (daemon.program, f"pid={pid}"), undo)
    admin.context.say(f"    {admin.took(began)}")


def _stop_argv(facts: HostFacts, service: Service, daemon: Daemon) -> list[str]:
    if facts.systemd:
        return services.stop_unit_argv(service)
    return services.stop_argv(facts, daemon)


def _config(admin: Admin, facts: HostFacts, service: Service, daemon: Daemon) -> Path | None:
    """Write the configuration that `daemon` needs here; return its file, None without one."""
    wanted = service.config(facts)
    if wanted is None or wanted[0] != daemon.program:
        return None
    config = admin.context.settings.state_dir / f"{daemon.program}.conf"
    config.write_text(wanted[1])
    return config
