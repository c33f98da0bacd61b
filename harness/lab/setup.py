"""Makes this host able to run labs, with its owner's consent, and writes down what it did.

`bootstrap.sh` runs this as `python -m harness.lab.setup` before there is a virtual environment, so
it imports nothing but the standard library and the harness's own ground.
"""

from __future__ import annotations

import argparse
import grp
import os
import re
import shlex
import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from harness.errors import ExitCode
from harness.errors import HarnessError
from harness.errors import HostLacksError
from harness.lab import host_commands as commands
from harness.lab.host import choose_provider
from harness.lab.host import engine_problem
from harness.lab.host import missing_tools
from harness.lab.host_commands import Tool
from harness.lab.host_facts import HostFacts
from harness.lab.host_facts import facts_from
from harness.lab.host_facts import read_host
from harness.lab.host_report import SetupRecord
from harness.lab.host_report import append_record
from harness.lab.host_report import describe
from harness.lab.host_report import inspect_host
from harness.lab.host_report import read_records
from harness.process import CommandFailedError
from harness.process import LocalRunner
from harness.process import Runner
from harness.settings import ProviderName
from harness.settings import Settings
from harness.wait import Clock
from harness.wait import SystemClock
from harness.wait import WaitTimeoutError
from harness.wait import wait_until

# 109 MB and 128 packages on a clean Debian 12 take a minute; a slow mirror ten times that.
INSTALL_SECONDS = 1200.0
# Another apt (unattended-upgrades after boot) may hold the lock for minutes.
LOCK_SECONDS = 300
# dockerd answers 2 s after its start; its first start on a slow disk takes longer.
ENGINE_SECONDS = 60.0
DOING = "Setting up this host"
APT = (
    "env",
    "LC_ALL=C",
    "DEBIAN_FRONTEND=noninteractive",
    "NEEDRESTART_SUSPEND=1",
    "apt-get",
    "-q",
    "-o",
    f"DPkg::Lock::Timeout={LOCK_SECONDS}",
)


class Consent(Enum):
    """Whether packages may be installed and services started here."""

    GIVEN = "as root, or with CI or YES=1"
    ASK = "an ordinary user on a terminal"
    REFUSED = "NO_INSTALL is set"
    NOBODY_TO_ASK = "an ordinary user without a terminal"


def consent_of(environ: Mapping[str, str], *, root: bool, terminal: bool) -> Consent:
    """Return the consent that the environment gives; NO_INSTALL beats everything."""
    if environ.get("NO_INSTALL"):
        return Consent.REFUSED
    if root or environ.get("CI") or environ.get("YES"):
        return Consent.GIVEN
    return Consent.ASK if terminal else Consent.NOBODY_TO_ASK


