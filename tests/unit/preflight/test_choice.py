"""Which provider, what is missing, and refusals before anything is made."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.errors import ExitCode, HostLacksError
from harness.base.process import LocalRunner
from harness.host.facts import facts_from
from harness.host.needs import LabNeeds
from harness.host.raw import RawHost
from harness.host.services import start_argv, start_unit_argv, stop_argv, stop_unit_argv
from harness.host.texts import Engine
from harness.host.tools import SUPPORTED, common_tools, install_command, packages_for
from harness.preflight.choice import problems, refuse
from harness.providers.registry import provider, providers
from tests.unit.paths import PROJECT, UNIT

BOOTSTRAP = PROJECT / "bootstrap.sh"
SERVICES = [each.service for each in providers() if each.service is not None]
RECORDINGS = UNIT / "recordings"
DEBIAN_12 = facts_from(RawHost.from_json((RECORDINGS / "host-debian-12.json").read_text()))
DEBIAN_13 = facts_from(RawHost.from_json((RECORDINGS / "host-debian-13.json").read_text()))
DOCKER = "docker"
LAB = LabNeeds()


def without(facts, *programs):
    kept = {name: path for name, path in facts.programs.items() if name not in programs}
    return replace(facts, programs=kept)


def stopped(facts, problem="Cannot connect to the Docker daemon"):
    return replace(facts, engine=Engine(reachable=False, problem=problem))


def only_problem(facts, needs=LAB, provider=DOCKER):
    (problem,) = problems(facts, provider, needs)
    return problem


@pytest.mark.parametrize("facts", [DEBIAN_12, DEBIAN_13])
def test_the_recorded_hosts_can_make_a_lab(facts):
    assert problems(facts, DOCKER, LAB) == ()
    refuse(problems(facts, DOCKER, LAB), DOCKER)


def test_a_vagrant_that_is_too_old_is_refused_with_both_versions():
    problem = only_problem(replace(DEBIAN_12, vagrant=(2, 2, 19)))
    assert "2.2.19" in problem.happened
    assert "2.3.4" in problem.happened
    assert "vagrant" in problem.remedy


@pytest.mark.parametrize("version", [(2, 3, 4), (2, 3, 8), (2, 4, 9), (3, 0)])
def test_every_newer_vagrant_is_taken(version):
    assert problems(replace(DEBIAN_12, vagrant=version), DOCKER, LAB) == ()


def test_a_stopped_engine_is_refused_with_the_command_that_starts_it_here():
    problem = only_problem(stopped(DEBIAN_12))
    assert problem.happened.startswith("docker is not running")
    assert "dockerd" in problem.remedy
    tools = {**DEBIAN_12.programs, "newuidmap": "/usr/bin/newuidmap"}
    user = replace(DEBIAN_12, systemd=True, sudo="password", programs=tools)
    problem = only_problem(stopped(user))
    assert problem.remedy == "sudo systemctl start docker"


def test_a_user_outside_the_group_is_told_so_and_not_to_start_the_engine():
    denied = stopped(replace(DEBIAN_12, user="ada"), "permission denied while trying to connect")
    problem = only_problem(denied)
    assert "ada" in problem.happened
    assert "usermod -aG docker ada" in problem.remedy


def test_a_foreign_engine_is_refused_although_it_answers():
    foreign = replace(DEBIAN_12, engine=replace(DEBIAN_12.engine, foreign="it is elsewhere"))
    assert "it is elsewhere" in only_problem(foreign).happened


def test_too_little_memory_is_refused_with_both_amounts():
    problem = only_problem(replace(DEBIAN_12, available_mib=6000))
    assert "6000 MiB" in problem.happened
    assert "6656" in problem.happened
    assert problems(replace(DEBIAN_12, available_mib=6656), DOCKER, LAB) == ()


def test_inotify_instances_that_other_labs_hold_are_waited_for_where_machines_are_containers():
    """2026-11-25: kube-proxy of a fourth lab ended with `too many open files`; 128 were in use."""
    short = replace(DEBIAN_12, free_inotify=63)
    problem = only_problem(short)
    assert problem.happened == "63 inotify instances are left to root, this lab needs 64"
    assert "sysctl -w fs.inotify.max_user_instances=1024" in problem.remedy
    assert problem.passes
    assert problems(replace(DEBIAN_12, free_inotify=64), DOCKER, LAB) == ()
    kernels = problems(short, "libvirt", LAB)
    assert not any("inotify" in each.happened for each in kernels)


def test_memory_that_could_not_be_read_refuses_nothing():
    assert problems(replace(DEBIAN_12, available_mib=0), DOCKER, LAB) == ()


@pytest.mark.parametrize("place", ["docker", "cache", "state", "runs"])
def test_a_full_disk_is_refused_naming_what_would_lie_on_it(place):
    full = replace(DEBIAN_12, free_mib={**DEBIAN_12.free_mib, place: 10})
    problem = only_problem(full)
    assert problem.happened.startswith("10 MiB of disk are free for")
    assert problem.remedy


def test_more_workers_need_more_disk():
    room = replace(DEBIAN_12, free_mib={**DEBIAN_12.free_mib, "docker": LAB.machines_mib})
    assert problems(room, DOCKER, LAB) == ()
    assert problems(room, DOCKER, replace(LAB, workers=3)) != ()


@pytest.mark.parametrize("version", ["v1.35.0+k0s.0", "v1.36.3+k0s.2", "v2.0.0+k0s.0"])
def test_cgroup_v1_is_refused_for_a_k0s_that_does_not_run_on_it(version):
    problem = only_problem(DEBIAN_12, replace(LAB, k0s_version=version))
    assert version in problem.happened
    assert "cgroup v1" in problem.happened
    assert "unified_cgroup_hierarchy" in problem.remedy


def test_cgroup_v2_and_older_versions_are_taken():
    newest = replace(LAB, k0s_version="v1.36.3+k0s.2")
    assert problems(replace(DEBIAN_12, cgroup=2), DOCKER, newest) == ()
    assert problems(DEBIAN_12, DOCKER, replace(LAB, k0s_version="v1.34.10+k0s.0")) == ()


def test_containers_need_linux():
    found = problems(replace(DEBIAN_12, system="darwin"), DOCKER, LAB)
    assert any("need a Linux host" in problem.happened for problem in found)


def test_all_problems_are_refused_at_once_with_exit_3():
    poor = without(replace(stopped(DEBIAN_12), available_mib=100, vagrant=(2, 2, 0)), "nft")
    with pytest.raises(HostLacksError) as refused:
        refuse(problems(poor, DOCKER, LAB), DOCKER)
    assert refused.value.exit_code is ExitCode.HOST_LACKS
    text = refused.value.text()
    for part in ("nft", "2.2.0", "docker is not running", "100 MiB"):
        assert part in text


def test_missing_tools_come_with_one_command_for_this_system():
    bare = without(DEBIAN_12, "vagrant", "mmdebstrap")
    problem = only_problem(replace(bare, vagrant=None))
    assert "vagrant (makes the machines)" in problem.happened
    assert problem.remedy == (
        "apt-get update && apt-get install --no-install-recommends vagrant mmdebstrap"
    )


def test_debian_13_needs_the_client_as_a_package_of_its_own():
    missing = provider(DOCKER).missing_tools(stopped(without(DEBIAN_13, "docker", "dockerd")))
    assert packages_for(DEBIAN_13, missing) == ("docker.io", "docker-cli")
    assert packages_for(DEBIAN_12, missing) == ("docker.io",)


def test_an_engine_that_answers_needs_no_daemon_of_this_hosts():
    assert provider(DOCKER).missing_tools(without(DEBIAN_12, "dockerd")) == ()
    assert len(provider(DOCKER).missing_tools(stopped(without(DEBIAN_12, "dockerd")))) == 1


def test_an_ordinary_user_needs_what_makes_the_node_image_without_root():
    (tool,) = provider(DOCKER).missing_tools(replace(DEBIAN_12, sudo="passwordless"))
    assert tool.package == "uidmap"


def test_what_the_archive_lacks_comes_from_upstream_and_the_rest_from_the_archive():
    noble = replace(
        without(DEBIAN_12, "vagrant", "nft"),
        release=("ubuntu", "24.04"),
        like=("debian",),
        sudo="passwordless",
        archive_lacks=("vagrant", "docker-cli"),
    )
    command = install_command(noble, common_tools()[:2])
    archive, upstream = command.split(" && curl ")
    assert archive.endswith("apt-get install --no-install-recommends nftables")
    assert "vagrant_2.4.9-1_amd64.deb" in upstream
    assert "sudo apt-get install ./vagrant_2.4.9-1_amd64.deb" in upstream


@pytest.mark.parametrize(
    ("release", "like", "begins"),
    [
        ("fedora", (), "dnf install vagrant"),
        ("rhel", ("fedora",), "dnf install vagrant"),
        ("arch", (), "pacman -S vagrant"),
        ("opensuse-leap", ("suse", "opensuse"), "zypper install vagrant"),
        ("linuxmint", ("ubuntu", "debian"), "apt-get update && apt-get install"),
        ("nixos", (), "install vagrant"),
    ],
)
def test_other_systems_get_a_command_of_theirs(release, like, begins):
    there = replace(DEBIAN_12, release=(release, "1"), like=like)
    assert install_command(there, common_tools()).startswith(begins)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.group)
def test_services_are_started_and_stopped_by_the_init_where_there_is_one(service):
    assert start_unit_argv(service)[:2] == ["systemctl", "start"]
    assert stop_unit_argv(service)[:2] == ["systemctl", "stop"]
    # A socket unit would start it again.
    assert any(word.endswith(".socket") for word in stop_unit_argv(service))
    assert start_unit_argv(service)[2] in stop_unit_argv(service)


@pytest.mark.parametrize("daemon", [daemon for service in SERVICES for daemon in service.daemons])
def test_without_an_init_each_daemon_is_started_detached_and_stopped_by_its_own_pid(daemon):
    programs = {**DEBIAN_12.programs, daemon.program: f"/usr/sbin/{daemon.program}"}
    here = replace(DEBIAN_12, programs=programs)
    start = start_argv(here, daemon, Path("/state/log"))
    assert ("--background" in start) != ("--daemon" in start)
    pid = next(word for word in start if word.startswith("--pidfile="))
    stop = stop_argv(here, daemon)
    assert pid in stop
    assert f"--exec=/usr/sbin/{daemon.program}" in stop


@pytest.mark.parametrize("name", ["docker", "libvirt", "virtualbox"])
def test_bootstrap_and_the_harness_name_the_same_systems_and_packages(name):
    script = BOOTSTRAP.read_text()
    for system, version in SUPPORTED:
        assert f"'{system} {version}'" in script
    bare = stopped(without(DEBIAN_12, *DEBIAN_12.programs))
    packages = packages_for(bare, provider(name).missing_tools(bare))
    # The part of it that makes the list.
    part = script[script.index("provider=${PROVIDER:-docker}") : script.index("install_python() {")]
    said = LocalRunner().run(
        [
            "sh",
            "-euc",
            f'here=$1\n{part}\nprintf "%s" "$lab_packages"',
            "sh",
            str(BOOTSTRAP.parent),
        ],
        doing="Listing packages",
        deadline=30,
        env={"PROVIDER": name},
    )
    assert said.stdout.split() == list(packages)
