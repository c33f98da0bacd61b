"""What makes pods, or what places them, does not run."""

from __future__ import annotations

from harness.diagnose import findings
from harness.diagnose.causes.kind import BACKEND, CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import egress, leases, objects, workloads
from harness.vocabulary.words import Cause

# A Lease is renewed every 2 s and lost after 15 s; another one may take it over meanwhile, so that
# it is not to be told for a while whether nobody does.
_LOST_SECONDS = 15.0
_STALE_SECONDS = 60.0
_BEGINNING_SECONDS = 30.0
# Endpoints are the controller manager's, too: they go on naming a pod that is gone.
_AFTER_A_STALE_ENDPOINT = (
    Cause.CROSS_NODE_TRAFFIC_CUT,
    Cause.CLUSTER_IP_NOT_TRANSLATED,
    Cause.WAY_TO_SERVICE_BLOCKED,
)


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether nobody makes metrics-server's pod, or places it, and why is seen."""
    wanted = _wanted(facts)
    return None if wanted is None else bool(wanted) and _stopped(facts, wanted)


def _wanted(facts: Facts) -> str | None:
    """Return the program whose work is not done; empty where none is waited for."""
    pods, deployment = facts.one(workloads.PODS), facts.one(objects.DEPLOYMENT)
    if pods is None:
        return None
    if pods:
        waits = all(not pod.scheduled and not pod.unscheduled for pod in pods)
        return leases.SCHEDULER if waits else ""
    if deployment is None:
        return None
    makes = deployment.exists and deployment.replicas > 0 and not deployment.failure
    return leases.CONTROLLER_MANAGER if makes else ""


def _stopped(facts: Facts, program: str) -> bool | None:
    renewed = findings.renewed(facts)
    if renewed is None:
        return None
    # One that never ran has no Lease.
    seconds = findings.age(facts, renewed[program]) if program in renewed else _STALE_SECONDS + 1
    if seconds is not None and seconds <= _LOST_SECONDS:
        return False
    if seconds is None or seconds <= _STALE_SECONDS:
        return None
    # With the API server all of them have begun anew.
    counted = facts.one(egress.PROBE)
    began = findings.age(facts, counted.started) if counted is not None else None
    return None if began is not None and began < _BEGINNING_SECONDS else True


def _side_facts(facts: Facts) -> tuple[str, ...]:
    program = _wanted(facts) or ""
    at = (findings.renewed(facts) or {}).get(program)
    seconds = findings.age(facts, at) if at is not None else None
    said = f"has renewed its Lease {seconds:.0f} s ago" if seconds is not None else "has no Lease"
    return (f"{program} {said}",)


def _remedy(facts: Facts) -> str:
    program = _wanted(facts) or ""
    return (
        f"see why {program} does not run: on {facts.controller or 'the controller'}, "
        f"journalctl -u k0scontroller | grep component={program}; it may stand in "
        "--disable-components of the controller's installFlags\n"
        "restart k0scontroller there"
    )


KIND = CauseKind(
    Cause.CONTROLLERS_STOPPED,
    "what makes pods, or what places them, does not run",
    _shown,
    (HopId.BACKEND,),
    rivals=(Cause.NODE_NOT_READY,),
    explains=(*BACKEND, *_AFTER_A_STALE_ENDPOINT),
    passes=True,
    backend_down=True,
    remedy=_remedy,
    side_facts=_side_facts,
)
