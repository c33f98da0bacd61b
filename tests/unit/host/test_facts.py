"""What is read of a host becomes facts: on recordings of a Debian 12 and a Debian 13.

In the recordings the names of package mirrors and registries are replaced or left out; the rest is
what the programs printed.
"""

import ctypes
import json
import os
import shlex
from dataclasses import replace

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.settings import Settings
from harness.host import inotify as host_inotify
from harness.host.facts import facts_from
from harness.host.raw import (
    ARCHIVE_COMMAND,
    ENGINE_COMMAND,
    SUDO_COMMAND,
    VAGRANT_COMMAND,
    RawHost,
)
from harness.host.read import read_host
from harness.host.texts import Answer, absent_packages, parse_os_release
from harness.host.vm_facts import version_command
from harness.preflight.survey import look_for
from tests.unit.paths import UNIT

# What the recorded hosts were asked for.
PACKAGES = (
    "vagrant",
    "docker.io",
    "docker-cli",
    "mmdebstrap",
    "nftables",
    "openssh-client",
    "iproute2",
    "uidmap",
)
ASKED = shlex.join((*ARCHIVE_COMMAND, *PACKAGES))
RECORDINGS = UNIT / "recordings"


def raw(name="host-debian-12") -> RawHost:
    return RawHost.from_json((RECORDINGS / f"{name}.json").read_text())


def with_answer(host: RawHost, command, answer: Answer) -> RawHost:
    return replace(host, answers={**host.answers, shlex.join(command): answer})


def engine_said(name: str) -> RawHost:
    answer = Answer(**json.loads((RECORDINGS / f"{name}.json").read_text()))
    return with_answer(raw(), ENGINE_COMMAND, answer)


def test_a_recorded_debian_12_is_understood_as_a_whole():
    facts = facts_from(raw())
    assert facts.release == ("debian", "12")
    assert facts.name == "Debian GNU/Linux 12 (bookworm)"
    assert facts.vagrant == (2, 3, 4)
    assert facts.engine.reachable
    assert facts.engine.version == "20.10.24+dfsg1"
    assert facts.engine.root == "/var/lib/docker"
    assert facts.memory_mib == 24105
    assert 20000 < facts.available_mib < facts.memory_mib
    assert facts.sudo == "root"
    assert not facts.systemd


def test_a_pre_release_of_vagrant_on_debian_13_is_a_version_too():
    assert facts_from(raw("host-debian-13")).vagrant == (2, 3, 8)
    assert facts_from(raw("host-debian-13")).release == ("debian", "13")


def test_a_recording_survives_being_written_and_read_again():
    assert RawHost.from_json(raw().to_json()) == raw()


@pytest.mark.parametrize("name", ["docker-20-not-running", "docker-28-not-running"])
def test_an_engine_that_does_not_run_is_known_from_old_and_new_clients(name):
    engine = facts_from(engine_said(name)).engine
    assert not engine.reachable
    assert not engine.denied
    assert "Is the docker daemon running?" in engine.problem


@pytest.mark.parametrize("name", ["docker-20-denied", "docker-28-denied"])
def test_an_engine_that_this_user_may_not_talk_to_is_not_taken_for_a_stopped_one(name):
    engine = facts_from(engine_said(name)).engine
    assert not engine.reachable
    assert engine.denied


def test_an_engine_that_hangs_is_unreachable_with_the_reason():
    engine = facts_from(with_answer(raw(), ENGINE_COMMAND, Answer(None, "", "no end after 20s")))
    assert not engine.engine.reachable
    assert engine.engine.problem == "no end after 20s"


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("OperatingSystem", "Docker Desktop", "Docker Desktop"),
        ("SecurityOptions", ["name=seccomp,profile=default", "name=rootless"], "rootless"),
    ],
)
def test_an_engine_whose_networks_do_not_reach_this_host_is_foreign(key, value, why):
    said = json.loads(raw().answers[shlex.join(ENGINE_COMMAND)].stdout)
    answer = Answer(0, json.dumps({**said, key: value}), "")
    assert why in facts_from(with_answer(raw(), ENGINE_COMMAND, answer)).engine.foreign
    assert facts_from(raw()).engine.foreign == ""


def test_an_engine_on_another_host_is_foreign_and_a_local_socket_is_not():
    assert "another host" in facts_from(replace(raw(), docker_host="tcp://b:2376")).engine.foreign
    assert facts_from(replace(raw(), docker_host="unix:///run/docker.sock")).engine.foreign == ""


def test_capabilities_are_named_that_this_host_cannot_give():
    status = raw().files["/proc/self/status"]
    assert facts_from(raw()).missing_capabilities == ("CAP_SYS_RESOURCE",)
    everything = status.replace("000001fffeffffff", "000001ffffffffff")
    assert everything != status
    files = {**raw().files, "/proc/self/status": everything}
    assert facts_from(replace(raw(), files=files)).missing_capabilities == ()


