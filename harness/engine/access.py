"""A cluster to look at: a kept lab, or one that somebody deployed. Nothing of it is changed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness.base.context import Context, Say
from harness.base.errors import InfrastructureError, UsageError
from harness.base.process import Runner
from harness.base.wait import Clock
from harness.cluster import existing
from harness.cluster.prober import ApiClient, Prober
from harness.diagnose import ladder
from harness.evidence.reading import Reading
from harness.lab import kept
from harness.ssh.arguments import Agree, refuse
from harness.ssh.openssh import OpenSSHRemote
from harness.ssh.remote import RemoteReader
from harness.vocabulary.words import Role

# A connection through a bastion on a slow line; ssh's own bound on connecting is below this.
REACH_SECONDS = 30.0
# A file may name any number of hosts; each attempt is a process of ssh.
_REACHED_AT_ONCE = 64


@dataclass(frozen=True)
class ClusterAccess:
    """The way to a cluster's API server and to its machines.

    `roles` has k0sctl's word for each machine, `controller` the one that is asked, `on` what stands
    there as the end of a sentence. `unreachable` says of the other machines why there is no way,
    `data_dirs` where k0s has its files on each, if they are not in its own place.
    """

    name: str
    on: str
    api: ApiClient
    controller: str
    remotes: Mapping[str, RemoteReader]
    roles: Mapping[str, str]
    in_lab: bool
    pace: float = 1.0
    unreachable: Mapping[str, str] = field(default_factory=dict)
    data_dirs: Mapping[str, str] = field(default_factory=dict)

    def prober(self, clock: Clock) -> Prober:
        """Return what takes readings here from now on; machines without a way are gaps in it."""
        return Prober(
            self.api,
            self.remotes,
            clock,
            clock.monotonic(),
            pace=self.pace,
            unreachable=self.unreachable,
        )


@contextlib.contextmanager
def kept_lab(host: Context, name: str | None, *, doing: str) -> Iterator[ClusterAccess]:
    """Yield a kept lab: the one that is named, or the only one.

    Raises `UsageError` where there is none, or several and no name.
    """
    lab = kept.attach(host, name, doing=doing)
    controller = next(each for each in lab.machines.values() if each.role is not Role.WORKER)
    remotes = {each: lab.remote(each) for each in lab.machines}
    as_host = existing.ExistingHost(controller.name, controller.role, (), root=False)
    try:
        yield ClusterAccess(
            name=lab.run_id,
            on=lab.substrate,
            api=existing.K0sKubectl(as_host, remotes[controller.name]),
            controller=controller.name,
            remotes=remotes,
            roles={each.name: each.role.value for each in lab.machines.values()},
            in_lab=True,
            pace=lab.pace,
        )
    finally:
        lab.close()


@contextlib.contextmanager
def existing_cluster(
    runner: Runner, k0sctl: Path, *, say: Say, agree: Agree = refuse
) -> Iterator[ClusterAccess]:
    """Yield the cluster of a k0sctl.yaml, without the machines that cannot be reached.

    `agree` is asked about what the file would have ssh run or load here; `say` is told what is not
    done as the file says. Raises `UsageError` for a file that is none or names no controller, and
    `InfrastructureError` where no controller can be reached.
    """
    hosts = existing.read_hosts(k0sctl, os.environ, agree=agree)
    for note in dict.fromkeys(note for each in hosts for note in each.notes):
        say(note)
    if not any(host.controls for host in hosts):
        raise UsageError(f"Reading {k0sctl}", "no host in it runs a control plane")
    with tempfile.TemporaryDirectory(prefix="k0s-harness-ssh-") as sockets:
        tried = {
            host.name: OpenSSHRemote(
                host.name, host.ssh, root=host.root, sockets=Path(sockets), runner=runner
            )
            for host in hosts
        }
        with ThreadPoolExecutor(max_workers=min(len(tried), _REACHED_AT_ONCE)) as pool:
            errors = dict(zip(tried, pool.map(_reach, tried.values()), strict=True))
        remotes = {name: remote for name, remote in tried.items() if errors[name] is None}
        unreachable = {name: str(error) for name, error in errors.items() if error is not None}
        why = next((error for error in errors.values() if error is not None), None)
        controller = next((each for each in hosts if each.controls and each.name in remotes), None)
        try:
            if controller is None:
                assert why is not None
                raise why
            yield ClusterAccess(
                name=k0sctl.stem,
                on=f"{len(hosts)} hosts of {k0sctl.name}",
                api=existing.K0sKubectl(controller, remotes[controller.name]),
                controller=controller.name,
                remotes=remotes,
                roles={each.name: each.role for each in hosts},
                in_lab=False,
                unreachable=unreachable,
                data_dirs={each.name: each.data_dir for each in hosts},
            )
        finally:
            for remote in remotes.values():
                remote.close()


def _reach(remote: OpenSSHRemote) -> InfrastructureError | None:
    """Return why there is no way to a machine, None where there is.

    One look before the others, so that a wrong key is one sentence and not twenty; it also opens
    the connection that the others share.
    """
    try:
        remote.run(["true"], doing=f"Reaching {remote.name}", deadline=REACH_SECONDS)
    except InfrastructureError as error:
        return error
    return None


@contextlib.contextmanager
def access(
    host: Context,
    lab: str | None,
    k0sctl: Path | None,
    *,
    doing: str,
    say: Say,
    agree: Agree = refuse,
) -> Iterator[ClusterAccess]:
    """Yield the one that was named; says what of it cannot be reached.

    `agree` is asked about what a k0sctl.yaml would have ssh run or load on this machine.
    """
    if lab is not None and k0sctl is not None:
        raise UsageError(doing, "name a kept lab or a k0sctl.yaml, not both")
    if k0sctl is None:
        way = kept_lab(host, lab, doing=doing)
    else:
        way = existing_cluster(host.runner, k0sctl, say=say, agree=agree)
    with way as found:
        for name, reason in found.unreachable.items():
            say(f"{name} is left out: {reason}")
        yield found


def walk(found: ClusterAccess, clock: Clock) -> tuple[Reading, ...]:
    """Return every reading of one walk up the hop ladder."""
    names = sorted(found.roles, key=lambda name: name != found.controller)
    return ladder.take(
        found.prober(clock),
        [name for name in names if found.roles[name] in existing.CONTROLS],
        [name for name in names if found.roles[name] in existing.WORKS],
        in_lab=found.in_lab,
    )
