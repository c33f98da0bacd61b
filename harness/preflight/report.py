"""What `k0s-harness doctor` says of a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.base.process import Runner
from harness.base.settings import Settings
from harness.host.admin import SetupRecord, read_records
from harness.host.facts import HostFacts
from harness.host.needs import LabNeeds, Problem
from harness.preflight.choice import choose_provider, problems
from harness.preflight.survey import survey
from harness.providers.base import ProviderChoice
from harness.providers.registry import providers

# The words of a report's left column are padded to the longest of them.
COLUMN = 12


@dataclass(frozen=True)
class HostReport:
    """This host as `doctor` shows it; `problems` are those of the default lab."""

    facts: HostFacts
    choice: ProviderChoice
    needs: LabNeeds
    problems: tuple[Problem, ...]
    records: tuple[SetupRecord, ...]

    @property
    def ready(self) -> bool:
        """Whether a lab of the default size can be made here now."""
        return not self.problems


def describe(report: HostReport) -> list[str]:
    """Return the lines of `k0s-harness doctor` about the host, without trailing newlines."""
    facts = report.facts
    init = "systemd" if facts.systemd else f"no init that starts services (pid 1: {facts.init})"
    rows = [
        ("host", f"{facts.name}, kernel {facts.kernel}, {facts.architecture}, {facts.cpus} CPUs"),
        ("", f"{init}; cgroup v{facts.cgroup}; user {facts.user}, {SUDO_WORDS[facts.sudo]}"),
        ("provider", f"{report.choice.provider}: {report.choice.reason}"),
        ("vagrant", _tool(facts, "vagrant", facts.vagrant)),
        *(row for each in providers() for row in each.rows(facts, report.choice.reason)),
        *(
            (program, _tool(facts, program, None))
            for program in ("mmdebstrap", "nft", "ssh", "ip")
            if program in facts.programs
        ),
        ("memory", f"{facts.available_mib} MiB available of {facts.memory_mib} MiB"),
        *(
            [("inotify", f"{facts.free_inotify} instances left to root")]
            if facts.free_inotify is not None
            else []
        ),
        (
            "disk",
            ", ".join(f"{name} {free} MiB" for name, free in facts.free_mib.items()) + " free",
        ),
    ]
    if facts.missing_capabilities:
        rows.append(("lacks", ", ".join(facts.missing_capabilities)))
    lines = [f"{label:<{COLUMN}}{text}".rstrip() for label, text in rows]
    for record in report.records:
        what = " ".join(record.what)
        lines += [
            f"{'set up':<{COLUMN}}{record.time} {record.did} {what}",
            f"{'':<{COLUMN}}undo: {record.undo}",
        ]
    size = f"{report.needs.controllers} controller, {report.needs.workers} workers"
    if report.ready:
        lines.append(f"{'ready':<{COLUMN}}for a lab of {size}")
    for problem in report.problems:
        lines += f"{'not ready':<{COLUMN}}{problem}".splitlines()
    return lines


SUDO_WORDS = {
    "root": "root",
    "passwordless": "sudo without a password",
    "password": "sudo asks for a password",
    "none": "no sudo",
}


def _tool(facts: HostFacts, program: str, version: tuple[int, ...] | None) -> str:
    if program not in facts.programs:
        return "not here"
    said = ".".join(map(str, version)) + " " if version else ""
    return f"{said}({facts.programs[program]})"


def inspect_host(
    runner: Runner,
    settings: Settings,
    environ: Mapping[str, str],
    needs: LabNeeds | None = None,
) -> HostReport:
    """Return what this host can do for a lab with `needs` (default: 1 controller, 2 workers)."""
    facts = survey(runner, settings, environ, everything=True)
    choice = choose_provider(facts, settings.provider)
    needs = needs or LabNeeds()
    found = problems(facts, choice.provider, needs)
    return HostReport(facts, choice, needs, found, read_records(settings.state_dir))
