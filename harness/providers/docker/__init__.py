"""Machines that are containers of this host's docker engine. Standard library only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from harness.host.facts import HostFacts
from harness.host.needs import LabNeeds, Problem
from harness.host.services import Daemon, Service, start_command
from harness.host.vm_facts import Kvm
from harness.providers.base import Provider, counted

# The kubelet of 1.35 refuses to start on the first version of cgroups.
LAST_K0S_ON_CGROUP_1 = (1, 34)
_PID = Path("/var/run/docker.pid")


class Engine(Service):
    """The docker engine."""

    def answers(self, facts: HostFacts) -> bool:
        return facts.engine.reachable

    def denied(self, facts: HostFacts) -> bool:
        return facts.engine.denied

    def problem(self, facts: HostFacts) -> str:
        """Return why it does not answer this user, in a few words."""
        if facts.engine.denied:
            return f"{facts.user} may not talk to the docker engine"
        return f"docker is not running: {facts.engine.problem}"

    def hindrance(self, facts: HostFacts) -> Problem | None:
        if not facts.docker_host:
            return None
        return Problem(
            f"{facts.engine.problem} (DOCKER_HOST={facts.docker_host})",
            "unset DOCKER_HOST to use this system's own engine",
        )


ENGINE = Engine(
    title="the docker engine",
    group="docker",
    daemons=(Daemon("dockerd", _PID, (f"--pidfile={_PID}",), detaches=False),),
    unit="docker",
    # A socket unit would start the service again at the next call.
    stop_units=("docker.socket", "docker"),
    # It answers 2 s after its start; its first start on a slow disk takes longer.
    seconds=60.0,
)


class DockerProvider(Provider):
    """Containers with systemd, on bridges of this host."""

    name = "docker"
    command = "docker"
    machines = "containers sharing this host's kernel, each with systemd and its own SSH"
    isolation = (
        "on the host, with root: a rule stops what goes between the lab's bridges and any other "
        "interface, host service or container. Without root this layer is missing, and the report "
        "says so"
    )
    folder = Path(__file__).parent
    backend = "harness.providers.docker.backend"
    service: ClassVar[Service | None] = ENGINE
    boxed = False
    own_kernel = False

    def wanted(self, facts: HostFacts) -> str:
        if facts.kvm is Kvm.USABLE:
            return "KVM is usable, but libvirt is not set up; PROVIDER=libvirt does it"
        return f"no VMs at full speed: {facts.kvm.value}"

    def problems(self, facts: HostFacts, needs: LabNeeds) -> Sequence[Problem]:
        engine = facts.engine
        if facts.system != "linux":
            return [
                Problem(
                    "machines in containers need a Linux host",
                    "PROVIDER=virtualbox (not yet run on real VMs), or a Linux host",
                )
            ]
        found = []
        if engine.foreign:
            found.append(
                Problem(
                    f"the lab's network would not be reachable: {engine.foreign}",
                    "use the system's own engine: unset DOCKER_HOST and docker context use default",
                )
            )
        if engine.denied:
            found.append(
                Problem(
                    ENGINE.problem(facts),
                    f"sudo usermod -aG docker {shlex.quote(facts.user)}, then log in again"
                    " (members of that group are as powerful as root)",
                )
            )
        elif not engine.reachable and "docker" in facts.programs:
            found.append(Problem(ENGINE.problem(facts), start_command(facts, ENGINE)))
        return [*found, *_cgroup_problems(facts, needs)]

    def places(self, needs: LabNeeds) -> Mapping[str, int]:
        return {"docker": needs.machines_mib}

    def rows(self, facts: HostFacts, chosen: str) -> Sequence[tuple[str, str]]:
        if self.command not in facts.programs:
            return [(self.name, "not here")]
        if facts.engine.reachable:
            text = f"{facts.engine.version}, machines in {facts.engine.root}"
        else:
            text = f"not reachable: {facts.engine.problem}"
        return [(self.name, text)]

    def describe(self, machines: int, *, emulated: bool = False, elsewhere: bool = False) -> str:
        return f"{counted(machines, 'container')} sharing this host's kernel"


def _cgroup_problems(facts: HostFacts, needs: LabNeeds) -> Sequence[Problem]:
    version = re.match(r"v?(\d+)\.(\d+)", needs.k0s_version)
    if version is None or facts.cgroup != 1:
        return ()
    if (int(version.group(1)), int(version.group(2))) <= LAST_K0S_ON_CGROUP_1:
        return ()
    return [
        Problem(
            f"k0s {needs.k0s_version} does not run on cgroup v1, and containers share this host's",
            "boot this host with systemd.unified_cgroup_hierarchy=1, or use a k0s up to"
            f" {'.'.join(map(str, LAST_K0S_ON_CGROUP_1))}, or a VM provider",
        )
    ]
