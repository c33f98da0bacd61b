"""Where a report draws the way of a request, and how far it says that it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from harness.diagnose.judge import diagnose
from harness.diagnose.model import HOP_NAMES, HopId, HopState
from harness.evidence.old_format import report_with_ids
from harness.evidence.reading import Reading
from harness.report.html import layout
from harness.report.html.compare import last_readings
from harness.report.html.drawing import draw
from harness.report.html.layout import Layout
from harness.report.html.run_folder import Machine, RunFolder, read
from harness.report.html.timeline import observed_seconds
from harness.report.html.way import PLACES, WAY, Place, Way, way_of
from tests.unit.paths import RECORDINGS

RUN = RECORDINGS / "run-konnectivity-off"
REPORT = report_with_ids(json.loads((RUN / "report.json").read_text()))
FOLDER = read(RUN)
BROKEN, REPAIRED = (
    way_of(phase, readings.values())
    for phase, readings in zip(REPORT["phases"], last_readings(REPORT, FOLDER), strict=True)
)


def test_machines_stand_with_the_addresses_they_had():
    controller, worker0, worker1 = FOLDER.machines
    assert (controller.name, controller.controller, controller.kubelet) == (
        "controller0",
        True,
        False,
    )
    assert str(controller.nat) == "172.30.64.10/24"
    assert str(worker1.private) == "192.168.56.12/24"
    assert (worker0.nat_name, worker0.private_name) == ("eth0", "eth1")
    assert (worker0.pods, worker1.pods) == ("10.244.0.0/24", "10.244.1.0/24")


def test_machines_without_a_k0sctl_yaml_are_those_whose_evidence_is_there(tmp_path):
    for number in (10, 2):
        path = tmp_path / f"nodes/worker{number}/addresses.txt"
        path.parent.mkdir(parents=True)
        path.write_text((RUN / "nodes/worker0/addresses.txt").read_text())
    names = [machine.name for machine in read(tmp_path).machines]
    assert names == ["worker2", "worker10"]
    assert str(read(tmp_path).machines[0].private) == "192.168.56.11/24"


def test_the_way_has_the_addresses_of_its_phase():
    assert BROKEN.tunnel is False
    assert (BROKEN.device, BROKEN.gateway) == ("eth0", "172.30.64.1")
    assert REPAIRED.tunnel is True
    for way in (BROKEN, REPAIRED):
        assert (way.cluster_ip, way.endpoint, way.node) == (
            "10.98.36.28:443",
            "10.244.0.3:10250",
            "worker0",
        )


@pytest.mark.parametrize("recording", ["broken", "repaired"])
def test_every_hop_of_a_real_ladder_has_its_place_in_the_drawing(recording: str):
    lines = (RECORDINGS / f"konnectivity-off/{recording}.jsonl").read_text().splitlines()
    diagnosis = diagnose(Reading.from_dict(json.loads(line)) for line in lines)
    assert len(diagnosis.hops) > 5
    assert {hop.id for hop in diagnosis.hops} <= {*PLACES, HopId.OTHERS}


def test_every_hop_has_its_place_but_for_what_suffers_beside_it():
    assert set(HopId) - set(PLACES) == {HopId.OTHERS}


@pytest.mark.parametrize("hop", [hop for hop, place in PLACES.items() if place in WAY])
@pytest.mark.parametrize("tunnel", [True, False])
def test_beyond_the_first_broken_hop_nothing_is_drawn_as_reached(hop: HopId, tunnel: bool):
    plan = Layout(FOLDER.machines, _broken_at(hop, tunnel=tunnel))
    states = [each.state for each in plan.stretches()]
    assert HopState.HOLDS not in states[_first_not_holding(states) :]
    assert plan.cross() is not None


def _first_not_holding(states: list[HopState]) -> int:
    return next(index for index, state in enumerate(states) if state is not HopState.HOLDS)


def _broken_at(hop: HopId, *, tunnel: bool = True, **values: Any) -> Way:
    return Way(
        states=dict.fromkeys(WAY, HopState.HOLDS),
        tunnel=tunnel,
        broken={"id": hop, "name": HOP_NAMES[hop], "text": "it is"},
        broken_at=PLACES[hop],
        **{"node": "worker1", **values},
    )


def test_a_request_by_the_default_route_is_lost_on_the_nat_network():
    assert Layout(FOLDER.machines, BROKEN).cross()[1] == layout.NAT_Y


def test_a_tunnel_that_is_down_is_crossed_out_on_the_private_network():
    plan = Layout(FOLDER.machines, _broken_at(HopId.TUNNEL))
    assert plan.cross()[1] == plan.private_y


def test_a_whole_way_holds_from_the_api_server_to_each_kubelet():
    plan = Layout(FOLDER.machines, REPAIRED)
    stretches = list(plan.stretches())
    assert {each.state for each in stretches} == {HopState.HOLDS}
    assert sum(each.place is Place.KUBELETS for each in stretches) == 2
    assert plan.cross() is None


def test_kubelets_that_nobody_saw_read_are_not_drawn_as_reached():
    way = Way(states={Place.CONDITION: HopState.HOLDS, Place.POD: HopState.HOLDS}, tunnel=True)
    assert way.walked(Place.POD) is HopState.HOLDS
    assert way.walked(Place.ARRIVAL) is HopState.HOLDS
    assert way.walked(Place.KUBELETS) is HopState.NOT_SEEN


def test_where_nothing_was_seen_nothing_holds():
    way = Way(states=dict.fromkeys(WAY, HopState.NOT_SEEN), tunnel=True)
    assert {way.walked(place) for place in WAY} == {HopState.NOT_SEEN}


def test_a_pod_that_runs_nowhere_is_crossed_out_all_the_same():
    assert Layout(FOLDER.machines, _broken_at(HopId.BACKEND, node=None)).cross() is not None


@pytest.mark.parametrize("count", [1, 6])
def test_any_number_of_machines_can_be_drawn(count):
    machines = [Machine(f"controller{n}", kubelet=True) for n in range(count)]
    assert draw(machines, _broken_at(HopId.DIAL, node="controller0"), name="x")
    assert draw((), BROKEN, name="x") is None


def test_without_a_diagnosis_machines_are_drawn_and_no_way():
    plan = Layout(FOLDER.machines, Way({}))
    assert list(plan.stretches()) == []
    assert not any(plan.parts.values())


def test_each_phase_has_its_own_last_readings():
    broken, repaired = last_readings(REPORT, FOLDER)
    flags = ("controller0", "apiserver_flags")
    assert "egress-selector" not in broken[flags].stdout
    assert "egress-selector" in repaired[flags].stdout
    assert last_readings(REPORT, RunFolder()) == [{}, {}]


def test_a_phase_keeps_its_readings_when_a_later_one_came_to_nothing():
    (broken,) = last_readings({**REPORT, "phases": REPORT["phases"][:1]}, FOLDER)
    assert broken == last_readings(REPORT, FOLDER)[0]


def test_a_phase_was_observed_up_to_its_last_verdict():
    assert [observed_seconds(phase) for phase in REPORT["phases"]] == [90.1, 78.3]
