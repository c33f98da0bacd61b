"""Workloads: how many pods they have, and new pods in the place of running ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.base.errors import InconclusiveError
from harness.change.model import Action, Before, Check, Command
from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, UnreadableError, not_found, require_json
from harness.scenario import changes

# A pod has 30 s to end (its grace period), and its successor's image is on the machine.
NEW_PODS_SECONDS = 90.0
# Containers start within seconds; one that cannot is what a scenario may be about.
RUNNING_SECONDS = 30.0
# metrics-server is Ready 29-33 s after it was made: its probe's delay and two scrapes.
READY_SECONDS = 120.0


@dataclass(frozen=True)
class Workload:
    """A workload's replicas: `wanted` by its spec, `pods` as they are, `ready` of them."""

    wanted: int
    pods: int
    ready: int
    observed: bool

    def text(self) -> str:
        """Return the numbers in a few words."""
        return f"{self.wanted} wanted, {self.pods} there, {self.ready} ready"


@dataclass(frozen=True)
class RunningPod:
    """A pod by its uid, with whether a controller made it and whether it is going or running."""

    uid: str
    name: str
    controlled: bool
    ending: bool
    running: bool


def workload_probe(workload: str, namespace: str) -> Probe[Workload]:
    """Return the probe of a workload's replicas."""
    argv = ("kubectl", "get", workload, "-n", namespace, "-o", "json")
    return Probe("workload", API, argv, parse_workload)


def parse_workload(reading: Reading) -> Workload:
    """Return the replicas; raises `UnreadableError` when there is no such workload."""
    if not_found(reading):
        raise UnreadableError(f"there is no {reading.argv[2]} in {reading.argv[4]}")
    item = require_json(reading)
    status = item.get("status", {})
    return Workload(
        # The server writes a default of 1.
        wanted=item["spec"]["replicas"],
        pods=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        observed=status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0),
    )


def looks_of_scale(change: changes.Scale) -> tuple[Probe[Any], ...]:
    """Return what is to be read before: the workload."""
    return (workload_probe(change.workload, change.namespace),)


def scale(change: changes.Scale, before: Before) -> Action:
    """Return the action; its undo waits until as many pods are ready as before."""
    probe = workload_probe(change.workload, change.namespace)
    was = before.value(probe)

    def wrong(now: Workload) -> str | None:
        fits = now.observed and now.wanted == now.pods == change.replicas
        return None if fits else f"{change.workload}: {now.text()}"

    def not_back(now: Workload) -> str | None:
        fits = now.observed and now.wanted == was.wanted and now.ready >= was.ready
        return None if fits else f"{change.workload}: {now.text()}; before: {was.text()}"

    return Action(
        text=f"scale {change.namespace}/{change.workload} from {was.wanted} to {change.replicas}",
        do=(_scale(change, change.replicas),),
        undo=(
            _scale(change, was.wanted),
            Check(f"{change.workload} is as before", probe, not_back, within=READY_SECONDS),
        ),
        check=(
            Check(
                f"{change.workload} has {change.replicas} pods",
                probe,
                wrong,
                within=NEW_PODS_SECONDS,
            ),
        ),
    )


def pods_probe(selector: str, namespace: str) -> Probe[tuple[RunningPod, ...]]:
    """Return the probe of the pods that `selector` picks."""
    argv = ("kubectl", "get", "pods", "-n", namespace, "-l", selector, "-o", "json")
    return Probe("restarted_pods", API, argv, parse_pods)


def parse_pods(reading: Reading) -> tuple[RunningPod, ...]:
    """Return the pods, in the API's order."""
    return tuple(_pod(item) for item in require_json(reading)["items"])


def looks_of_restart(change: changes.RestartPods) -> tuple[Probe[Any], ...]:
    """Return what is to be read before: the pods."""
    return (pods_probe(change.selector, change.namespace),)


def restart_pods(change: changes.RestartPods, before: Before) -> Action:
    """Return the action: it is done when as many new pods are there, and no old one is.

    New pods get some time to run, but need not: a scenario may be about why they do not. There is
    nothing to take back.
    """
    probe = pods_probe(change.selector, change.namespace)
    were = before.value(probe)
    doing = f"Restarting the pods {change.selector} in {change.namespace}"
    if not were:
        raise InconclusiveError(doing, "there are none")
    loose = [pod.name for pod in were if not pod.controlled]
    if loose:
        raise InconclusiveError(doing, f"no controller would make {', '.join(loose)} again")
    old = frozenset(pod.uid for pod in were)
    count = sum(not pod.ending for pod in were)

    def wrong(now: Sequence[RunningPod]) -> str | None:
        left = [pod.name for pod in now if pod.uid in old]
        new = [pod for pod in now if pod.uid not in old and not pod.ending]
        if left:
            return f"{', '.join(left)} is still there"
        return None if len(new) >= count else f"{len(new)} of {count} new pods are there"

    def not_running(now: Sequence[RunningPod]) -> str | None:
        waiting = [pod.name for pod in now if not pod.running]
        return f"{', '.join(waiting)} does not run" if waiting else None

    delete = ("kubectl", "delete", "pods", "-n", change.namespace, "-l", change.selector)
    new_pods = f"{count} new pods {change.selector}"
    return Action(
        text=f"restart the {count} pods {change.selector} in {change.namespace}",
        do=(
            Command(API, (*delete, "--wait=false")),
            Check(f"{new_pods} are there", probe, wrong, within=NEW_PODS_SECONDS),
            Check(f"{new_pods} run", probe, not_running, RUNNING_SECONDS, required=False),
        ),
        undo=(),
        check=(Check(f"{new_pods} are there", probe, wrong),),
    )


def _scale(change: changes.Scale, replicas: int) -> Command:
    argv = ("kubectl", "scale", change.workload, "-n", change.namespace, f"--replicas={replicas}")
    return Command(API, argv)


def _pod(item: dict[str, Any]) -> RunningPod:
    metadata = item["metadata"]
    statuses = item.get("status", {}).get("containerStatuses", [])
    return RunningPod(
        uid=metadata["uid"],
        name=metadata["name"],
        controlled=bool(metadata.get("ownerReferences")),
        ending="deletionTimestamp" in metadata,
        running=bool(statuses) and all("running" in each.get("state", {}) for each in statuses),
    )
