"""Set-up installs and starts only with consent, once, and writes down how to undo it."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Context
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
from harness.host.admin import Admin, SetupRecord, append_record, read_records
from harness.host.facts import facts_from
from harness.host.needs import LabNeeds
from harness.host.raw import RawHost
from harness.host.texts import Engine
from harness.host.vm_facts import Libvirt
from harness.preflight import setup_services
from harness.preflight.choice import problems
from harness.preflight.report import HostReport, describe
from harness.preflight.setup import Consent, SetUp, consent_of
from harness.preflight.setup_services import stop_started
from harness.providers.base import ProviderChoice
from harness.providers.libvirt.daemon import CONFIG
from harness.testing import FakeClock
from tests.unit.paths import UNIT

LIBVIRT = "libvirt"
RECORDINGS = UNIT / "recordings"
NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
READY = facts_from(RawHost.from_json((RECORDINGS / "host-debian-12.json").read_text()))
# Everything but Python and make: what a clean container has.
STOPPED = replace(
    READY, engine=Engine(reachable=False, problem="Cannot connect to the Docker daemon")
)
CLEAN = replace(STOPPED, programs={"apt-cache": "/usr/bin/apt-cache"})


LIBVIRT_READY = facts_from(RawHost.from_json((RECORDINGS / "host-libvirt.json").read_text()))
VIRSH = json.loads((RECORDINGS / "virsh.json").read_text())
LIBVIRT_STOPPED = replace(
    LIBVIRT_READY,
    libvirt=Libvirt("qemu:///system", "default", problem=VIRSH["not running"]["stderr"]),
)
POOL_MISSING = replace(LIBVIRT_READY, libvirt=replace(LIBVIRT_READY.libvirt, pool=None))


@pytest.fixture(autouse=True)
def nothing_runs_on_this_host(monkeypatch):
    """The machine that runs these tests may have daemons of its own."""
    monkeypatch.setattr(setup_services, "pid_of", lambda _daemon: "")


# What moves a host to its next state: virtlogd alone serves nobody, a started pool is there.
CHANGES = {
    "install",
    "usermod",
    "--exec=/usr/sbin/dockerd",
    "--exec=/usr/sbin/libvirtd",
    "pool-start",
}


class Host:
    """A host whose facts change when the right program was run, and what was asked and said."""

    def __init__(self, *states, consent=Consent.GIVEN, answer=True, fails=None):
        self.states = list(states)
        self.consent = consent
        self.answer = answer
        self.fails = fails
        self.pool = "pool missing"
        self.ran = []
        self.asked = []
        self.said = []

    def run(self, argv, *, doing, **_):
        self.ran.append(" ".join(argv))
        if self.fails and self.fails in self.ran[-1]:
            raise CommandFailedError(doing, Completed(tuple(argv), 100, "", "E: no", 1.0))
        if (len(self.states) > 1 and {*argv} & CHANGES) or argv[0] == "systemctl":
            self.states.pop(0)
        text = (RECORDINGS / "apt-install-debian-12.txt").read_text() if "install" in argv else ""
        if "pool-info" in argv:
            said = VIRSH[self.pool]
            return Completed(tuple(argv), said["status"], said["stdout"], said["stderr"], 1.0)
        return Completed(tuple(argv), 0, text, "", 1.0)

    def ask(self, question):
        self.asked.append(question)
        return self.answer

    def ensure(self, tmp_path, *, provider=None, engine_optional=False):
        settings = Settings(
            state_dir=tmp_path / "state", cache_dir=tmp_path, runs_dir=tmp_path, provider=provider
        )
        means = Admin(
            Context(self, FakeClock(0.0, now=NOW), settings, self.said.append),
            lambda: self.states[0],
        )
        SetUp(means, self.consent, self.ask).ensure(engine_optional=engine_optional)
        return read_records(settings.state_dir)


def test_a_ready_host_costs_nothing(tmp_path):
    host = Host(READY)
    assert host.ensure(tmp_path) == ()
    assert (host.ran, host.said, host.asked) == ([], [], [])
    assert not (tmp_path / "state").exists()


def test_a_clean_host_gets_packages_and_engine_and_a_record_of_both(tmp_path):
    host = Host(CLEAN, STOPPED, READY)
    installed, started = host.ensure(tmp_path)
    assert host.asked == []
    update, install, start = host.ran
    assert update.endswith(" update")
    assert "install -y --no-install-recommends vagrant" in install
    assert "--background" in start
    assert installed.did == "installed"
    assert "docker.io" in installed.what
    assert installed.undo.startswith("apt-get purge --autoremove vagrant")
    assert started.did == "started"
    assert "--stop" in started.undo
    # What is about to be installed is said before it is; the numbers are apt's own.
    assert "vagrant" in host.said[0]
    assert "101 packages, 406 MB" in host.said[1]


def test_an_ordinary_user_is_asked_once_for_everything(tmp_path):
    user = {"user": "nobody-here", "sudo": "passwordless"}
    tools = {**READY.programs, "newuidmap": "/usr/bin/newuidmap"}
    denied = Engine(reachable=False, problem="permission denied while trying to connect")
    host = Host(
        replace(CLEAN, **user),
        replace(STOPPED, programs=tools, **user),
        replace(READY, programs=tools, engine=denied, **user),
        replace(READY, programs=tools, **user),
        consent=Consent.ASK,
    )
    records = host.ensure(tmp_path)
    (question,) = host.asked
    for part in ("vagrant", "docker engine", "group docker", "as powerful as root"):
        assert part in question
    assert [record.did for record in records] == ["installed", "started", "added"]
    assert all(line.startswith("sudo -n ") for line in host.ran)
    assert records[2].undo == "sudo gpasswd -d nobody-here docker"


def test_a_no_changes_nothing(tmp_path):
    host = Host(CLEAN, consent=Consent.ASK, answer=False)
    with pytest.raises(HostLacksError, match="nothing was changed") as refused:
        host.ensure(tmp_path)
    assert host.ran == []
    assert "apt-get install" in refused.value.remedy


@pytest.mark.parametrize(
    ("facts", "consent", "reason"),
    [
        (CLEAN, Consent.REFUSED, "NO_INSTALL"),
        (CLEAN, Consent.NOBODY_TO_ASK, "YES=1"),
        (replace(CLEAN, sudo="none"), Consent.GIVEN, "not root"),
        (replace(CLEAN, sudo="password"), Consent.GIVEN, "not root"),
        (replace(CLEAN, release=("fedora", "43")), Consent.GIVEN, "nothing is set up for you"),
        (replace(CLEAN, release=("debian", "11")), Consent.GIVEN, "nothing is set up for you"),
    ],
)
@pytest.mark.parametrize("engine_optional", [False, True])
def test_without_consent_or_elsewhere_nothing_is_changed(
    tmp_path, facts, consent, reason, engine_optional
):
    host = Host(facts, consent=consent)
    with pytest.raises(HostLacksError, match=reason) as refused:
        host.ensure(tmp_path, engine_optional=engine_optional)
    assert host.ran == []
    assert "vagrant" in refused.value.remedy
    assert not (tmp_path / "state").exists()


def test_what_the_archive_lacks_stops_set_up_before_anything_is_installed(tmp_path):
    host = Host(replace(CLEAN, release=("ubuntu", "24.04"), archive_lacks=("vagrant",)))
    with pytest.raises(HostLacksError, match="does not have vagrant") as refused:
        host.ensure(tmp_path)
    assert len(host.ran) == 1
    assert host.ran[0].endswith(" update")
    assert "releases.hashicorp.com" in refused.value.remedy


def test_a_failed_installation_is_the_hosts_lack_and_leaves_no_record(tmp_path):
    host = Host(CLEAN, fails="install -y")
    with pytest.raises(HostLacksError, match="Installing vagrant") as refused:
        host.ensure(tmp_path)
    assert "E: no" in refused.value.details
    assert read_records(tmp_path / "state") == ()


def test_virtualbox_is_never_installed_for_the_user(tmp_path):
    host = Host(READY)
    with pytest.raises(HostLacksError, match="VBoxManage"):
        host.ensure(tmp_path, provider="virtualbox")
    assert host.ran == []


def test_a_host_with_libvirt_running_and_a_pool_costs_nothing(tmp_path):
    host = Host(LIBVIRT_READY)
    assert host.ensure(tmp_path, provider=LIBVIRT) == ()
    assert (host.ran, host.said) == ([], [])


def test_libvirt_and_its_logger_are_started_by_hand_without_an_init(tmp_path):
    host = Host(LIBVIRT_STOPPED, POOL_MISSING, LIBVIRT_READY)
    records = host.ensure(tmp_path, provider=LIBVIRT)
    logger, daemon, *pool = host.ran
    assert "--exec=/usr/sbin/virtlogd" in logger
    assert "--exec=/usr/sbin/libvirtd" in daemon
    assert "--config" not in daemon
    assert [line.split()[3] for line in pool] == [
        "pool-define-as",
        "pool-build",
        "pool-start",
        "pool-autostart",
    ]
    assert [(record.did, record.what[0]) for record in records] == [
        ("started", "virtlogd"),
        ("started", "libvirtd"),
        ("made", "pool"),
    ]
    assert "--pidfile=/run/libvirtd.pid" in records[1].undo
    assert "pool-undefine default" in records[2].undo


def test_libvirt_is_started_by_systemd_where_that_is_the_init(tmp_path):
    systemd = {"systemd": True}
    host = Host(replace(LIBVIRT_STOPPED, **systemd), replace(LIBVIRT_READY, **systemd))
    (record,) = host.ensure(tmp_path, provider=LIBVIRT)
    assert host.ran == ["systemctl start libvirtd"]
    assert record.undo.startswith("systemctl stop libvirtd.socket")


def test_an_ordinary_user_joins_the_group_libvirt_and_gets_the_pool_by_root(tmp_path):
    tools = {**LIBVIRT_READY.programs, "newuidmap": "/usr/bin/newuidmap"}
    user = {"user": "nobody-here", "sudo": "passwordless", "programs": tools}
    denied = Libvirt("qemu:///system", "default", problem=VIRSH["not in the group"]["stderr"])
    host = Host(
        replace(LIBVIRT_STOPPED, **user),
        replace(LIBVIRT_READY, **{**user, "libvirt": denied}),
        replace(LIBVIRT_READY, **user),
        consent=Consent.ASK,
    )
    records = host.ensure(tmp_path, provider=LIBVIRT)
    (question,) = host.asked
    for part in ("libvirt to be started", "pool default", "group libvirt", "powerful as root"):
        assert part in question
    assert [record.did for record in records] == ["started", "started", "added", "made"]
    assert all(line.startswith("sudo -n ") for line in host.ran)
    # Without a system bus there is no polkit: the socket is the group's.
    (daemon,) = [line for line in host.ran if "libvirtd.pid" in line]
    assert daemon.endswith(f"--config={tmp_path}/state/libvirtd.conf")
    assert (tmp_path / "state/libvirtd.conf").read_text() == CONFIG


def test_a_pool_that_is_not_active_is_started_and_one_with_a_name_is_left_to_its_owner(tmp_path):
    inactive = replace(LIBVIRT_READY.libvirt.pool, active=False)
    stopped = replace(LIBVIRT_READY, libvirt=replace(LIBVIRT_READY.libvirt, pool=inactive))
    host = Host(stopped, LIBVIRT_READY)
    (record,) = host.ensure(tmp_path, provider=LIBVIRT)
    assert host.ran == ["virsh --connect qemu:///system pool-start default"]
    assert record.undo == "virsh --connect qemu:///system pool-destroy default"
    named = replace(LIBVIRT_READY.libvirt, pool=None, pool_name="fast")
    host = Host(replace(LIBVIRT_READY, libvirt=named))
    assert host.ensure(tmp_path / "other", provider=LIBVIRT) == ()
    assert host.ran == []


def test_a_clean_host_gets_what_libvirts_machines_need(tmp_path):
    clean = replace(LIBVIRT_STOPPED, programs={"apt-cache": "/usr/bin/apt-cache"})
    host = Host(clean, LIBVIRT_READY)
    (installed,) = host.ensure(tmp_path, provider=LIBVIRT)
    wanted = {"vagrant-libvirt", "libvirt-daemon-system", "qemu-system-x86", "dnsmasq-base"}
    assert wanted <= set(installed.what)
    assert "ovmf" not in installed.what
    assert "docker.io" not in installed.what


def test_without_consent_a_libvirt_that_does_not_run_is_exit_3_with_the_command(tmp_path):
    host = Host(LIBVIRT_STOPPED, consent=Consent.REFUSED)
    with pytest.raises(HostLacksError, match="libvirt is not running") as refused:
        host.ensure(tmp_path, provider=LIBVIRT)
    assert "libvirtd --daemon" in refused.value.remedy
    assert host.ran == []


def test_nothing_is_started_here_for_the_libvirt_of_another_host(tmp_path):
    away = replace(LIBVIRT_STOPPED.libvirt, uri="qemu+ssh://ann@big/system")
    host = Host(replace(LIBVIRT_STOPPED, libvirt=away))
    assert host.ensure(tmp_path, provider=LIBVIRT) == ()
    assert host.ran == []


def test_only_the_very_daemons_that_were_started_here_are_stopped(tmp_path, monkeypatch):
    pids = {"virtlogd": "11", "libvirtd": "12"}
    monkeypatch.setattr(setup_services, "pid_of", lambda daemon: pids.get(daemon.program, ""))
    for program, pid in (("virtlogd", "11"), ("libvirtd", "99")):
        record = SetupRecord("2026-11-23T05:00:00Z", "started", (program, f"pid={pid}"), "")
        append_record(tmp_path, record)
    host = Host(LIBVIRT_READY)
    settings = Settings(tmp_path, tmp_path, tmp_path)
    means = Admin(
        Context(host, FakeClock(0.0, now=NOW), settings, host.said.append), lambda: LIBVIRT_READY
    )
    stop_started(means)
    (stopped,) = host.ran
    assert "--stop" in stopped
    assert "--exec=/usr/sbin/virtlogd" in stopped
    stop_started(means)
    assert len(host.ran) == 1


def test_an_engine_that_does_not_come_up_is_exit_3_with_its_log(tmp_path):
    host = Host(STOPPED)
    with pytest.raises(HostLacksError, match="does not answer within 60s") as refused:
        host.ensure(tmp_path)
    assert "dockerd.log" in refused.value.remedy
    assert read_records(tmp_path / "state") == ()


def test_tests_go_on_where_no_engine_can_run_and_say_so(tmp_path):
    caged = replace(STOPPED, missing_capabilities=("CAP_SYS_ADMIN",))
    host = Host(caged)
    assert host.ensure(tmp_path, engine_optional=True) == ()
    assert "no CAP_SYS_ADMIN" in host.said[0]
    assert "skipped" in host.said[-1]
    with pytest.raises(HostLacksError):
        host.ensure(tmp_path)


def test_a_docker_host_that_does_not_answer_is_not_replaced_by_an_engine_of_ours(tmp_path):
    host = Host(replace(STOPPED, docker_host="tcp://elsewhere:2376"))
    with pytest.raises(HostLacksError, match="tcp://elsewhere:2376"):
        host.ensure(tmp_path)
    assert host.ran == []


@pytest.mark.parametrize(
    ("environ", "root", "terminal", "consent"),
    [
        ({}, True, False, Consent.GIVEN),
        ({"CI": "true"}, False, False, Consent.GIVEN),
        ({"YES": "1"}, False, True, Consent.GIVEN),
        ({}, False, True, Consent.ASK),
        ({}, False, False, Consent.NOBODY_TO_ASK),
        ({"NO_INSTALL": "1", "CI": "true", "YES": "1"}, True, True, Consent.REFUSED),
    ],
)
def test_consent_is_what_the_environment_says(environ, root, terminal, consent):
    assert consent_of(environ, root=root, terminal=terminal) is consent


def test_a_record_cut_short_by_a_full_disk_hides_no_other(tmp_path):
    whole = SetupRecord("2026-11-23T05:00:00Z", "installed", ("vagrant",), "apt-get purge vagrant")
    append_record(tmp_path, whole)
    with (tmp_path / "host.jsonl").open("a") as stream:
        stream.write('{"time": "2026-11-23T05:0\n')
    append_record(tmp_path, replace(whole, did="started"))
    assert [record.did for record in read_records(tmp_path)] == ["installed", "started"]


def report(facts, records=()):
    choice = ProviderChoice("docker", "the reason")
    found = problems(facts, "docker", LabNeeds())
    return HostReport(facts, choice, LabNeeds(), found, tuple(records))


def test_the_report_of_a_ready_host_says_so_and_lists_what_was_set_up():
    record = SetupRecord("2026-11-23T05:00:00Z", "installed", ("vagrant",), "apt-get purge vagrant")
    text = "\n".join(describe(report(READY, [record])))
    assert "Debian GNU/Linux 12 (bookworm)" in text
    assert "docker: the reason" in text
    assert "2.3.4 (/usr/bin/vagrant)" in text
    assert "ready       for a lab of 1 controller, 2 workers" in text
    assert "installed vagrant" in text
    assert "undo: apt-get purge vagrant" in text


def test_the_report_of_a_clean_host_says_what_is_missing_and_how_to_get_it():
    clean = report(CLEAN)
    text = "\n".join(describe(clean))
    assert not clean.ready
    assert "not ready" in text
    assert "apt-get install --no-install-recommends vagrant" in text
    assert "\nready" not in text
