"""The API server answers, and nothing can be written: what it shows is old."""

from __future__ import annotations

from harness.diagnose import node_state, places
from harness.diagnose.causes.kind import CauseKind
from harness.diagnose.facts import Facts
from harness.diagnose.model import HopId, Hops
from harness.probe import nodestate
from harness.vocabulary.words import Cause


def _shown(facts: Facts, _: Hops) -> bool | None:
    """Whether etcd has an alarm, or no node was heard of for long and all are still Ready."""
    if node_state.alarm(facts) is not None:
        return True
    stores = [each.healthy for each in facts.on(nodestate.STORE).values()]
    if not node_state.all_silent(facts):
        return False
    # etcd that is well is written to; then it is the controller manager that says nothing.
    return not any(stores)


def _not_seen(facts: Facts) -> tuple[str, ...]:
    return () if node_state.alarm(facts) else ("why nothing is written: etcd told no alarm",)


def _remedy(facts: Facts) -> str:
    found = node_state.alarm(facts)
    where, alarm = found if found is not None else (facts.controller or "the controller", "")
    pki = f"{places.data_dir(facts)}/pki"
    etcdctl = (
        "etcdctl --endpoints https://127.0.0.1:2379 "
        f"--cacert {pki}/etcd/ca.crt --cert {pki}/apiserver-etcd-client.crt "
        f"--key {pki}/apiserver-etcd-client.key"
    )
    if alarm == "NOSPACE":
        return (
            f"etcd on {where} is at its quota and takes deletions only: delete what fills it "
            "(events, ConfigMaps, old Helm releases)\n"
            f"then there: {etcdctl} compact REVISION; … defrag; … alarm disarm (REVISION: "
            "… endpoint status -w json)\n"
            "and, if it is to grow, quota-backend-bytes in spec.storage.etcd.extraArgs of the "
            "ClusterConfig"
        )
    return (
        f"see why nothing is written: on {where}: {etcdctl} endpoint health; alarm list; "
        "journalctl -u k0scontroller -n 50; df -h"
    )


def _side_facts(facts: Facts) -> tuple[str, ...]:
    gone = node_state.silent(facts)
    told = [f"nothing was heard of {name} for {each:.0f} s" for name, each in gone.items()]
    return (*told, *node_state.full_disks(facts))


KIND = CauseKind(
    Cause.NOTHING_CAN_BE_WRITTEN,
    "the API server answers, and nothing can be written: what it shows is old",
    _shown,
    (HopId.API_SERVER,),
    explains=(Cause.NODE_NOT_READY, Cause.METRICS_SERVER_NOT_READY),
    remedy=_remedy,
    link="https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota",
    side_facts=_side_facts,
    not_seen=_not_seen,
)
