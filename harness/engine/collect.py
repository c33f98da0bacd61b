"""The evidence of a run: what stands on the machines and in the API before they are torn down.

It is taken on success too, since a good run is what a bad one is compared with. Every piece is on
its own: one dead machine costs its pieces and no others.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from harness.errors import HarnessError
from harness.evidence.recorder import Recorder
from harness.lab.remote import Remote
from harness.probe.prober import ApiClient

# A piece takes well under a second on a healthy machine; the whole is to stay below 5 s.
PIECE_SECONDS = 5.0

_EVERYWHERE: Mapping[str, tuple[str, ...]] = {
    "addresses.txt": ("ip", "-br", "address"),
    "routes.txt": ("ip", "route", "show", "table", "all"),
    "listening.txt": ("ss", "-Hltnp"),
    "processes.txt": ("ps", "-eo", "pid,etimes,args", "-ww"),
    "nftables.txt": ("nft", "list", "ruleset"),
    "os-release.txt": ("cat", "/etc/os-release"),
}
# The last of a unit's log: a whole cold start is about 3000 lines on a controller.
_LOG_LINES = "4000"
_BY_ROLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "controller": {
        "k0scontroller.log": ("journalctl", "-u", "k0scontroller", "--no-pager", "-n", _LOG_LINES),
        "k0s.yaml": ("cat", "/etc/k0s/k0s.yaml"),
    },
    "worker": {
        "k0sworker.log": ("journalctl", "-u", "k0sworker", "--no-pager", "-n", _LOG_LINES),
        # `kubectl logs` dies with the tunnel, the files on the node do not.
        "metrics-server.log": (
            "sh",
            "-c",
            "cat /var/log/pods/kube-system_metrics-server-*/*/*.log 2>/dev/null || true",
        ),
        "konnectivity-agent.log": (
            "sh",
            "-c",
            "cat /var/log/pods/kube-system_konnectivity-agent-*/*/*.log 2>/dev/null || true",
        ),
    },
}
# Secret objects are never read.
_KUBE: Mapping[str, tuple[str, ...]] = {
    "nodes.json": ("get", "nodes", "-o", "json"),
    "apiservices.json": ("get", "apiservices", "-o", "json"),
    "workloads.json": (
        "get",
        "pods,daemonsets,deployments,services,endpointslices",
        "-n",
        "kube-system",
        "-o",
        "json",
    ),
    "events.txt": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
    "version.json": ("version", "-o", "json"),
}


def collect(
    remotes: Mapping[str, Remote],
    roles: Mapping[str, str],
    api: ApiClient | None,
    recorder: Recorder,
    *,
    pace: float = 1.0,
) -> None:
    """Write every piece that can be had into the run's folder; the recorder lists the others.

    `pace` is how many times slower than this host the machines are.
    """
    deadline = PIECE_SECONDS * pace
    tasks: list[tuple[str, Callable[[], str]]] = []
    for name, remote in remotes.items():
        pieces = {**_EVERYWHERE, **_BY_ROLE.get(roles[name], {})}
        tasks += [
            (f"nodes/{name}/{piece}", _on_machine(remote, argv, deadline))
            for piece, argv in pieces.items()
        ]
    if api is not None:
        tasks += [(f"kube/{piece}", _of_api(api, argv, deadline)) for piece, argv in _KUBE.items()]

    def one(task: tuple[str, Callable[[], str]]) -> None:
        path, take = task
        try:
            text = take()
        except HarnessError as error:
            recorder.missing(path, str(error))
        else:
            recorder.write_piece(path, text)

    # One at a time a machine would be slow, all at once would starve two cores.
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(one, tasks))


def _on_machine(remote: Remote, argv: tuple[str, ...], deadline: float) -> Callable[[], str]:
    def take() -> str:
        doing = f"Collecting {argv[0]} on {remote.name}"
        return remote.run(argv, doing=doing, deadline=deadline, sudo=True).stdout

    return take


def _of_api(api: ApiClient, argv: tuple[str, ...], deadline: float) -> Callable[[], str]:
    def take() -> str:
        doing = "Collecting from the API"
        return api.run(argv, doing=doing, deadline=deadline, check=True).stdout

    return take
