"""New pods in the place of running ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.base.errors import InconclusiveError
from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses
from harness.changes.kind import DirectChange
from harness.changes.scale import NEW_PODS_SECONDS
from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, require_json
from harness.vocabulary.fields import Name, Selector
from harness.vocabulary.part import Part

# Containers start within seconds; one that cannot is what a scenario may be about.
RUNNING_SECONDS = 30.0


@dataclass(frozen=True)
class RunningPod:
    """A pod by its uid, with whether a controller made it and whether it is going or running."""

    uid: str
    name: str
    controlled: bool
    ending: bool
    running: bool


class RestartPods(DirectChange, Part):
    """Delete the pods of a selection and wait until their controllers have made new ones."""

    kind: ClassVar[str] = "restart_pods"
    body: ClassVar[str] = "{selector: …, namespace: kube-system}"
    does: ClassVar[str] = "deletes pods and waits for the new ones"

    selector: Selector
    """Label selector, as in k8s-app=metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the pods."""

    def describe(self) -> str:
        return f"restart the pods {self.selector} in {self.namespace}"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return (pods_probe(self.selector, self.namespace),)

    def action(self, addresses: Addresses, before: Before) -> Action:
        """Return the action: it is done when as many new pods are there, and no old one is.

        New pods get some time to run, but need not: a scenario may be about why they do not. There
        is nothing to take back.
        """
        probe = pods_probe(self.selector, self.namespace)
        were = before.value(probe)
        doing = f"Restarting the pods {self.selector} in {self.namespace}"
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

        delete = ("kubectl", "delete", "pods", "-n", self.namespace, "-l", self.selector)
        new_pods = f"{count} new pods {self.selector}"
        return Action(
            text=f"restart the {count} pods {self.selector} in {self.namespace}",
            do=(
                Command(API, (*delete, "--wait=false")),
                Check(f"{new_pods} are there", probe, wrong, within=NEW_PODS_SECONDS),
                Check(f"{new_pods} run", probe, not_running, RUNNING_SECONDS, required=False),
            ),
            undo=(),
            check=(Check(f"{new_pods} are there", probe, wrong),),
        )


def pods_probe(selector: str, namespace: str) -> Probe[tuple[RunningPod, ...]]:
    """Return the probe of the pods that `selector` picks."""
    argv = ("kubectl", "get", "pods", "-n", namespace, "-l", selector, "-o", "json")
    return Probe("restarted_pods", API, argv, parse_pods)


def parse_pods(reading: Reading) -> tuple[RunningPod, ...]:
    """Return the pods, in the API's order."""
    return tuple(_pod(item) for item in require_json(reading)["items"])


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
