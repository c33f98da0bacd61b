"""Set-up installs and starts only with consent, once, and writes down how to undo it."""

from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path

import pytest

from harness.errors import HostLacksError
from harness.lab.host import LabNeeds
from harness.lab.host import ProviderChoice
from harness.lab.host import problems
from harness.lab.host_facts import Engine
from harness.lab.host_facts import RawHost
from harness.lab.host_facts import facts_from
from harness.lab.host_report import HostReport
from harness.lab.host_report import SetupRecord
from harness.lab.host_report import append_record
from harness.lab.host_report import describe
from harness.lab.host_report import read_records
from harness.lab.setup import Consent
from harness.lab.setup import SetUp
from harness.lab.setup import consent_of
from harness.process import CommandFailedError
from harness.process import Completed
from harness.settings import ProviderName
from harness.settings import Settings

RECORDINGS = Path(__file__).parent / "recordings"
READY = facts_from(RawHost.from_json((RECORDINGS / "host-debian-12.json").read_text()))
# Everything but Python and make: what a clean container has.
STOPPED = replace(
    READY, engine=Engine(reachable=False, problem="Cannot connect to the Docker daemon")
)
CLEAN = replace(STOPPED, programs={"apt-cache": "/usr/bin/apt-cache"})


class Clock:
    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return datetime(2026, 11, 23, 5, 0, tzinfo=UTC)

    def sleep(self, seconds):
        self.seconds += seconds


class Host:
    """A host whose facts change when the right program was run, and what was asked and said."""

    def __init__(self, *states, consent=Consent.GIVEN, answer=True, fails=None):
        self.states = list(states)
        self.consent = consent
        self.answer = answer
        self.fails = fails
        self.ran = []
        self.asked = []
        self.said = []

    def run(self, argv, *, doing, **_):
        self.ran.append(" ".join(argv))
        if self.fails and self.fails in self.ran[-1]:
            raise CommandFailedError(doing, Completed(tuple(argv), 100, "", "E: no", 1.0))
        if len(self.states) > 1 and ("install" in argv or "--start" in argv or "usermod" in argv):
            self.states.pop(0)
        text = (RECORDINGS / "apt-install-debian-12.txt").read_text() if "install" in argv else ""
        return Completed(tuple(argv), 0, text, "", 1.0)

    def ask(self, question):
        self.asked.append(question)
        return self.answer

    def ensure(self, tmp_path, *, provider=None, engine_optional=False):
        settings = Settings(
            state_dir=tmp_path / "state", cache_dir=tmp_path, runs_dir=tmp_path, provider=provider
        )
        set_up = SetUp(
            self,
            settings,
            lambda: self.states[0],
            Clock(),
            self.consent,
            self.said.append,
            self.ask,
        )
        set_up.ensure(engine_optional=engine_optional)
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


def test_a_hypervisor_is_never_installed_unasked(tmp_path):
    host = Host(READY)
    with pytest.raises(HostLacksError, match="virsh"):
        host.ensure(tmp_path, provider=ProviderName.LIBVIRT)
    assert host.ran == []


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
    choice = ProviderChoice(ProviderName.DOCKER, "the reason")
    found = problems(facts, ProviderName.DOCKER, LabNeeds())
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
