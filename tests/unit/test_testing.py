"""The stand-ins that a user's tests are made with."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.process import Runner
from harness.base.wait import Clock, wait_until
from harness.probe import apiservice
from harness.ssh.remote import Dial, Remote, RemoteReader
from harness.testing import FakeClock, FakeRemote, FakeRunner, readings, replayed
from tests.unit.paths import RECORDINGS

WALK = RECORDINGS / "konnectivity-off/broken.jsonl"


@pytest.mark.parametrize(
    ("protocols", "fake"),
    [([Clock], FakeClock()), ([Runner], FakeRunner()), ([RemoteReader, Remote], FakeRemote())],
)
def test_each_has_what_the_harness_asks_for(protocols, fake):
    asked = [name for each in protocols for name in vars(each) if not name.startswith("_")]
    assert asked
    assert [name for name in asked if not hasattr(fake, name)] == []


def test_time_passes_only_when_somebody_sleeps():
    clock = FakeClock(now=datetime(2026, 11, 28, tzinfo=UTC))
    seen = iter([False, False, True])
    wait_until("it", lambda: next(seen), bool, every=3.0, bound=60.0, clock=clock)
    assert clock.naps == [3.0, 3.0]
    assert clock.now() == datetime(2026, 11, 28, 0, 0, 6, tzinfo=UTC)


def test_the_longest_words_that_fit_a_command_answer_it():
    docker = FakeRunner(
        {
            "docker": "anything\n",
            "docker ps": "k5-abcdef\n",
            "docker rm": 1,
            "docker info": OSError("no daemon"),
            "docker run": lambda argv: Completed(argv, 0, argv[-1], "", 0.1),
        }
    )
    assert docker.run(["docker", "version"]).stdout == "anything\n"
    assert docker.run(["docker", "ps", "--all"]).stdout == "k5-abcdef\n"
    assert docker.run(["docker", "run", "image"]).stdout == "image"
    assert not docker.run(["docker", "rm", "x"], check=False).ok
    with pytest.raises(CommandFailedError, match="Removing"):
        docker.run(["docker", "rm", "x"], doing="Removing", deadline=5.0)
    with pytest.raises(OSError, match="no daemon"):
        docker.run(["docker", "info"])
    with pytest.raises(AssertionError, match="nobody said what this answers: dockerd"):
        docker.run(["dockerd"])
    assert docker.commands[0] == ("docker", "version")


def test_a_machine_is_dialled_from_and_written_to(tmp_path):
    machine = FakeRemote("worker0", {"": ""}, dials={"10.0.0.1:443": Dial.REFUSED})
    assert machine.run(["true"], doing="Trying", deadline=5.0, sudo=True).ok
    assert machine.dial("10.0.0.1", 443, deadline=2.0).outcome is Dial.REFUSED
    assert machine.dial("10.0.0.2", 443, deadline=2.0).seconds == 2.0
    machine.put("text", "/etc/x")
    machine.get("/etc/x", tmp_path / "x")
    assert (tmp_path / "x").read_text() == "text"


def test_a_probe_reads_a_recording_as_it_reads_a_cluster():
    found = replayed(readings(WALK)).read(apiservice.PROBE.look())
    assert apiservice.PROBE.look().parse(found).reason == "FailedDiscoveryCheck"
    assert replayed(readings(WALK), at=0.0).read(apiservice.PROBE.look()).failed
