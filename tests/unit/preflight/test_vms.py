"""KVM, libvirt and VirtualBox of a host: on recordings of a Debian 12 whose KVM carries no kernel.

`host-libvirt` is that host with libvirt running, as root; `host-libvirt-user` the same for a user
outside the groups kvm and libvirt (the name is replaced, as is the host's UUID); `virsh` has what
virsh said at other times: libvirt stopped, and over SSH.
"""

import json
import re
import shlex
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from harness.base.errors import ExitCode, HostLacksError
from harness.base.settings import Driver, Settings
from harness.host import vm_facts as vms
from harness.host.facts import facts_from
from harness.host.needs import LabNeeds
from harness.host.raw import RawHost
from harness.host.read import read_host
from harness.host.texts import Answer
from harness.host.vm_facts import Kvm
from harness.preflight.choice import choose_provider, problems, refuse
from harness.preflight.report import HostReport, describe
from harness.preflight.survey import look_for
from harness.providers.libvirt.problems import kvm_remedy
from harness.providers.registry import provider
from harness.testing import FakeRunner
from tests.unit.paths import UNIT

RECORDINGS = UNIT / "recordings"
RAW = RawHost.from_json((RECORDINGS / "host-libvirt.json").read_text())
USER = facts_from(RawHost.from_json((RECORDINGS / "host-libvirt-user.json").read_text()))
HERE = facts_from(RAW)
SAID = json.loads((RECORDINGS / "virsh.json").read_text())
LIBVIRT = "libvirt"
VIRTUALBOX = "virtualbox"
LAB = LabNeeds()


def answer(name) -> Answer:
    said = SAID[name]
    return Answer(said["status"], said["stdout"], said["stderr"])


def connecting(name):
    """The recorded host where connecting to libvirt gave this answer."""
    uri = SAID[name]["uri"]
    others = {line: said for line, said in RAW.answers.items() if not line.startswith("virsh")}
    first = shlex.join(vms.version_command(uri))
    return facts_from(replace(RAW, libvirt_uri=uri, answers={**others, first: answer(name)}))


def with_flag(flag):
    """The recorded host if its processor showed `flag`."""
    cpuinfo = RAW.files[vms.CPU_FILE]
    files = {**RAW.files, vms.CPU_FILE: cpuinfo.replace("\nflags\t\t: ", f"\nflags\t\t: {flag} ")}
    assert files != RAW.files
    return replace(RAW, files=files)


def only_problem(facts, provider=LIBVIRT, needs=LAB):
    (problem,) = problems(facts, provider, needs)
    return problem


def test_a_host_with_libvirt_running_is_understood_as_a_whole():
    libvirt = HERE.libvirt
    assert libvirt.reachable
    assert (libvirt.version, libvirt.qemu) == ("9.0.0", "7.2.22")
    assert libvirt.architecture == "x86_64"
    assert libvirt.offers_kvm
    assert "aes" in libvirt.flags
    assert libvirt.pool == vms.Pool("default", True, "/var/lib/libvirt/images", 235763)
    assert HERE.plugin == "0.11.2"
    assert problems(HERE, LIBVIRT, LAB) == ()


def test_a_kvm_that_opens_on_a_processor_without_virtualisation_is_not_usable():
    assert RAW.kvm
    assert HERE.kvm is Kvm.PARAVIRTUAL
    assert HERE.emulated
    assert "nested" in kvm_remedy(HERE)


@pytest.mark.parametrize("flag", ["vmx", "svm"])
def test_with_a_processor_that_virtualises_kvm_is_usable(flag):
    capable = with_flag(flag)
    assert facts_from(capable).kvm is Kvm.USABLE
    assert not facts_from(capable).emulated
    forced = facts_from(replace(capable, driver=Driver.QEMU.value))
    assert forced.kvm is Kvm.USABLE
    assert forced.emulated