def test_inotify_instances_are_counted_by_the_kernels_limit_where_root_looks():
    files = {**raw().files, host_inotify.LIMIT_FILE: "128\n"}
    assert facts_from(replace(raw(), files=files, root_inotify=56)).free_inotify == 72
    assert facts_from(replace(raw(), files=files, root_inotify=130)).free_inotify == 0
    raised = replace(raw(), files=files, root_inotify=130, raises_inotify=True)
    assert facts_from(raised).free_inotify == 1024 - 130
    assert facts_from(replace(raw(), files=files, root_inotify=None)).free_inotify is None
    assert facts_from(replace(raw(), root_inotify=56)).free_inotify is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root sees what root's processes hold")
def test_an_inotify_instance_of_roots_is_seen_while_it_is_there(tmp_path):
    # /proc with this process alone in it: others come and go.
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    before = host_inotify.held_by_root(tmp_path)
    instance = ctypes.CDLL(None).inotify_init()
    with_it = host_inotify.held_by_root(tmp_path)
    os.close(instance)
    assert with_it == before + 1


def test_the_engines_word_on_cgroups_beats_what_this_process_sees():
    assert facts_from(raw()).cgroup == 1
    without = replace(raw(), answers={})
    unified = {**raw().files, "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n"}
    assert facts_from(replace(without, files=unified)).cgroup == 2
    assert facts_from(replace(raw(), files=unified)).cgroup == 1


@pytest.mark.parametrize(
    ("programs", "status", "expected"),
    [
        ({}, None, "none"),
        ({"sudo": "/usr/bin/sudo"}, 0, "passwordless"),
        ({"sudo": "/usr/bin/sudo"}, 1, "password"),
    ],
)
def test_an_ordinary_users_way_to_root_is_known(programs, status, expected):
    host = replace(raw(), uid=1000, programs=programs)
    if status is not None:
        host = with_answer(host, SUDO_COMMAND, Answer(status, "", ""))
    assert facts_from(host).sudo == expected


def test_nothing_readable_makes_empty_facts_and_no_error():
    empty = RawHost("linux", "x86_64", "6", 1, 0, "root", {}, {}, {}, {}, False, False, "")
    facts = facts_from(empty)
    assert facts.release == ("", "")
    assert facts.available_mib == 0
    assert facts.vagrant is None
    assert not facts.engine.reachable


def test_quoted_and_unquoted_values_of_os_release_are_read():
    assert parse_os_release('ID=debian\nVERSION_ID="12"\n# a comment\nEMPTY=\n') == {
        "ID": "debian",
        "VERSION_ID": "12",
        "EMPTY": "",
    }


def test_the_archives_answer_tells_what_it_does_not_have():
    debian_12 = (RECORDINGS / "apt-policy-debian-12-clean.txt").read_text()
    debian_13 = (RECORDINGS / "apt-policy-debian-13-clean.txt").read_text()
    assert absent_packages(debian_12, PACKAGES) == ("docker-cli",)
    assert absent_packages(debian_13, PACKAGES) == ()
    without_vagrant = debian_12[debian_12.index("docker.io:") :]
    assert absent_packages(without_vagrant, PACKAGES) == ("vagrant", "docker-cli")


def test_an_archive_whose_lists_were_never_fetched_says_nothing():
    # This host has the packages but no lists: what is not installed may well be in the archive.
    said = raw().answers[ASKED].stdout
    assert "mirror.example" not in said
    assert absent_packages(said, PACKAGES) == ()
    assert absent_packages("", PACKAGES) == ()


class Silent:
    """A runner whose programs never end."""

    def __init__(self):
        self.asked = []

    def run(self, argv, *, doing, deadline, **_):
        self.asked.append(tuple(argv))
        raise CommandFailedError(
            doing, Completed(tuple(argv), -2, "", "", deadline), timed_out=True
        )


def test_reading_a_host_survives_programs_that_hang_and_starts_nothing_else(tmp_path):
    runner = Silent()
    settings = Settings(state_dir=tmp_path / "s", cache_dir=tmp_path / "c", runs_dir=tmp_path / "r")
    host = read_host(runner, settings, {"PATH": "/usr/bin:/bin"}, look_for(settings))
    libvirt = version_command("qemu:///system")
    archive = (*ARCHIVE_COMMAND, *look_for(settings).packages)
    looks = {VAGRANT_COMMAND, ENGINE_COMMAND, SUDO_COMMAND, archive, libvirt}
    assert set(runner.asked) <= looks
    assert not facts_from(host).engine.reachable
    # Where a folder is not made yet, the disk it would be on counts.
    assert host.free_mib["state"] > 0
    assert not (tmp_path / "s").exists()


def test_every_package_that_is_asked_for_is_in_the_recorded_command(tmp_path):
    assert ASKED in raw().answers
    assert {*look_for(Settings(tmp_path, tmp_path, tmp_path)).packages} == {*PACKAGES}
