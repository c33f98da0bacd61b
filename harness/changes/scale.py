"""How many pods a workload has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from harness.changes.action import Action, Before, Check, Command
from harness.changes.addresses import Addresses
from harness.changes.kind import DirectChange
from harness.evidence.reading import Reading
from harness.probe.core import API, Probe, UnreadableError, not_found, require_json
from harness.vocabulary.fields import Name, Workload
from harness.vocabulary.part import Part

# A pod has 30 s to end (its grace period), and its successor's image is on the machine.
NEW_PODS_SECONDS = 90.0
# metrics-server is Ready 29-33 s after it was made: its probe's delay and two scrapes.
READY_SECONDS = 120.0
MOST_REPLICAS = 10


@dataclass(frozen=True)
class Replicas:
    """A workload's replicas: `wanted` by its spec, `pods` as they are, `ready` of them."""

    wanted: int
    pods: int
    ready: int
    observed: bool

    def text(self) -> str:
        """Return the numbers in a few words."""
        return f"{self.wanted} wanted, {self.pods} there, {self.ready} ready"


class Scale(DirectChange, Part):
    """Set the replicas of a workload."""

    kind: ClassVar[str] = "scale"
    body: ClassVar[str] = "{workload: deployment/NAME, namespace: kube-system, replicas: 0}"
    does: ClassVar[str] = f"sets the replicas of a deployment or statefulset, 0 to {MOST_REPLICAS}"

    workload: Workload
    """Kind and name, as in deployment/metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the workload."""

    replicas: Annotated[int, Field(ge=0, le=MOST_REPLICAS)]
    """How many pods it is to have."""

    def describe(self) -> str:
        return f"scale {self.workload} in {self.namespace} to {self.replicas}"

    def looks(self, addresses: Addresses) -> tuple[Probe[Any], ...]:
        return (workload_probe(self.workload, self.namespace),)

    def action(self, addresses: Addresses, before: Before) -> Action:
        probe = workload_probe(self.workload, self.namespace)
        was = before.value(probe)

        def wrong(now: Replicas) -> str | None:
            fits = now.observed and now.wanted == now.pods == self.replicas
            return None if fits else f"{self.workload}: {now.text()}"

        def not_back(now: Replicas) -> str | None:
            fits = now.observed and now.wanted == was.wanted and now.ready >= was.ready
            return None if fits else f"{self.workload}: {now.text()}; before: {was.text()}"

        return Action(
            text=f"scale {self.namespace}/{self.workload} from {was.wanted} to {self.replicas}",
            do=(self._scale(self.replicas),),
            undo=(
                self._scale(was.wanted),
                Check(f"{self.workload} is as before", probe, not_back, within=READY_SECONDS),
            ),
            check=(
                Check(
                    f"{self.workload} has {self.replicas} pods",
                    probe,
                    wrong,
                    within=NEW_PODS_SECONDS,
                ),
            ),
        )

    def _scale(self, replicas: int) -> Command:
        argv = ("kubectl", "scale", self.workload, "-n", self.namespace, f"--replicas={replicas}")
        return Command(API, argv)


def workload_probe(workload: str, namespace: str) -> Probe[Replicas]:
    """Return the probe of a workload's replicas."""
    argv = ("kubectl", "get", workload, "-n", namespace, "-o", "json")
    return Probe("workload", API, argv, parse_workload)


def parse_workload(reading: Reading) -> Replicas:
    """Return the replicas; raises `UnreadableError` when there is no such workload."""
    if not_found(reading):
        raise UnreadableError(f"there is no {reading.argv[2]} in {reading.argv[4]}")
    item = require_json(reading)
    status = item.get("status", {})
    return Replicas(
        # The server writes a default of 1.
        wanted=item["spec"]["replicas"],
        pods=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        observed=status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0),
    )
