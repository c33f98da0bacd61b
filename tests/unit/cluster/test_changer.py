"""Making changes: nothing counts as made that was not seen, and it is taken back in turn."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from harness.base.completed import Completed
from harness.base.errors import InconclusiveError
from harness.changes import clock_step as clocks
from harness.changes.action import Before
from harness.changes.addresses import Addresses
from harness.changes.load_module import LoadModule
from harness.changes.manifest import Manifest
from harness.changes.route import Route
from harness.cluster.changer import COMMAND, Changer
from harness.cluster.kubectl import CHANGE_REQUEST_SECONDS, REQUEST_SECONDS, Kubectl
from harness.cluster.prober import Prober
from harness.evidence.reading import Reading
from harness.testing import FakeClock, FakeRunner
from harness.vocabulary.words import Role

WORKER = Addresses(machines={"worker0": IPv4Address("192.168.57.11")}, workers=("worker0",))


class Machine:
    """A machine that loads modules; a stubborn one says it did, and did not."""

    def __init__(self, name, *, stubborn=False):
        self.name = name
        self.modules = set()
        self.commands = []
        self._stubborn = stubborn

    def run(self, argv, *, sudo=False, **_how):
        returncode = 1
        if argv[0] == "test":
            returncode = 0 if argv[-1].rpartition("/")[2] in self.modules else 1
        elif argv[0] == "modprobe":
            assert sudo
            self.commands.append(" ".join(argv))
            returncode = 0
            if not self._stubborn:
                change = self.modules.discard if "-r" in argv else self.modules.add
                change(argv[-1])
        return Completed(tuple(argv), returncode, "", "", 0.1)


class Api:
    """An API server that answers nothing."""

    def run(self, args, **_how):
        return Completed(tuple(args), 1, "", "The connection was refused", 0.1)


class MachinePlan:
    def __init__(self, name, address, role):
        self.name, self.address, self.role = name, address, role


class Plan:
    machines = (
        MachinePlan("controller0", "192.168.57.10", Role.CONTROLLER),
        MachinePlan("worker0", "192.168.57.11", Role.WORKER),
        MachinePlan("worker1", "192.168.57.12", Role.WORKER),
    )
    controller = machines[0]


class Lab:
    def __init__(self, *, api=None, **stubborn):
        self.clock = FakeClock()
        self.recorded = []
        self.machines = {
            each.name: Machine(each.name, stubborn=each.name in stubborn) for each in Plan.machines
        }
        api = api or Api()
        prober = Prober(api, self.machines, self.clock, 1000.0)
        self.changer = Changer(
            Plan(),
            prober,
            self.machines,
            api,
            clock=self.clock,
            record=self.recorded.extend,
            started=1000.0,
        )


def load(machine, name):
    return LoadModule(machine=machine, name=name)


def test_a_change_of_all_workers_is_made_and_taken_back_on_each():
    lab = Lab()
    made = lab.changer.make(load("workers", "dummy"))
    assert made.text == "load the module dummy on worker0, worker1"
    assert [lab.machines[name].modules for name in ("worker0", "worker1")] == [{"dummy"}] * 2
    lab.changer.undo(made)
    assert lab.machines["worker0"].commands == ["modprobe dummy", "modprobe -r dummy"]
    assert lab.machines["worker1"].modules == set()


def test_every_command_and_every_look_is_recorded_in_its_order():
    lab = Lab()
    lab.changer.make(load("worker0", "dummy"))
    looked, done, seen = lab.recorded[-3:]
    assert [each.probe for each in (looked, done, seen)] == [
        *("module:dummy", COMMAND, "module:dummy")
    ]
    assert done.argv == ("modprobe", "dummy")
    assert done.at == "2026-11-23T05:40:00.000+00:00"


def test_a_change_that_silently_had_no_effect_is_inconclusive():
    lab = Lab(worker1=True)
    with pytest.raises(InconclusiveError) as failed:
        lab.changer.make(load("workers", "dummy"))
    assert "it is not so that dummy is loaded on worker1: it is not loaded" in str(failed.value)


def test_the_api_server_has_longer_for_a_change_than_for_a_look(tmp_path):
    """One that described its objects for the first time took more than a look may."""
    missing = Completed((), 1, "", "Error from server (NotFound): not found", 0.1)
    runner = FakeRunner({"": lambda argv: "" if "apply" in argv else missing})
    lab = Lab(api=Kubectl(tmp_path / "kubectl", tmp_path / "kubeconfig", runner))
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(InconclusiveError, match="there is no ConfigMap"):
        lab.changer.make(Manifest([wanted]))
    given = {"apply" in argv: argv[argv.index("--request-timeout") + 1] for argv in runner.commands}
    assert given == {True: f"{CHANGE_REQUEST_SECONDS}s", False: f"{REQUEST_SECONDS}s"}


def test_a_change_that_somebody_took_back_meanwhile_is_inconclusive():
    lab = Lab()
    made = lab.changer.make(load("worker0", "dummy"))
    assert lab.changer.confirm(made) == ()
    lab.machines["worker0"].modules.clear()
    with pytest.raises(InconclusiveError, match="still so"):
        lab.changer.confirm(made)


def test_a_change_that_cannot_be_taken_back_is_inconclusive():
    lab = Lab()
    made = lab.changer.make(load("worker0", "dummy"))
    lab.machines["worker0"]._stubborn = True
    with pytest.raises(InconclusiveError, match="Taking back: load the module dummy"):
        lab.changer.undo(made)


def test_what_was_so_before_stays_so():
    lab = Lab()
    lab.machines["worker0"].modules.add("dummy")
    lab.changer.undo(lab.changer.make(load("worker0", "dummy")))
    assert lab.machines["worker0"].modules == {"dummy"}


def test_a_place_that_cannot_be_looked_up_fails_the_change_that_needs_it():
    lab = Lab()
    route = Route(machine="worker0", to="service-network", via="worker1")
    with pytest.raises(InconclusiveError, match="network of the Services"):
        lab.changer.make(route)


def read_clock(machine, text):
    probe = clocks.offset_probe(machine)
    return Reading(probe.name, machine, probe.argv, "", 0, 0, 0, text)


def test_a_clock_is_stepped_and_put_back_by_the_time_since_boot():
    # As `echo $(date +%s.%N) $(cat /proc/uptime)` prints it.
    before = read_clock("worker0", "1795434525.594879573 25594.01 11707.63\n")
    change = clocks.ClockStep(machine="worker0", by="30m")
    action = change.action(WORKER, Before([before]))
    (do,), (undo, back), (check,) = action.do, action.undo, action.check
    assert do.argv[-1] == "1795410731.585"
    assert undo.argv[-1] == "1795408931.585"
    ahead = clocks.parse_offset(replace(before, stdout="1795436336.1 25604.5 11707.6\n"))
    assert check.wrong(ahead) is None
    assert back.wrong(clocks.parse_offset(before)) is None
    assert "NTP" in check.wrong(clocks.parse_offset(before))
    assert "NTP" in back.wrong(ahead)


def test_a_machine_whose_first_way_is_cut_is_reached_by_the_second(monkeypatch):
    lab = Lab()
    second = {"worker1": Machine("worker1")}
    changer = Changer(
        Plan(),
        Prober(Api(), lab.machines, lab.clock, 1000.0),
        lab.machines,
        Api(),
        clock=lab.clock,
        record=lab.recorded.extend,
        started=1000.0,
        second_ways=second,
    )
    real = LoadModule.action

    def aside(*args):
        return replace(real(*args), aside=frozenset({"worker1"}))

    monkeypatch.setattr(LoadModule, "action", aside)
    made = changer.make(load("workers", "dummy"))
    assert lab.machines["worker0"].commands == ["modprobe dummy"]
    assert lab.machines["worker1"].commands == []
    assert second["worker1"].commands == ["modprobe dummy"]
    changer.confirm(made)
    changer.undo(made)
    assert second["worker1"].commands == ["modprobe dummy", "modprobe -r dummy"]
