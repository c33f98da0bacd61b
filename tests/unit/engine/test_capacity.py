"""Whether this host can carry a run: waiting for other labs where only memory is short."""

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.artifacts.pins import load_pins
from harness.base.context import Context
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
from harness.engine import capacity as room
from harness.engine.session import plan_of
from harness.host.facts import facts_from
from harness.host.needs import Problem
from harness.host.raw import RawHost
from harness.plan.build import build
from harness.providers.base import ProviderChoice
from harness.providers.registry import provider
from harness.scenario.load import load
from harness.state.entries import LabState
from harness.testing import FakeClock
from tests.unit.paths import SCENARIOS, UNIT

SCENARIO = SCENARIOS / "konnectivity-on.yaml"
HOST = UNIT / "recordings/host-debian-12.json"
DEBIAN_12 = facts_from(RawHost.from_json(HOST.read_text()))
SHORT = Problem("4000 MiB of memory are available, this lab needs 6656", "end it", passes=True)
BROKEN = Problem("missing: vagrant", "apt-get install vagrant")


@pytest.fixture
def host(monkeypatch):
    """A host that shows one list of problems after another, and whose other lab may end."""

    def make(*shown, other_lab_until=float("inf")):
        clock = FakeClock(0.0)
        looks = list(shown)
        choice = SimpleNamespace(provider="docker", reason="for a test")
        lab = SimpleNamespace(run_id="k5-abcdef", text="konnectivity-off", state=LabState.LIVE)
        monkeypatch.setattr(room.warm, "make_room", lambda *_: False)
        monkeypatch.setattr(room, "survey", lambda *_: None)
        monkeypatch.setattr(room, "choose_provider", lambda *_: choice)
        monkeypatch.setattr(
            room, "problems", lambda *_: looks.pop(0) if len(looks) > 1 else looks[0]
        )
        monkeypatch.setattr(
            room,
            "list_labs",
            lambda *_, **__: [lab] if clock.at < other_lab_until else [],
        )
        return clock

    return make


def ask(clock):
    plan = build(
        load(SCENARIO),
        subnet=IPv4Network("192.168.56.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )
    told = []
    settings = Settings(Path("/state"), Path("/cache"), Path("/runs"))
    choice = room.wait_for_capacity(plan, Context(None, clock, settings), told.append)
    return choice, told


def test_a_host_with_room_is_taken_at_once(host):
    clock = host([])
    choice, told = ask(clock)
    assert choice.provider == "docker"
    assert (told, clock.at) == ([], 0.0)


def test_where_memory_is_short_the_run_waits_and_tells_for_whom(host):
    clock = host([SHORT], [SHORT], [SHORT], [])
    _, told = ask(clock)
    assert told == [f"{SHORT.happened}: waits for k5-abcdef (konnectivity-off)"]
    assert clock.at == 2 * room.ROOM_EVERY_SECONDS


def test_nobody_waits_for_what_no_other_lab_will_give_back(host):
    for problems in ([BROKEN], [SHORT, BROKEN]):
        clock = host(problems)
        with pytest.raises(HostLacksError):
            ask(clock)
        assert clock.at == 0.0


def test_memory_that_no_lab_uses_is_not_waited_for(host):
    clock = host([SHORT], other_lab_until=0.0)
    with pytest.raises(HostLacksError, match="4000 MiB"):
        ask(clock)
    assert clock.at == 0.0


def test_when_the_other_labs_end_and_memory_stays_short_that_is_said(host):
    clock = host([SHORT], other_lab_until=35.0)
    with pytest.raises(HostLacksError, match="4000 MiB"):
        ask(clock)
    assert clock.at == 4 * room.ROOM_EVERY_SECONDS


def test_the_wait_has_a_bound(host):
    clock = host([replace(SHORT)])
    with pytest.raises(HostLacksError):
        ask(clock)
    assert clock.at == pytest.approx(room.ROOM_SECONDS)


def test_labs_that_were_left_for_others_go_before_anybody_waits(host, monkeypatch):
    clock = host([SHORT], [])
    monkeypatch.setattr(room.warm, "make_room", lambda *_: True)
    _, told = ask(clock)
    assert (told, clock.at) == ([], 0.0)


@pytest.mark.parametrize(
    ("facts", "groups", "jobs", "why"),
    [
        ({"cpus": 8}, 2, 2, "2 start states"),
        ({"cpus": 2}, 9, 2, "2 processors"),
        ({"available_mib": 14000}, 9, 2, "14000 MiB of memory, 6656 a lab"),
        ({"available_mib": 3000}, 9, 1, "3000 MiB of memory, 6656 a lab"),
        ({"available_mib": 0}, 9, 8, "8 processors"),
        ({"free_inotify": 200}, 9, 3, "200 inotify instances, 64 a lab"),
        ({"free_inotify": None}, 9, 8, "8 processors"),
    ],
)
def test_labs_at_once_are_as_many_as_the_scarcest_thing_carries(
    monkeypatch, facts, groups, jobs, why
):
    rich = {"cpus": 8, "available_mib": 100_000, "free_inotify": 1000}
    host = replace(DEBIAN_12, **{**rich, **facts})
    monkeypatch.setattr(room, "survey", lambda *_, **__: host)
    settings = Settings(Path("/state"), Path("/cache"), Path("/runs"), provider="docker")
    plan = build(
        load(SCENARIO),
        subnet=IPv4Network("192.168.56.0/24"),
        provider=provider("docker"),
        pins=load_pins(),
        arch="amd64",
    )
    found = room.labs_at_once([plan], groups, Context(None, FakeClock(), settings))
    assert found == (jobs, why)


@pytest.mark.parametrize(("cpus", "jobs"), [(2, 1), (6, 2), (32, 9)])
def test_emulated_machines_want_a_processor_each(monkeypatch, cpus, jobs):
    host = replace(DEBIAN_12, cpus=cpus, available_mib=100_000)
    monkeypatch.setattr(room, "survey", lambda *_, **__: host)
    emulated = ProviderChoice("libvirt", "a test", emulated=True)
    monkeypatch.setattr(room, "choose_provider", lambda *_: emulated)
    settings = Settings(Path("/state"), Path("/cache"), Path("/runs"), provider="libvirt")
    plan = plan_of(load(SCENARIO), settings)
    found, why = room.labs_at_once([plan], 9, Context(None, FakeClock(), settings))
    assert found == jobs
    assert why == ("9 start states" if jobs == 9 else f"{cpus} processors for 3 emulated machines")
