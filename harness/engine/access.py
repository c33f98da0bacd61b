"""A cluster to look at: a kept lab, or one that somebody deployed. Nothing of it is changed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.base.context import Context, Say
from harness.base.errors import InfrastructureError, UsageError
from harness.base.process import Runner
from harness.base.wait import Clock
from harness.cluster import existing
from harness.cluster.existing import ExistingHost
from harness.cluster.k0sctl_checks import CONTROLS, WORKS
from harness.cluster.prober import ApiClient, Prober
from harness.diagnose import ladder
from harness.evidence.reading import Reading
from harness.lab import kept
from harness.ssh.arguments import Agree, refuse
from harness.ssh.fair_semaphore import FairSemaphore
from harness.ssh.files import SOCKETS
from harness.ssh.here import HereRemote
from harness.ssh.openssh import AT_ONCE, OpenSSHRemote
from harness.ssh.remote import RemoteReader
from harness.ssh.standing import Standing
from harness.vocabulary.words import Role

# A connection through a bastion on a slow line; ssh's own bound on connecting is below this.
REACH_SECONDS = 30.0
# A file may name any number of hosts; each attempt is a process of ssh. Those that come the same
# way wait for each other (`harness.ssh.openssh.AT_ONCE`).
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
    cluster = existing.read_cluster(k0sctl, os.environ, agree=agree)
    hosts = cluster.hosts
    for note in dict.fromkeys(
        [*cluster.notes, *(note for each in hosts for note in each.notes), *cluster.left_out]
    ):
        say(str(note))
    say(f"by {k0sctl.name} konnectivity is {'on' if cluster.konnectivity else 'off'}")
    # Not where TMPDIR says: the path of a socket may have 107 bytes, with 58 that ssh adds.
    with tempfile.TemporaryDirectory(prefix="k0s-harness-ssh-", dir=SOCKETS) as sockets:
        tried = _remotes(hosts, Path(sockets), runner)
        with ThreadPoolExecutor(max_workers=min(len(tried), _REACHED_AT_ONCE)) as pool:
            found = dict(zip(tried, pool.map(_reach, hosts, tried.values()), strict=True))
        standing = {name: each for name, each in found.items() if isinstance(each, Standing)}
        errors = {name: each for name, each in found.items() if not isinstance(each, Standing)}
        remotes = {name: tried[name] for name in standing}
        controller = next((each for each in hosts if each.controls and each.name in remotes), None)
        try:
            if controller is None:
                raise next(iter(errors.values()))
            for name, each in standing.items():
                if not each.is_root:
                    say(f"{name}: no password-less sudo or doas: what is root's cannot be read")
            k0s = standing[controller.name].program or controller.k0s
            yield ClusterAccess(
                name=k0sctl.stem,
                on=f"{len(hosts)} hosts of {k0sctl.name}",
                api=existing.K0sKubectl(replace(controller, k0s=k0s), remotes[controller.name]),
                controller=controller.name,
                remotes=remotes,
                roles={each.name: each.role for each in hosts},
                in_lab=False,
                unreachable={name: str(error) for name, error in errors.items()},
                data_dirs={each.name: each.data_dir for each in hosts},
            )
        finally:
            for remote in remotes.values():
                remote.close()


def _remotes(
    hosts: Sequence[ExistingHost], sockets: Path, runner: Runner
) -> dict[str, OpenSSHRemote | HereRemote]:
    gates = {each.first_hop: FairSemaphore(AT_ONCE) for each in hosts}
    return {
        each.name: HereRemote(each.name, runner=runner)
        if each.is_here
        else OpenSSHRemote(
            each.name,
            each.ssh,
            root=each.root,
            sockets=sockets,
            runner=runner,
            gate=gates[each.first_hop],
        )
        for each in hosts
    }


def _reach(
    host: ExistingHost, remote: OpenSSHRemote | HereRemote
) -> Standing | InfrastructureError:
    """Return how a machine is stood on, or why there is no way to it.

    One look before the others, so that a wrong key is one sentence and not twenty; it also opens
    the connection that the others share.
    """
    programs = [host.k0s] if host.k0s_or is None else [host.k0s, host.k0s_or]
    try:
        return remote.stand(programs, deadline=REACH_SECONDS)
    except InfrastructureError as error:
        return error


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
        [name for name in names if found.roles[name] in CONTROLS],
        [name for name in names if found.roles[name] in WORKS],
        in_lab=found.in_lab,
    )
