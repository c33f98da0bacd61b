"""What `k0s-harness doctor` says of a host, and the record of what set-up did to it.

The record is `host.jsonl` in the state folder: one JSON object a line, appended before the next
thing is done, written by `harness.preflight.setup` and, for Python itself, by bootstrap.sh.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base.process import Runner
from harness.base.settings import Driver, Settings
from harness.host.facts import HostFacts, facts_from, read_host
from harness.host.vm_facts import Kvm, Libvirt, uri_problem
from harness.preflight.choice import LabNeeds, Problem, ProviderChoice, choose_provider, problems
from harness.providers.libvirt.problems import slow_definitions

RECORD_NAME = "host.jsonl"
# The words of a report's left column are padded to the longest of them.
COLUMN = 12


@dataclass(frozen=True)
class SetupRecord:
    """One thing that set-up did: `time` (UTC, ISO 8601), what it did to what, how to undo it."""

    time: str
    did: str
    what: tuple[str, ...]
    undo: str


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


def append_record(state_dir: Path, record: SetupRecord) -> None:
    """Write `record` down; the folder is made for this user alone."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / RECORD_NAME).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(record)) + "\n")


def read_records(state_dir: Path) -> tuple[SetupRecord, ...]:
    """Return what set-up did here, oldest first; a line cut short by a full disk is left out."""
    try:
        lines = (state_dir / RECORD_NAME).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        try:
            data = json.loads(line)
            found.append(
                SetupRecord(data["time"], data["did"], tuple(data["what"]), str(data["undo"]))
            )
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def describe(report: HostReport) -> list[str]:
    """Return the lines of `k0s-harness doctor` about the host, without trailing newlines."""
    facts = report.facts
    init = "systemd" if facts.systemd else f"no init that starts services (pid 1: {facts.init})"
    rows = [
        ("host", f"{facts.name}, kernel {facts.kernel}, {facts.architecture}, {facts.cpus} CPUs"),
        ("", f"{init}; cgroup v{facts.cgroup}; user {facts.user}, {SUDO_WORDS[facts.sudo]}"),
        ("provider", f"{report.choice.provider}: {report.choice.reason}"),
        ("vagrant", _tool(facts, "vagrant", facts.vagrant)),
        ("docker", _docker(facts)),
        *_vm_rows(report),
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
        rows.append(("without", ", ".join(facts.missing_capabilities)))
    lines = [f"{label:<{COLUMN}}{text}".rstrip() for label, text in rows]
    size = f"{report.needs.controllers} controller, {report.needs.workers} workers"
    if report.ready:
        lines.append(f"{'ready':<{COLUMN}}for a lab of {size}")
    for problem in report.problems:
        lines += f"{'not ready':<{COLUMN}}{problem}".splitlines()
    for record in report.records:
        what = " ".join(record.what)
        lines += [
            f"{'set up':<{COLUMN}}{record.time} {record.did} {what}",
            f"{'':<{COLUMN}}undo: {record.undo}",
        ]
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


def _docker(facts: HostFacts) -> str:
    if "docker" not in facts.programs:
        return "not here"
    if facts.engine.reachable:
        return f"{facts.engine.version}, machines in {facts.engine.root}"
    return f"not reachable: {facts.engine.problem}"


def _vm_rows(report: HostReport) -> list[tuple[str, str]]:
    """Return a line for each thing that virtual machines need."""
    facts = report.facts
    libvirt = facts.libvirt
    kvm = "usable" if facts.kvm is Kvm.USABLE else f"not usable: {facts.kvm.value}"
    rows = [("kvm", kvm if facts.driver != Driver.QEMU else f"{kvm}; K0S_HARNESS_DRIVER=qemu")]
    slow = slow_definitions(facts)
    # The provider's line has it where libvirt is the provider.
    if slow and slow not in report.choice.reason:
        rows += [("", slow)]
    if "virsh" in facts.programs:
        rows += [("libvirt", _libvirt(facts))]
        if libvirt.reachable:
            rows += [("", f"storage pool {libvirt.pool_name}: {_pool(libvirt)}")]
        plugin = facts.plugin or "not here"
        rows += [("", f"vagrant-libvirt {plugin}; qemu-img {_tool(facts, 'qemu-img', None)}")]
    else:
        rows += [("libvirt", "not here")]
    if "VBoxManage" in facts.programs:
        allowed = ", ".join(map(str, facts.host_only)) or "none"
        where = facts.programs["VBoxManage"]
        rows += [("virtualbox", f"({where}); host-only networks allowed in {allowed}")]
    else:
        rows += [("virtualbox", "not here")]
    return rows


def _libvirt(facts: HostFacts) -> str:
    libvirt = facts.libvirt
    if not libvirt.reachable:
        return f"{libvirt.uri} not reachable: {uri_problem(libvirt.uri) or libvirt.problem}"
    return f"{libvirt.version} with qemu {libvirt.qemu or '?'} at {libvirt.uri}"


def _pool(libvirt: Libvirt) -> str:
    pool = libvirt.pool
    if pool is None:
        return "not there"
    if not pool.active:
        return "not active"
    return pool.path


def inspect_host(
    runner: Runner,
    settings: Settings,
    environ: Mapping[str, str],
    needs: LabNeeds | None = None,
) -> HostReport:
    """Return what this host can do for a lab with `needs` (default: 1 controller, 2 workers)."""
    facts = facts_from(read_host(runner, settings, environ, everything=True))
    choice = choose_provider(facts, settings.provider)
    needs = needs or LabNeeds()
    found = problems(facts, choice.provider, needs)
    return HostReport(facts, choice, needs, found, read_records(settings.state_dir))
