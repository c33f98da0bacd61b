"""Makes this host able to run labs, with its owner's consent, and writes down what it did.

`bootstrap.sh` runs this as `python -m harness.preflight.setup` before there is a virtual
environment, so it imports nothing but the standard library and the harness's own ground.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.base.context import Context
from harness.base.errors import ExitCode, HarnessError, HostLacksError
from harness.base.printable import printable_line
from harness.base.printing import ArgumentParser, ask, say, show, show_tracebacks
from harness.base.process import LocalRunner
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.host import tools
from harness.host.admin import ROOT_SECONDS, Admin
from harness.host.facts import HostFacts
from harness.host.needs import LabNeeds
from harness.host.services import Service, start_command
from harness.host.tools import Tool
from harness.preflight.choice import choose_provider
from harness.preflight.report import describe, inspect_host
from harness.preflight.setup_services import (
    is_member,
    join_argv,
    open_service,
    stop_started,
)
from harness.preflight.survey import survey
from harness.providers.base import Provider
from harness.providers.registry import names, provider

# Another apt (unattended-upgrades after boot) may hold the lock for minutes.
LOCK_SECONDS = 300
DOING = "Setting up this host"
APT = (
    *("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"),
    *("apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"),
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
    """Set-up of one host; `ask` gets a question and returns True for yes."""

    admin: Admin
    consent: Consent
    ask: Callable[[str], bool]

    def ensure(self, *, engine_optional: bool = False) -> None:
        """Install and start what a lab needs; does nothing on a host that has it all.

        Raises `HostLacksError` with the command to type where it may not or cannot. With
        `engine_optional` an engine that does not start is only said: the tests that need none run.
        """
        facts = self.admin.look()
        chosen = provider(choose_provider(facts, self.admin.context.settings.provider).provider)
        missing = chosen.missing_tools(facts)
        service = chosen.service_here(facts)
        if not missing and (service is None or self._serves(facts, service)):
            return
        if missing:
            self._agree(facts, missing, chosen)
            self._install(facts, missing)
            facts = self.admin.look()
        try:
            if service is not None and not self._serves(facts, service, member=False):
                if not missing:
                    self._agree(facts, (), chosen)
                open_service(self.admin, facts, service)
        except HarnessError as error:
            if not engine_optional:
                raise
            self.admin.context.say(error.text())
            self.admin.context.say("    Tests that need machines will be skipped.")

    def _serves(self, facts: HostFacts, service: Service, *, member: bool = True) -> bool:
        """Whether `service` has all that a lab needs.

        A member of its group who is not in it yet is served too: by bootstrap.sh, under sg.
        """
        if service.denied(facts):
            return member and is_member(facts, service)
        return service.answers(facts) and not service.lacks(facts)

    def _agree(self, facts: HostFacts, missing: Sequence[Tool], chosen: Provider) -> None:
        """Return when all that will be done has the owner's consent; asks once, for all of it."""
        service = chosen.service_here(facts)
        if missing:
            state = f"missing: {', '.join(tool.program for tool in missing)}"
            by_hand = tools.install_command(facts, missing)
        else:
            assert service is not None
            state = "; ".join(each.happened for each in chosen.problems(facts, LabNeeds()))
            by_hand = self._by_hand(facts, service)
        if self.consent is Consent.REFUSED:
            why = "NO_INSTALL is set, nothing was changed"
        elif not tools.is_supported(facts) or not chosen.is_set_up:
            why = f"nothing is set up for you on {facts.name} with {chosen.name}"
        elif facts.sudo in {"none", "password"}:
            why = f"{facts.user} is not root and has no password-less sudo"
        elif self.consent is Consent.NOBODY_TO_ASK:
            why = "there is no terminal to ask on; YES=1 answers yes"
        else:
            steps = self._steps(facts, missing, service)
            if self.consent is Consent.GIVEN or self.ask(f"{'; '.join(steps)}. Go on?"):
                return
            why = "nothing was changed"
        raise HostLacksError(DOING, f"{state}; {why}", remedy=by_hand)

    def _steps(
        self, facts: HostFacts, missing: Sequence[Tool], service: Service | None
    ) -> list[str]:
        steps = []
        if missing:
            words = " ".join(tools.packages_for(facts, missing))
            steps.append(f"To be installed with apt-get: {words}")
        if service is None:
            return steps
        if not service.answers(facts) and not service.denied(facts):
            steps.append(f"{service.title} to be started where it does not run")
        if not self._serves(facts, service, member=False) and service.beside(facts):
            steps.append(service.beside(facts))
        if facts.sudo != "root" and not is_member(facts, service):
            steps.append(
                f"{facts.user} to join the group {service.group}, whose members are as powerful"
                " as root"
            )
        return steps

    def _by_hand(self, facts: HostFacts, service: Service) -> str:
        if service.denied(facts):
            return f"sudo {shlex.join(join_argv(facts, service))}, then log in again"
        return service.lacks(facts) or start_command(facts, service)

    def _install(self, facts: HostFacts, missing: Sequence[Tool]) -> None:
        packages = tools.packages_for(facts, missing)
        words = " ".join(packages)
        say, clock = self.admin.context.say, self.admin.context.clock
        say(f"==> Installing {words} with apt-get (up to {ROOT_SECONDS / 60:.0f} min)")
        began = clock.monotonic()
        self.admin.root(facts, [*APT, "update"], doing="Updating the list of packages")
        # Only now the archive's lists are sure to be here, and to be of today.
        facts = self.admin.look()
        absent = tools.absent_for(facts, missing)
        if absent:
            raise HostLacksError(
                DOING,
                f"the archive of {facts.name} does not have {', '.join(absent)}; nothing was"
                " installed",
                remedy=tools.install_command(facts, missing),
            )
        # Recommended packages are left out: Vagrant's are a hypervisor, 671 packages and not 83.
        said = self.admin.root(
            facts,
            [*APT, "install", "-y", "--no-install-recommends", *packages],
            doing=f"Installing {words}",
            log=self.admin.context.settings.state_dir / "setup.log",
        ).stdout
        undo = f"{tools.sudo_for(facts)}apt-get purge --autoremove {words}"
        self.admin.record("installed", packages, undo)
        number = re.search(r"(\d+) newly installed", said)
        size = re.search(r"After this operation, (\S+ \S+) of", said)
        say(
            f"    {number.group(1) if number else len(packages)} packages"
            f"{', ' + size.group(1) if size else ''}, {self.admin.took(began)}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run set-up as `bootstrap.sh` does; return the exit code of design's list."""
    show_tracebacks()
    parser = ArgumentParser(prog="python -m harness.preflight.setup", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--lab", action="store_true", help="a lab is to be made here")
    what.add_argument("--tests", action="store_true", help="the same, an engine is optional")
    what.add_argument("--report", action="store_true", help="change nothing, say what is here")
    what.add_argument("--stop-started", action="store_true", help="stop what was started here")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ, providers=names())
        runner = LocalRunner()
        if options.report:
            report = inspect_host(runner, settings, os.environ)
            show("\n".join(describe(report)))
            return ExitCode.OK if report.ready else ExitCode.HOST_LACKS
        root, terminal = os.getuid() == 0, sys.stdin is not None and sys.stdin.isatty()
        consent = consent_of(os.environ, root=root, terminal=terminal)

        admin = Admin(
            Context(runner, SystemClock(), settings, say),
            lambda: survey(runner, settings, os.environ, versions=False),
        )
        if options.stop_started:
            stop_started(admin)
        else:
            SetUp(admin, consent, ask).ensure(engine_optional=options.tests)
    except HarnessError as error:
        say(error.text())
        say(printable_line(f"k0s-harness: exit {error.exit_code}: {error}"))
        return error.exit_code
    except KeyboardInterrupt:
        say(f"k0s-harness: exit {ExitCode.INTERRUPTED}: interrupted while setting up")
        return ExitCode.INTERRUPTED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
