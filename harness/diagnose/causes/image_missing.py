"""metrics-server waits for its image."""

from __future__ import annotations

from harness.diagnose import findings, places, settling
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether metrics-server waits for its image, and no other of its pods is Ready."""
    pods = settling.none_ready(facts)
    return None if pods is None else any(settling.waits_for_image(pod) for pod in pods)


def _remedy(facts: Facts) -> str:
    pod = findings.metrics_pod(facts)
    image = ", ".join(pod.images) if pod is not None else "metrics-server's image"
    node = pod.node if pod is not None and pod.node else "the node"
    if pod is not None and pod.initializing:
        # k0s's own pod has no init container.
        correct = f"correct init container {pod.initializing} of its Deployment, or take it out"
    else:
        correct = "correct spec.images.metricsserver in the ClusterConfig"
    return (
        f"get {image} onto {node}: let it be pulled, or put it into an image bundle in "
        f"{places.data_dir(facts)}/images/ there and restart k0sworker\n"
        f"or {correct}"
    )


KIND = CauseKind(
    Cause.IMAGE_MISSING,
    "metrics-server waits for its image",
    _shown,
    (HopId.BACKEND,),
    rivals=(Cause.NODE_NOT_READY,),
    explains=BACKEND,
    backend_down=True,
    remedy=_remedy,
    link="https://docs.k0sproject.io/stable/airgap-install/",
)
