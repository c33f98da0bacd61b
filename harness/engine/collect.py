"""The evidence of a run: what stands on the machines and in the API before they are torn down.

It is taken on success too, since a good run is what a bad one is compared with. Every piece is on
its own: one dead machine costs its pieces and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, zip_longest
from types import MappingProxyType
from typing import TypeAlias

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import HarnessError
from harness.cluster.prober import ApiClient
from harness.engine.evidence_commands import OF_API, Wanted, of_machine
from harness.evidence.recorder import Recorder
from harness.k0s import DATA_DIR
from harness.ssh.remote import RemoteReader

# Where a piece goes in the run's folder, and what takes it.
_Task: TypeAlias = tuple[str, Callable[[], str]]

# A piece takes well under a second on a healthy machine; the whole is to stay below 10 s.
PIECE_SECONDS = 5.0
# One at a time a machine would be slow, all at once would starve two cores.
_AT_ONCE = 4


def collect(
    remotes: Mapping[str, RemoteReader],
    roles: Mapping[str, str],
    api: ApiClient | None,
    recorder: Recorder,
    *,
    pace: float = 1.0,
    data_dirs: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write every piece that can be had into the run's folder; the recorder lists the others.

    `roles` has k0sctl's word for each machine, `data_dirs` where k0s has its files on those that
    have another place for them than its own. `pace` is how many times slower than this host the
    machines are.
    """
    deadline = PIECE_SECONDS * pace
    places: list[list[_Task]] = [
        [
            (f"nodes/{name}/{piece}", _on_machine(remote, wanted, deadline))
            for piece, wanted in of_machine(roles[name], data_dirs.get(name, DATA_DIR)).items()
        ]
        for name, remote in remotes.items()
    ]
    if api is not None:
        places.append(
            [(f"kube/{piece}", _of_api(api, wanted, deadline)) for piece, wanted in OF_API.items()]
        )

    def one(task: _Task) -> None:
        path, take = task
        try:
            text = take()
        except HarnessError as error:
            recorder.missing(path, str(error))
        else:
            recorder.write_piece(path, text)

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        list(pool.map(one, _in_turn(places)))


def _in_turn(places: Sequence[Sequence[_Task]]) -> Iterator[_Task]:
    """Yield the first task of every place, then their second ones, and so on.

    One machine after the other, an emulated one had four commands at a time and the two others
    none: 127 s for what the three can do side by side.
    """
    return (task for task in chain.from_iterable(zip_longest(*places)) if task is not None)


class _NotHadError(HarnessError):
    """A command that ended badly and said why: its own words are the reason."""

    def __init__(self, doing: str, completed: Completed) -> None:
        super().__init__(doing, completed.stderr.strip().splitlines()[-1])


def _on_machine(remote: RemoteReader, wanted: Wanted, deadline: float) -> Callable[[], str]:
    doing = f"Collecting on {remote.name}"

    def take() -> str:
        return _kept(
            wanted,
            doing,
            remote.run(wanted.argv, doing=doing, deadline=deadline, sudo=True, check=False),
        )

    return take


def _of_api(api: ApiClient, wanted: Wanted, deadline: float) -> Callable[[], str]:
    doing = "Collecting from the API"

    def take() -> str:
        return _kept(
            wanted, doing, api.run(wanted.argv, doing=doing, deadline=deadline, check=False)
        )

    return take


def _kept(wanted: Wanted, doing: str, completed: Completed) -> str:
    """Return what is kept of the output; raises `HarnessError` when the command ended badly."""
    if completed.ok:
        kept = wanted.keep(completed.stdout)
        if completed.left_out:
            # The line that says so in its place may be one of those that are not kept.
            kept += f"\n[k0s-harness left out {completed.left_out} bytes of what this is from]\n"
        return kept
    if completed.stderr.strip():
        raise _NotHadError(doing, completed)
    raise CommandFailedError(doing, completed)
