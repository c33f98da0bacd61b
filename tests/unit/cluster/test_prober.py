"""Taking readings: what fails is a reading too, and nothing is raised."""

import threading
import time
from datetime import UTC, datetime

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.errors import InfrastructureError
from harness.cluster.prober import Prober
from harness.probe import (
    apiservice,
    controlplane,
    dials,
    egress,
    konnectivity,
    machines,
    nodestate,
)
from harness.probe.dials import DIAL_SECONDS
from harness.ssh.remote import Dial, DialResult
from harness.testing import FakeClock


class Machine:
    """A machine that answers with what it is given, and writes down what it was asked."""

    def __init__(self, clock, answer=None, dialled=()):
        self._clock = clock
        self._answer = answer
        self._dialled = iter(dialled)
        self.asked = []

    def run(self, argv, *, doing, deadline, sudo, check):
        assert doing.startswith("Reading ")
        self.asked.append((tuple(argv), deadline, sudo, check))
        self._clock.at += 0.25
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def dial(self, host, port, *, deadline):
        self.asked.append((host, port, deadline))
        return next(self._dialled)


class Api:
    """The Kubernetes API; all calls meet before any of them is answered."""

    def __init__(self, callers):
        self._all_here = threading.Barrier(callers, timeout=5)
        self.asked = []

    def run(self, args, *, doing, deadline, check):
        assert doing.startswith("Reading ")
        assert deadline > 0
        self.asked.append((tuple(args), check))
        self._all_here.wait()
        return Completed(tuple(args), 0, f"said of {args[2]}", "", 0.0)


@pytest.fixture
def clock():
    return FakeClock(now=datetime(2026, 11, 23, 5, 40, 0, 123456, tzinfo=UTC))


def test_a_reading_has_what_was_run_where_when_and_what_it_said(clock):
    machine = Machine(clock, Completed(("ss",), 1, "out", "err", 0.0))
    prober = Prober(None, {"controller0": machine}, clock, started=900.0)
    probe = controlplane.LISTENING.on("controller0")
    (reading,) = prober.take([probe])
    assert (reading.probe, reading.where, reading.argv) == ("listening", "controller0", probe.argv)
    assert (reading.returncode, reading.stdout, reading.stderr) == (1, "out", "err")
    assert (reading.elapsed, reading.duration) == (100.0, 0.25)
    assert reading.at == "2026-11-23T05:40:00.123+00:00"
    assert reading.error is None
    # A status other than 0 is for the probe to judge, within its own deadline.
    assert machine.asked == [(probe.argv, probe.deadline, False, False)]


def test_what_needs_root_is_asked_as_root(clock):
    machine = Machine(clock, Completed((), 0, "{}", "", 0.0))
    prober = Prober(None, {"controller0": machine}, clock, started=0.0)
    prober.take([controlplane.CONFIG.on("controller0")])
    assert machine.asked[0][2] is True


def test_a_machine_that_cannot_be_reached_gives_a_reading_without_a_value(clock):
    lost = InfrastructureError("Reading listening on controller0", "no SSH to controller0")
    prober = Prober(None, {"controller0": Machine(clock, lost)}, clock, started=900.0)
    (reading,) = prober.take([controlplane.LISTENING.on("controller0")])
    assert reading.failed
    assert reading.error == "Reading listening on controller0: no SSH to controller0"
    assert reading.duration == 0.25


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (apiservice.look(), "there is no way to the API server yet"),
        (controlplane.LISTENING.on("worker7"), "there is no way to this machine"),
    ],
)
def test_what_there_is_no_way_to_is_a_failed_reading(clock, probe, words):
    (reading,) = Prober(None, {}, clock, started=0.0).take([probe])
    assert reading.failed
    assert words in reading.error


def test_probes_are_asked_side_by_side_and_answered_in_their_order(clock):
    names = [f"v1.{number}" for number in range(5)]
    api = Api(callers=len(names))
    readings = Prober(api, {}, clock, started=0.0).take(apiservice.look(each) for each in names)
    paths = [each.stdout.removeprefix("said of ") for each in readings]
    assert [path.rpartition("/")[2] for path in paths] == names
    assert all(args[:2] == ("get", "--raw") for args, _ in api.asked)
    assert not any(check for _, check in api.asked)


def test_what_two_probes_ask_in_the_same_words_is_asked_once(clock):
    looks = [konnectivity.LEASES.look(), apiservice.PROBE.look(), nodestate.LEASES.look()]
    assert looks[0].argv == looks[2].argv
    api = Api(callers=2)
    one, other, same = Prober(api, {}, clock, 0.0).take(looks)
    assert len(api.asked) == 2
    assert [each.probe for each in (one, other, same)] == [each.name for each in looks]
    assert (one.stdout, one.at) == (same.stdout, same.at)
    assert one.stdout != other.stdout


