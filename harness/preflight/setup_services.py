"""Starts, opens and stops the daemons that machines live in, and writes down what it did.

A part of set-up (`harness.preflight.setup`), so it imports nothing but the standard library and the
harness's own ground. Consent was given before anything here is called.
"""

from __future__ import annotations

import grp
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.base.errors import HostLacksError
from harness.base.process import CommandFailedError, Completed, Runner
from harness.base.settings import Settings
from harness.base.wait import Clock, WaitTimeoutError, wait_until
from harness.host import services
from harness.host import vm_facts as vms
from harness.host.facts import HostFacts
from harness.host.services import Daemon, Service
from harness.host.texts import Answer
from harness.host.tools import sudo_for
from harness.preflight.report import SetupRecord, append_record, read_records
from harness.providers.libvirt import problems

# apt is the slowest: 109 MB and 128 packages on a clean Debian 12 take a minute; a slow mirror ten
# times that.
ROOT_SECONDS = 1200.0


@dataclass(frozen=True)
class Means:
    """What set-up does its work with; `look` reads the host's facts now, `say` gets narration."""

    runner: Runner
    settings: Settings
    look: Callable[[], HostFacts]
    clock: Clock
    say: Callable[[str], None]

    def root(
        self,
        facts: HostFacts,
        argv: Sequence[str],
        *,
        doing: str,
        log: Path | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `argv` as root; with `check` a status other than 0 is the host's lack."""
        # Programs of ours have no terminal: a sudo that asks must fail, not wait.
        prefix = [] if facts.sudo == "root" else ["sudo", "-n"]
        try:
            return self.runner.run(
                [*prefix, *argv], doing=doing, deadline=ROOT_SECONDS, log=log, check=check
            )
        except CommandFailedError as error:
            raise HostLacksError(
                error.doing, error.happened, details=error.details, where=error.where
            ) from None

    def record(self, did: str, what: Sequence[str], undo: str) -> None:
        """Write down one thing that was done."""
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        append_record(self.settings.state_dir, SetupRecord(now, did, tuple(what), undo))

    def took(self, began: float) -> str:
        """Return the end of a step's narration."""
        seconds = self.clock.monotonic() - began
        return f"done in {seconds:.0f}s; make doctor lists how to undo it"


def open_service(means: Means, facts: HostFacts, service: Service) -> None:
    """Start `service` where it does not run, let this user talk to it, make its storage pool."""
    if not services.denied(facts, service) and not services.answers(facts, service):
        _start(means, facts, service)
        facts = means.look()
    if services.denied(facts, service) and not is_member(facts, service):
        group = service.group
        means.say(
            f"==> {facts.user} joins the group {group}, whose members are as powerful as root"
        )
        means.root(facts, join_argv(facts, service), doing=f"Reaching {service.title}")
        means.record("added", (facts.user, "to", group), f"sudo gpasswd -d {facts.user} {group}")
    if service is services.LIBVIRT:
        _make_pool(means, facts)


def stop_started(means: Means) -> None:
    """Stop the daemons that set-up started last, where those very processes still run."""
    for service in services.SERVICES.values():
        for daemon in reversed(service.daemons):
            pid = pid_of(daemon)
            started = [
                record
                for record in read_records(means.settings.state_dir)
                if record.what[:1] == (daemon.program,)
            ]
            if not pid or not started or started[-1].what != (daemon.program, f"pid={pid}"):
                continue
            facts = means.look()
            means.root(facts, _stop_argv(facts, service, daemon), doing=f"Stopping {service.title}")
            means.record("stopped", (daemon.program,), services.start_command(facts, service))


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


def _start(means: Means, facts: HostFacts, service: Service) -> None:
    doing = f"Starting {service.title}"
    stuck = sorted({"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}.intersection(facts.missing_capabilities))
    if stuck:
        raise HostLacksError(
            doing,
            f"it cannot run here: this system has no {' and no '.join(stuck)}",
            remedy="use a machine of its own, or a container with these capabilities",
        )
    if service is services.DOCKER and facts.docker_host:
        raise HostLacksError(
            doing,
            f"{facts.engine.problem} (DOCKER_HOST={facts.docker_host})",
            remedy="unset DOCKER_HOST to use this system's own engine",
        )
    means.say(f"==> {doing} (up to {service.seconds:.0f}s)")
    began = means.clock.monotonic()
    state = means.settings.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ran = {pid_of(daemon) for daemon in service.daemons}
    if facts.systemd:
        means.root(facts, services.start_unit_argv(service), doing=doing)
        ours: Sequence[Daemon] = service.daemons[-1:]
    else:
        config = _config(means, facts, service)
        for daemon in service.daemons:
            log = state / f"{daemon.program}.log"
            means.root(facts, services.start_argv(facts, daemon, log, config), doing=doing)
        ours = service.daemons
    try:
        wait_until(
            service.title,
            means.look,
            lambda now: services.answers(now, service) or services.denied(now, service),
            bound=service.seconds,
            every=1.0,
            clock=means.clock,
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
            means.record("started", (daemon.program, f"pid={pid}"), undo)
    means.say(f"    {means.took(began)}")


def _stop_argv(facts: HostFacts, service: Service, daemon: Daemon) -> list[str]:
    if facts.systemd:
        return services.stop_unit_argv(service)
    return services.stop_argv(facts, daemon)


def _config(means: Means, facts: HostFacts, service: Service) -> Path | None:
    """Write what opens libvirt to its group, for a user whom no polkit can be asked about."""
    if service is not services.LIBVIRT or facts.sudo == "root":
        return None
    config = means.settings.state_dir / "libvirtd.conf"
    config.write_text(services.LIBVIRT_CONFIG)
    return config


def _make_pool(means: Means, facts: HostFacts) -> None:
    """Make or start libvirt's storage pool where it is missing or stopped; one that is named stays.

    As root: a user who joined the group a moment ago is not in it yet.
    """
    libvirt = facts.libvirt
    doing = "Making libvirt's storage pool"
    if not libvirt.reachable:
        info = vms.pool_info_command(libvirt.uri, libvirt.pool_name)
        said = means.root(facts, info, doing=doing, check=False)
        answer = Answer(said.returncode, said.stdout, said.stderr)
        pool = vms.pool_from(libvirt.pool_name, answer, None)
        libvirt = replace(libvirt, reachable=True, pool=pool)
    steps = problems.pool_steps(libvirt)
    if not steps:
        return
    name = libvirt.pool_name
    means.say(f"==> libvirt's storage pool {name} in {problems.POOL_PATH}")
    for argv in steps:
        means.root(facts, argv, doing=doing)
    did = "made" if libvirt.pool is None else "started"
    undo = sudo_for(facts) + problems.typed(problems.pool_undo(libvirt))
    means.record(did, ("pool", name), undo)