def test_no_device_is_told_from_one_that_needs_a_module():
    gone = {"kvm": False, "kvm_there": False}
    assert facts_from(replace(RAW, **gone)).kvm is Kvm.ABSENT
    unloaded = facts_from(replace(with_flag("svm"), **gone))
    assert unloaded.kvm is Kvm.NO_MODULE
    assert "modprobe kvm_amd" in kvm_remedy(unloaded)


def test_a_user_outside_the_group_kvm_is_served_by_a_libvirt_that_has_it():
    # qemu runs as a user of libvirt's own.
    denied = {"kvm": False, "kvm_there": True, "user": "ada"}
    assert facts_from(replace(with_flag("vmx"), **denied)).kvm is Kvm.USABLE
    alone = facts_from(replace(with_flag("vmx"), answers={}, **denied))
    assert alone.kvm is Kvm.DENIED
    assert "usermod -aG kvm ada" in kvm_remedy(alone)


def test_other_architectures_need_no_word_of_the_processor():
    arm = replace(RAW, architecture="aarch64", answers={})
    assert facts_from(arm).kvm is Kvm.USABLE
    assert facts_from(replace(arm, kvm=False, kvm_there=False)).kvm is Kvm.ABSENT


@pytest.mark.parametrize(
    ("name", "happened", "remedy"),
    [
        ("not running", "libvirt is not running: Failed to connect socket", "libvirtd --daemon"),
        ("not in the group", "root may not talk to libvirt", "usermod -aG libvirt root"),
        ("no system bus", "asks polkit, and no system bus is here", "run as root"),
    ],
)
def test_a_libvirt_of_this_host_that_does_not_answer_is_refused(name, happened, remedy):
    problem = only_problem(connecting(name))
    assert happened in problem.happened
    assert remedy in problem.remedy


def test_libvirt_is_started_by_systemd_where_that_is_the_init():
    problem = only_problem(replace(connecting("not running"), systemd=True, sudo="root"))
    assert problem.remedy == "systemctl start libvirtd"


def test_a_recorded_user_outside_the_group_is_told_which_one_to_join():
    assert USER.libvirt.denied
    messages = [str(problem) for problem in problems(USER, LIBVIRT, LAB)]
    (denied,) = [text for text in messages if "may not talk to libvirt" in text]
    assert "sudo usermod -aG libvirt ada" in denied
    assert "as powerful as root" in denied


def test_a_missing_pool_and_one_that_is_not_active_are_refused_with_the_commands():
    lost = replace(
        HERE,
        libvirt=replace(HERE.libvirt, pool=vms.pool_from("default", answer("pool missing"), None)),
    )
    problem = only_problem(lost)
    assert problem.happened == "libvirt has no storage pool default"
    assert "pool-define-as default dir --target /var/lib/libvirt/images" in problem.remedy
    stopped = vms.pool_from("default", answer("pool inactive"), answer("pool xml"))
    problem = only_problem(replace(HERE, libvirt=replace(HERE.libvirt, pool=stopped)))
    assert problem.happened == "libvirt's storage pool default is not active"
    assert problem.remedy.endswith("pool-start default")


def test_another_pool_that_is_missing_is_not_made_but_those_there_are_shown():
    named = replace(HERE, libvirt=replace(HERE.libvirt, pool=None, pool_name="fast"))
    problem = only_problem(named)
    assert "no storage pool fast" in problem.happened
    assert "pool-list --all" in problem.remedy
    assert "pool-define" not in problem.remedy


def test_a_pool_without_room_is_refused_by_what_an_ordinary_user_may_write():
    # libvirt counts root's reserve: 235763 MiB here, of which qemu may have 72219.
    assert HERE.free_mib["pool"] < HERE.libvirt.pool.free_mib
    full = replace(HERE, free_mib={**HERE.free_mib, "pool": 100})
    assert only_problem(full).happened.startswith("100 MiB of disk are free for the machines in")
    small = replace(HERE.libvirt, pool=replace(HERE.libvirt.pool, free_mib=90))
    assert only_problem(replace(HERE, libvirt=small)).happened.startswith("90 MiB")


