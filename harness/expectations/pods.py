"""How many pods of a selection are Ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from harness.expectations.kind import Seen, Streamed
from harness.probe import workloads
from harness.probe.core import Probe
from harness.vocabulary.fields import Name, Selector


class Pods(Streamed):
    """How many pods of a selection are Ready."""

    kind: ClassVar[str] = "pods"
    notes: ClassVar[Mapping[str, str]] = {
        "namespace": "`kube-system`",
        "ready": "exactly how many",
    }

    selector: Selector
    """Label selector, as in k8s-app=metrics-server."""

    namespace: Name = "kube-system"
    """Namespace of the pods."""

    ready: Annotated[int, Field(ge=0, le=1000)]
    """Exactly how many are Ready."""

    @property
    def denies_backend(self) -> bool:
        return self.selector == workloads.METRICS_SERVER and self.ready == 0

    def describe(self) -> str:
        return f"pods {self.selector} in {self.namespace}: {self.ready} Ready"

    def probe(self) -> Probe[tuple[workloads.Pod, ...]]:
        return workloads.pods_look(self.selector, self.namespace)

    def judge(self, value: tuple[workloads.Pod, ...], nodes: tuple[str, ...]) -> Seen:
        ready = sum(pod.ready for pod in value)
        text = f"{ready} of {len(value)} Ready"
        return Seen(ready == self.ready, text, text)