class Counting:
    """The API and a machine at once: how many calls were under way together, at the most."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def run(self, argv, **_how):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        # Long enough for all of them to be there, if they are let.
        time.sleep(0.02)
        with self._lock:
            self._now -= 1
        return Completed(tuple(argv), 0, "", "", 0.0)


@pytest.mark.parametrize(("pace", "of_api", "of_machine"), [(1.0, 5, 5), (6.0, 2, 1)])
def test_slow_machines_are_asked_one_thing_at_a_time_and_their_api_two(
    clock, pace, of_api, of_machine
):
    api, machine = Counting(), Counting()
    prober = Prober(api, {"controller0": machine}, clock, started=0.0, pace=pace)
    prober.take(
        [
            *(apiservice.look(f"v{number}.example.org") for number in range(8)),
            *(controlplane.LISTENING.on("controller0") for _ in range(8)),
        ]
    )
    assert (api.most, machine.most) == (of_api, of_machine)


def test_no_probe_is_no_reading(clock):
    assert Prober(None, {}, clock, started=0.0).take([]) == ()


def connected(seconds=0.004):
    return DialResult(Dial.CONNECTED, seconds, "connected")


LOST = DialResult(Dial.TIMED_OUT, 5.0199, "no answer within 5s")


def test_a_round_of_dials_is_one_line_each_as_the_probe_reads_them(clock):
    machine = Machine(clock, dialled=[connected()] * 20)
    prober = Prober(None, {"worker0": machine}, clock, started=0.0)
    (reading,) = prober.take([dials.look("worker0", "10.244.0.4", 10250, times=20)])
    assert reading.stdout == "connected 0.0040 connected\n" * 20
    found = dials.parse(reading)
    assert (found.tried, found.connected) == (20, 20)
    assert machine.asked == [("10.244.0.4", 10250, DIAL_SECONDS)] * 20


def test_a_round_that_fails_thrice_ends_there_and_keeps_what_it_saw(clock):
    machine = Machine(clock, dialled=[connected(), LOST, connected(), LOST, LOST, connected()])
    prober = Prober(None, {"worker0": machine}, clock, started=0.0)
    (reading,) = prober.take([dials.look("worker0", "10.244.0.4", 10250, times=20)])
    found = dials.parse(reading)
    assert (found.tried, found.connected, found.failures) == (5, 2, (("timed-out", 3),))
    assert not found.all_connected


def test_a_machine_that_is_gone_costs_one_look_and_says_so_for_the_others(clock):
    lost = InfrastructureError("Reaching worker0", "no SSH to worker0")
    machine = Machine(clock, lost)
    prober = Prober(None, {"worker0": machine}, clock, started=0.0)
    wanted = [
        machines.CLOCK.on("worker0"),
        machines.ADDRESSES.on("worker0"),
        dials.look("worker0", "10.244.0.4", 10250),
    ]
    readings = prober.take(wanted)
    assert [each.probe for each in readings] == [each.name for each in wanted]
    assert all(each.error == "Reaching worker0: no SSH to worker0" for each in readings)
    assert len(machine.asked) == 1


def test_a_machine_that_goes_away_is_not_asked_for_what_was_not_begun(clock):
    class Leaving(Machine):
        def run(self, argv, **how):
            said = super().run(argv, **how)
            if len(self.asked) > 1:
                raise InfrastructureError("Reaching worker0", "no SSH to worker0")
            return said

    machine = Leaving(clock, Completed(("date",), 0, "", "", 0.0))
    prober = Prober(None, {"worker0": machine}, clock, started=0.0)
    readings = prober.take([machines.CLOCK.on("worker0") for _ in range(40)])
    assert all(each.failed for each in readings)
    assert len(machine.asked) < 20


def test_a_command_that_takes_too_long_says_nothing_of_the_others(clock):
    late = CommandFailedError(
        "Reading clock", Completed(("date",), -1, "", "", 10.0), timed_out=True
    )
    machine = Machine(clock, late)
    prober = Prober(None, {"worker0": machine}, clock, started=0.0)
    prober.take([machines.CLOCK.on("worker0"), machines.ADDRESSES.on("worker0")])
    # A trifle first, to see whether there is a way at all.
    assert [argv for argv, *_ in machine.asked][:1] == [("true",)]
    assert len(machine.asked) == 3


def test_why_there_is_no_way_to_a_machine_is_in_its_readings(clock):
    prober = Prober(None, {}, clock, started=0.0, unreachable={"10.0.0.9": "Permission denied"})
    (reading,) = prober.take([machines.CLOCK.on("10.0.0.9")])
    assert reading.error.endswith("Permission denied")


def test_dials_of_one_round_are_made_side_by_side_as_many_as_are_wanted(clock):
    class Together(Machine):
        all_here = threading.Barrier(3, timeout=5)

        def dial(self, *_, **__):
            self.all_here.wait()
            return connected()

    prober = Prober(None, {"worker0": Together(clock)}, clock, started=0.0)
    probe = dials.look("worker0", "10.244.0.4", 10250, times=6, together=3)
    (reading,) = prober.take([probe])
    assert dials.parse(reading).connected == 6
    assert reading.argv == ("dial", "10.244.0.4", "10250", "6")


def test_of_the_api_servers_metrics_only_the_lines_of_the_pattern_are_kept(clock, recording):
    # Any exposition of a Prometheus endpoint does: the konnectivity server's is recorded.
    (tunnel,) = [each for each in recording("konnectivity-off/repaired") if each.probe == "tunnel"]

    class Metrics:
        def run(self, args, **_):
            assert args == ("get", "--raw", "/metrics")
            return Completed(tuple(args), 0, tunnel.stdout, "", 0.0)

    probe = egress.PROBE.look()
    (reading,) = Prober(Metrics(), {}, clock, started=0.0).take([probe])
    assert reading.argv == probe.argv
    assert reading.stdout.splitlines() == [
        line for line in tunnel.stdout.splitlines() if line.startswith("process_start_time_seconds")
    ]
    assert not egress.parse(reading).seen