def test_virtual_machines_need_more_memory_than_what_they_are_given():
    assert problems(replace(HERE, available_mib=8192), LIBVIRT, LAB) == ()
    problem = only_problem(replace(HERE, available_mib=8191))
    assert problem.passes
    assert "8191 MiB" in problem.happened


def test_emulation_is_no_problem_unless_kvm_is_demanded():
    assert problems(HERE, LIBVIRT, LAB) == ()
    demanded = facts_from(replace(RAW, driver=Driver.KVM.value))
    problem = only_problem(demanded)
    assert "K0S_HARNESS_DRIVER=kvm cannot be had" in problem.happened
    assert "neither vmx nor svm" in problem.happened
    assert "nested" in problem.remedy
    with pytest.raises(HostLacksError) as refused:
        refuse([problem], LIBVIRT)
    assert refused.value.exit_code is ExitCode.HOST_LACKS


def test_the_choice_says_plainly_that_machines_are_emulated_and_why():
    choice = choose_provider(HERE, LIBVIRT)
    assert choice.provider == LIBVIRT
    assert choice.emulated
    assert choice.reason.startswith(
        "asked for by PROVIDER; software emulation: /dev/kvm opens, but"
    )
    assert "about 5 times longer" in choice.reason
    kvm = choose_provider(facts_from(with_flag("vmx")), LIBVIRT)
    assert not kvm.emulated
    assert kvm.reason == "asked for by PROVIDER; hardware virtualisation (KVM)"


# The first two are of the recorded host, before and after the remedy; the third is Fedora's.
@pytest.mark.parametrize(
    ("access", "slow"),
    [
        ("crw------- root", True),
        ("crw-rw---- kvm", False),
        ("crw-rw-rw- kvm", False),
        ("crw-rw---- root", True),
        ("", False),
    ],
)
def test_a_kvm_that_libvirts_machines_may_not_open_is_said_with_its_remedy(access, slow):
    facts = facts_from(replace(RAW, kvm_there=True, kvm_access=access))
    said = "chgrp kvm /dev/kvm && chmod 660 /dev/kvm"
    assert (said in choose_provider(facts, LIBVIRT).reason) is slow


@pytest.mark.parametrize("provider", [LIBVIRT, "docker"])
def test_doctor_says_that_remedy_once_whatever_the_provider(provider):
    facts = facts_from(replace(RAW, kvm_there=True, kvm_access="crw------- root"))
    report = HostReport(facts, choose_provider(facts, provider), LabNeeds(), (), ())
    assert "\n".join(describe(report)).count("chmod 660 /dev/kvm") == 1


def test_the_libvirt_of_another_host_is_not_judged_by_this_hosts_kvm():
    facts = facts_from(replace(remote(), kvm_there=True, kvm_access="crw------- root"))
    assert "chmod" not in choose_provider(facts, LIBVIRT).reason


def test_libvirt_is_taken_unasked_where_it_has_kvm_and_everything_else():
    ready = facts_from(with_flag("vmx"))
    assert choose_provider(ready, None).provider == LIBVIRT
    incomplete = replace(ready, libvirt=replace(ready.libvirt, pool=None))
    choice = choose_provider(incomplete, None)
    assert choice.provider == "docker"
    assert "PROVIDER=libvirt" in choice.reason


def test_docker_comes_before_emulated_machines_and_they_before_nothing():
    choice = choose_provider(HERE, None)
    assert choice.provider == "docker"
    assert "neither vmx nor svm" in choice.reason
    programs = {name: path for name, path in HERE.programs.items() if name != "docker"}
    without = choose_provider(replace(HERE, programs=programs), None)
    assert without.provider == LIBVIRT
    assert without.emulated


def test_virtualbox_is_taken_only_when_asked_for_and_called_not_yet_run():
    there = replace(HERE, programs={**HERE.programs, "VBoxManage": "/usr/bin/VBoxManage"})
    assert choose_provider(there, None).provider != VIRTUALBOX
    assert "not yet run on real VMs" in choose_provider(there, VIRTUALBOX).reason