@dataclass(frozen=True)
class SetUp:
    """Set-up of one host.

    `look` reads its facts now, `say` gets narration line by line, `ask` a question, True for yes.
    """

    runner: Runner
    settings: Settings
    look: Callable[[], HostFacts]
    clock: Clock
    consent: Consent
    say: Callable[[str], None]
    ask: Callable[[str], bool]

    def ensure(self, *, engine_optional: bool = False) -> None:
        """Install and start what a lab needs; does nothing on a host that has it all.

        Raises `HostLacksError` with the command to type where it may not or cannot. With
        `engine_optional` an engine that does not start is only said: the tests that need none run.
        """
        facts = self.look()
        provider = choose_provider(facts, self.settings.provider).provider
        missing = missing_tools(facts, provider)
        # A member of the group docker who is not in it yet is served by bootstrap.sh, under sg.
        served = facts.engine.reachable or (facts.engine.denied and _is_member(facts))
        wants_engine = provider is ProviderName.DOCKER and not served
        if not missing and not wants_engine:
            return
        if missing:
            self._agree(facts, missing, provider)
            self._install(facts, missing)
            facts = self.look()
        try:
            if provider is ProviderName.DOCKER and not facts.engine.reachable:
                if not missing:
                    self._agree(facts, (), provider)
                self._open_engine(facts)
        except HarnessError as error:
            if not engine_optional:
                raise
            self.say(error.text())
            self.say("    Tests that need machines will be skipped.")

    def _agree(self, facts: HostFacts, missing: Sequence[Tool], provider: ProviderName) -> None:
        """Return when all that will be done has the owner's consent; asks once, for all of it."""
        names = ", ".join(tool.program for tool in missing)
        by_hand = commands.install_command(facts, missing) if missing else self._by_hand(facts)
        state = f"missing: {names}" if missing else engine_problem(facts)
        if self.consent is Consent.REFUSED:
            why = "NO_INSTALL is set, nothing was changed"
        elif not commands.is_supported(facts) or provider is not ProviderName.DOCKER:
            why = f"nothing is set up for you on {facts.name} with {provider}"
        elif facts.sudo in {"none", "password"}:
            why = f"{facts.user} is not root and has no password-less sudo"
        elif self.consent is Consent.NOBODY_TO_ASK:
            why = "there is no terminal to ask on; YES=1 answers yes"
        else:
            steps = self._steps(facts, missing)
            if self.consent is Consent.GIVEN or self.ask(f"{'; '.join(steps)}. Go on?"):
                return
            why = "nothing was changed"
        raise HostLacksError(DOING, f"{state}; {why}", remedy=by_hand)

    def _steps(self, facts: HostFacts, missing: Sequence[Tool]) -> list[str]:
        steps = []
        if missing:
            words = " ".join(commands.packages_for(facts, missing))
            steps.append(f"To be installed with apt-get: {words}")
        if not facts.engine.reachable and not facts.engine.denied:
            steps.append("the docker engine to be started where it does not run")
        if facts.sudo != "root" and not _is_member(facts):
            steps.append(
                f"{facts.user} to join the group docker, whose members are as powerful as root"
            )
        return steps

    def _by_hand(self, facts: HostFacts) -> str:
        if facts.engine.denied:
            return f"sudo {shlex.join(_join_argv(facts))}, then log in again"
        return commands.start_command(facts)

    def _install(self, facts: HostFacts, missing: Sequence[Tool]) -> None:
        packages = commands.packages_for(facts, missing)
        words = " ".join(packages)
        self.say(f"==> Installing {words} with apt-get (up to {INSTALL_SECONDS / 60:.0f} min)")
        began = self.clock.monotonic()
        self._root(facts, [*APT, "update"], doing="Updating the list of packages")
        # Only now the archive's lists are sure to be here, and to be of today.
        facts = self.look()
        absent = commands.absent_for(facts, missing)
        if absent:
            raise HostLacksError(
                DOING,
                f"the archive of {facts.name} does not have {', '.join(absent)}; nothing was"
                " installed",
                remedy=commands.install_command(facts, missing),
            )
        # Recommended packages are left out: Vagrant's are a hypervisor, 671 packages and not 83.
        said = self._root(
            facts,
            [*APT, "install", "-y", "--no-install-recommends", *packages],
            doing=f"Installing {words}",
            log=self.settings.state_dir / "setup.log",
        )
        undo = f"{commands.sudo_for(facts)}apt-get purge --autoremove {words}"
        self._record("installed", packages, undo)
        number = re.search(r"(\d+) newly installed", said)
        size = re.search(r"After this operation, (\S+ \S+) of", said)
        self.say(
            f"    {number.group(1) if number else len(packages)} packages"
            f"{', ' + size.group(1) if size else ''}, {self._took(began)}"
        )

    def _open_engine(self, facts: HostFacts) -> None:
        """Start the engine where it does not run, and let this user talk to it."""
        if not facts.engine.denied:
            self._start_engine(facts)
            facts = self.look()
        if not facts.engine.denied or _is_member(facts):
            return
        self.say(f"==> {facts.user} joins the group docker, whose members are as powerful as root")
        self._root(facts, _join_argv(facts), doing="Reaching the docker engine")
        self._record("added", (facts.user, "to", "docker"), f"sudo gpasswd -d {facts.user} docker")

    def _start_engine(self, facts: HostFacts) -> None:
        doing = "Starting the docker engine"
        stuck = sorted({"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}.intersection(facts.missing_capabilities))
        if stuck:
            raise HostLacksError(
                doing,
                f"no engine can run here: this system has no {' and no '.join(stuck)}",
                remedy="use a machine of its own, or a container with these capabilities",
            )
        if facts.docker_host:
            raise HostLacksError(
                doing,
                f"{facts.engine.problem} (DOCKER_HOST={facts.docker_host})",
                remedy="unset DOCKER_HOST to use this system's own engine",
            )
        self.say(f"==> Starting the docker engine (up to {ENGINE_SECONDS:.0f}s)")
        began = self.clock.monotonic()
        log = self.settings.state_dir / "dockerd.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root(facts, commands.start_argv(facts, log), doing=doing)
        try:
            wait_until(
                "the docker engine",
                lambda: self.look().engine,
                lambda engine: engine.reachable or engine.denied,
                bound=ENGINE_SECONDS,
                every=1.0,
                clock=self.clock,
            )
        except WaitTimeoutError:
            where = "journalctl -u docker says why" if facts.systemd else f"{log} says why"
            raise HostLacksError(
                doing, f"it does not answer within {ENGINE_SECONDS:.0f}s", remedy=where
            ) from None
        undo = commands.sudo_for(facts) + shlex.join(commands.stop_argv(facts))
        self._record("started", ("dockerd", f"pid={_engine_pid()}"), undo)
        self.say(f"    {self._took(began)}")

    def _took(self, began: float) -> str:
        seconds = self.clock.monotonic() - began
        return f"done in {seconds:.0f}s; make doctor lists how to undo it"

    def stop_started(self) -> None:
        """Stop the engine that set-up started last, if that very one still runs."""
        started = [
            record
            for record in read_records(self.settings.state_dir)
            if record.what[:1] == ("dockerd",)
        ]
        pid = _engine_pid()
        if not pid or not started or started[-1].what != ("dockerd", f"pid={pid}"):
            return
        facts = self.look()
        self._root(facts, commands.stop_argv(facts), doing="Stopping the docker engine")
        self._record("stopped", ("dockerd",), commands.start_command(facts))

    def _root(
        self, facts: HostFacts, argv: Sequence[str], *, doing: str, log: Path | None = None
    ) -> str:
        # Programs of ours have no terminal: a sudo that asks must fail, not wait.
        prefix = [] if facts.sudo == "root" else ["sudo", "-n"]
        try:
            return self.runner.run(
                [*prefix, *argv], doing=doing, deadline=INSTALL_SECONDS, log=log
            ).stdout
        except CommandFailedError as error:
            raise HostLacksError(
                error.doing, error.happened, details=error.details, where=error.where
            ) from None

    def _record(self, did: str, what: Sequence[str], undo: str) -> None:
        now = self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        append_record(self.settings.state_dir, SetupRecord(now, did, tuple(what), undo))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run set-up as `bootstrap.sh` does; return the exit code of design's list."""
    parser = argparse.ArgumentParser(prog="python -m harness.lab.setup", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--lab", action="store_true", help="a lab is to be made here")
    what.add_argument("--tests", action="store_true", help="the same, an engine is optional")
    what.add_argument("--report", action="store_true", help="change nothing, say what is here")
    what.add_argument("--stop-started", action="store_true", help="stop the engine started here")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ)
        runner = LocalRunner()
        if options.report:
            report = inspect_host(runner, settings, os.environ)
            sys.stdout.write("\n".join(describe(report)) + "\n")
            return ExitCode.OK if report.ready else ExitCode.HOST_LACKS
        root, terminal = os.getuid() == 0, sys.stdin is not None and sys.stdin.isatty()
        consent = consent_of(os.environ, root=root, terminal=terminal)

        def look() -> HostFacts:
            return facts_from(read_host(runner, settings, os.environ, versions=False))

        set_up = SetUp(runner, settings, look, SystemClock(), consent, _say, _ask)
        if options.stop_started:
            set_up.stop_started()
        else:
            set_up.ensure(engine_optional=options.tests)
    except HarnessError as error:
        _say(error.text())
        _say(f"k0s-harness: exit {error.exit_code}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say(f"k0s-harness: exit {ExitCode.INTERRUPTED}: interrupted while setting up")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


def _join_argv(facts: HostFacts) -> list[str]:
    return ["usermod", "-aG", "docker", facts.user]


def _is_member(facts: HostFacts) -> bool:
    """Whether the group's own list has this user; the running process may not know it yet."""
    try:
        return facts.user in grp.getgrnam("docker").gr_mem
    except KeyError:
        return False


def _engine_pid() -> str:
    """Return the engine's process id as it wrote it down, or nothing."""
    try:
        return commands.ENGINE_PID.read_text().strip()
    except OSError:
        return ""


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _ask(question: str) -> bool:
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    sys.exit(main())