def test_the_hosts_cgroups_do_not_matter_to_vms():
    assert HERE.cgroup == 1
    assert problems(HERE, LIBVIRT, replace(LAB, k0s_version="v1.36.3+k0s.2")) == ()


@pytest.mark.parametrize("program", ["virsh", "vagrant-libvirt", "qemu-system-x86_64", "dnsmasq"])
def test_what_is_missing_is_named_with_its_package(program):
    programs = {name: path for name, path in HERE.programs.items() if name != program}
    facts = replace(HERE, programs=programs)
    (tool,) = provider(LIBVIRT).missing_tools(facts)
    assert tool.program == program
    problem = only_problem(facts)
    assert tool.package in problem.remedy


@pytest.mark.parametrize(
    ("name", "happened", "remedy"),
    [
        (
            "unknown host key",
            "the host key of 127.0.0.1 is not known",
            "ssh -p 2299 root@127.0.0.1",
        ),
        ("changed key", "is not the one that is known", "ssh-keygen -R"),
        ("no key", "lets nobody in as -p 2299 root@127.0.0.1", "ssh-copy-id"),
        ("refused", "cannot be reached by SSH: connect to host", "true shows"),
        ("unknown name", "Could not resolve hostname no-such-host.invalid", "ssh root@"),
        ("unroutable", "Network is unreachable", "ssh root@192.0.2.1 true"),
        ("no daemon there", "libvirt is not running on 127.0.0.1", "systemctl start libvirtd"),
    ],
)
def test_another_hosts_libvirt_that_does_not_answer_is_said_in_a_sentence(name, happened, remedy):
    problem = only_problem(connecting(name))
    assert happened in problem.happened
    assert remedy in problem.remedy


def test_another_host_that_hangs_is_refused_after_the_bound():
    uri = "qemu+ssh://ann@big/system"
    first = shlex.join(vms.version_command(uri))
    hanging = Answer(None, "", "Looking at this host: no end after 20s")
    facts = facts_from(replace(RAW, libvirt_uri=uri, answers={**RAW.answers, first: hanging}))
    happened = only_problem(facts).happened
    assert happened == "libvirt on big does not answer: Looking at this host: no end after 20s"


def test_a_box_that_is_brought_needs_nothing_to_make_one():
    brought = replace(facts_from(replace(RAW, box_url="https://example.test/a.box")), programs={})
    names = {tool.program for tool in provider(LIBVIRT).missing_tools(brought)}
    made = {tool.program for tool in provider(LIBVIRT).missing_tools(replace(HERE, programs={}))}
    assert names < made
    assert {"mmdebstrap", "containerd", "grub-mkimage"} <= made - names
    assert {"vagrant-libvirt", "virsh", "qemu-img"} <= names


def remote():
    uri = SAID["remote"]["uri"]
    local = "qemu:///system"
    answers = {line.replace(local, uri): said for line, said in RAW.answers.items()}
    memory = {shlex.join(vms.memory_command(uri)): Answer(0, NODE_MEMORY, "")}
    return replace(RAW, libvirt_uri=uri, answers={**answers, **memory})


# `virsh nodememstats` of the recorded host.
NODE_MEMORY = """\
total  :             24684092 KiB
free   :             21746808 KiB
buffers:               404232 KiB
cached :              1941932 KiB

"""


def test_another_hosts_memory_and_processor_count_not_this_ones():
    raw = replace(remote(), kvm=False, kvm_there=False)
    facts = facts_from(raw)
    assert facts.libvirt.host == "127.0.0.1"
    assert facts.libvirt.available_mib == 23528
    assert facts.kvm is Kvm.PARAVIRTUAL
    assert problems(replace(facts, available_mib=10), LIBVIRT, LAB) == ()
    tight = replace(facts, libvirt=replace(facts.libvirt, available_mib=10))
    problem = only_problem(tight)
    assert "10 MiB of memory are available on 127.0.0.1" in problem.happened
    assert not problem.passes


def test_another_host_needs_fewer_tools_here():
    client = {"vagrant", "ssh", "ip", "virsh", "vagrant-libvirt", "qemu-img"}
    facts = facts_from(remote())
    kept = {name: path for name, path in facts.programs.items() if name in client}
    missing = {
        tool.program for tool in provider(LIBVIRT).missing_tools(replace(facts, programs=kept))
    }
    assert not missing & {"libvirtd", "dnsmasq", "qemu-system-x86_64", "nft"}


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///session",
        "xen:///system",
        "test:///default",
        "qemu+tcp://big/system",
        "qemu+ssh:///system",
        "qemu://big/system",
        "qemu+ssh://[big/system",
        "qemu+ssh://big/system?keyfile=id_ed25519",
        "nonsense",
    ],
)
def test_a_uri_that_no_lab_can_use_is_refused_without_asking_it(uri, tmp_path):
    host = FakeRunner({"": 1})
    settings = Settings(tmp_path, tmp_path, tmp_path, provider=LIBVIRT, libvirt_uri=uri)
    raw = read_host(host, settings, {"PATH": "/usr/bin:/bin"}, look_for(settings))
    assert not any(command[0] == "virsh" for command in host.commands)
    facts = replace(HERE, libvirt=facts_from(raw).libvirt)
    problem = only_problem(facts)
    assert uri in problem.happened
    assert "qemu+ssh://USER@HOST/system" in problem.remedy


def test_libvirt_is_asked_only_where_its_machines_may_be_chosen(tmp_path):
    for name, wanted in (("docker", False), (LIBVIRT, True)):
        runner = FakeRunner({"": 1})
        settings = Settings(tmp_path, tmp_path, tmp_path, provider=name)
        raw = read_host(runner, settings, {"PATH": "/usr/bin:/bin"}, look_for(settings))
        asked = {command[0] for command in runner.commands}
        assert ("virsh" in asked) == (wanted and "virsh" in raw.programs)


def test_virtualboxs_networks_are_the_default_where_no_file_says_otherwise():
    assert HERE.host_only == (IPv4Network("192.168.56.0/21"),)
    assert LAB.private.subnet_of(HERE.host_only[0])


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        # The examples of VirtualBox's manual.
        ("* 10.0.0.0/8 192.168.0.0/16\n* 2001::/64\n", True),
        ("* 0.0.0.0/0 ::/0\n", True),
        ("# * 0.0.0.0/0\n* 10.0.0.0/8\n", False),
        ("", False),
        ("* 192.168.56.0/24\n", False),
    ],
)
def test_the_private_network_must_lie_in_what_virtualbox_allows(text, allowed):
    raw = replace(with_flag("vmx"), files={**with_flag("vmx").files, vms.RANGES_FILE: text})
    facts = facts_from(raw)
    programs = {**facts.programs, "VBoxManage": "/usr/bin/VBoxManage"}
    found = problems(replace(facts, programs=programs), VIRTUALBOX, LAB)
    assert bool(found) != allowed
    for problem in found:
        assert "192.168.56.0/21" in problem.happened
        assert re.search(r"add the line `\* 192\.168\.56\.0/21` to /etc/vbox", problem.remedy)


def test_virtualbox_needs_a_processor_that_virtualises():
    programs = {**HERE.programs, "VBoxManage": "/usr/bin/VBoxManage"}
    problem = only_problem(replace(HERE, programs=programs), VIRTUALBOX)
    assert "vmx or svm" in problem.happened


def test_the_plugin_a_user_installed_is_found_before_the_systems(tmp_path):
    spec = tmp_path / "gems/3.3.8/specifications/vagrant-libvirt-0.12.2.gemspec"
    spec.parent.mkdir(parents=True)
    spec.touch()

    settings = Settings(tmp_path, tmp_path, tmp_path)
    environ = {"PATH": "/usr/bin", "VAGRANT_HOME": str(tmp_path)}
    raw = read_host(FakeRunner({"": 1}), settings, environ, look_for(settings))
    assert facts_from(raw).plugin == "0.12.2"
