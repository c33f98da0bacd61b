from __future__ import annotations

import json
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.context import Context, silent
from harness.base.errors import HostLacksError
from harness.base.run_id import RunId
from harness.base.settings import Settings
from harness.lab import leftovers, listing
from harness.providers.libvirt import box_volumes, virsh
from harness.providers.libvirt import sweep as libvirt_sweep
from harness.providers.libvirt.sweep import RELEASE_SECONDS
from harness.providers.libvirt.virsh import Libvirt, LibvirtError, mac_of
from harness.providers.libvirt.virsh_output import (
    Volume,
    parse_console,
    parse_disks,
    parse_domains,
    parse_network,
    parse_physical,
    parse_volumes,
)
from harness.providers.registry import connections
from harness.state import owner, records
from harness.state.entries import LabState
from harness.state.networks import Network
from harness.state.owner import Owner, owner_mark
from harness.testing import FakeClock
from tests.unit.paths import UNIT

RECORDED = UNIT / "recordings" / "libvirt"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
# The state folder of the lab that was recorded.
LABS = Path("/home/user/.local/state/k0s-harness/labs")
NAT = Network("k5-zhwuk4-nat", "k5-zhwuk4n", "172.30.66.0/24")


def recorded(name):
    return (RECORDED / name).read_text()


class Virsh:
    """Answers with recordings: by the first word after the options, what is printed, or an error.

    An answer may be several, one after another; the last stays.
    """

    def __init__(self, **answers):
        self.answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self.calls = []

    def run(self, argv, *, doing, **options):
        if argv[0] != "virsh":
            raise HostLacksError(doing, f"there is no program {argv[0]}")
        assert argv[1:3] == ["--quiet", "--connect"]
        assert options["env"]["LC_ALL"] == "C"
        words = argv[4:]
        self.calls.append(" ".join(words))
        answer = self.answers.get(words[0], "")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer.startswith("error: "):
            return Completed(tuple(argv), 1, "", answer, 0.1)
        return Completed(tuple(argv), 0, answer, "", 0.1)

    def named(self, command):
        return [call for call in self.calls if call.startswith(command + " ")]


def a_lab(**more):
    """Virsh on the host that was recorded, as long as nothing is removed."""
    return Virsh(
        **{
            "list": recorded("list.txt"),
            "net_list": recorded("net-list.txt"),
            "net_dumpxml": recorded("network-nat.xml"),
            "pool_list": recorded("pool-list.txt"),
            "vol_list": recorded("vol-list.txt"),
            "dumpxml": recorded("domain.xml"),
            **more,
        }
    )


# --- what virsh prints ----------------------------------------------------------------------------


def test_a_network_is_read_with_its_bridge_and_subnet():
    found = parse_network(recorded("network-nat.xml"))
    assert (found.name, found.bridge) == (NAT.name, NAT.bridge)
    assert found.subnets == (IPv4Network(NAT.subnet),)
    default = parse_network(recorded("network-default.xml"))
    assert default.subnets == (IPv4Network("192.168.122.0/24"),)


def test_volumes_are_read_with_and_without_the_tables_heading():
    expected = (
        "k0s-harness-VAGRANTSLASH-debian12_vagrant_box_image_0.20261123.1_box.img",
        "k5-zhwuk4-controller0.img",
    )
    assert parse_volumes(recorded("vol-list.txt")) == expected
    assert parse_volumes(recorded("vol-list-table.txt")) == expected


def test_a_domains_own_disk_and_console_are_read_and_not_the_boxs_image():
    assert parse_disks(recorded("domain.xml")) == (
        "/var/lib/libvirt/images/k5-zhwuk4-controller0.img",
    )
    assert parse_console(recorded("domain.xml")) == f"{LABS}/k5-zhwuk4/controller0.console"


def test_the_length_of_a_volumes_file_is_read():
    assert parse_physical(recorded("vol-info.txt")) == 10616832
    assert parse_physical("") is None


def test_a_domain_and_a_network_say_whose_they_are():
    (domain,) = parse_domains(recorded("list.txt"))
    network = parse_network(recorded("network-private.xml"))
    for found in (domain, network):
        assert found.uuid == owner_mark(found.name, user="root", state_folder=LABS)
        assert found.uuid != owner_mark(found.name, user="somebody", state_folder=LABS)
        assert found.uuid != owner_mark(found.name, user="root", state_folder=Path("/elsewhere"))


# --- what is made ---------------------------------------------------------------------------------


def test_the_nat_network_hands_each_machine_its_address_and_a_way_out_that_leads_nowhere():
    mark = owner_mark(NAT.name, user="root", state_folder=LABS)
    xml = virsh.nat_network_xml(NAT, {"52:54:00:f6:a9:d4": "172.30.66.10"}, mark=mark)
    # What libvirt made of it, beside what it added of its own.
    kept = element(recorded("network-nat.xml"))
    kept.remove(kept.find("mac"))
    del kept.attrib["connections"]
    assert shape(element(xml)) == shape(kept)
    assert kept.find("forward") is None


def test_the_private_network_hands_out_nothing():
    network = Network("k5-zhwuk4-private", "k5-zhwuk4p", "192.168.58.0/24")
    mark = owner_mark(network.name, user="root", state_folder=LABS)
    kept = element(recorded("network-private.xml"))
    kept.remove(kept.find("mac"))
    del kept.attrib["connections"]
    assert shape(element(virsh.private_network_xml(network, mark=mark))) == shape(kept)
    assert kept.find("ip/dhcp") is None


def element(xml):
    return ET.fromstring(xml)  # noqa: S314  # recordings, and what the harness writes


def shape(node):
    return (node.tag, dict(node.attrib), (node.text or "").strip(), [*map(shape, node)])


def test_mac_addresses_are_stable_local_and_differ():
    macs = [
        mac_of(run, machine, network)
        for run in ("k5-abc123", "k5-abc124")
        for machine in ("controller0", "worker0", "worker1")
        for network in ("nat", "private")
    ]
    assert len(set(macs)) == len(macs)
    assert mac_of("k5-zhwuk4", "controller0", "nat") == "52:54:00:f6:a9:d4"
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in macs)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "sentence"),
    [
        (
            "no-daemon.txt",
            "Failed to connect socket to '/run/libvirt/nope': No such file or directory",
        ),
        (
            "no-host.txt",
            "Cannot recv data: ssh: Could not resolve hostname nowhere.invalid",
        ),
    ],
)
def test_a_daemon_that_is_away_is_a_sentence(recording, sentence):
    with pytest.raises(LibvirtError) as raised:
        Libvirt(Virsh(list=recorded(recording)), "qemu:///system").domains()
    assert f"no connection to libvirt at qemu:///system: {sentence}" in raised.value.happened
    assert "k0s-harness doctor" in raised.value.remedy


def test_libvirts_own_reason_is_the_sentence():
    virsh = Libvirt(Virsh(net_create=recorded("network-exists.txt")))
    with pytest.raises(LibvirtError, match="network is already active as 'k5-zzzzzz-nat'"):
        virsh.create_network("<network/>")


def test_a_daemon_that_hangs_is_given_up():
    class Hanging:
        def run(self, argv, *, doing, deadline, **_):
            raise CommandFailedError(
                doing, Completed(tuple(argv), -9, "", "", deadline), timed_out=True
            )

    with pytest.raises(LibvirtError, match="gave no answer within 15s"):
        Libvirt(Hanging()).pools()


@pytest.mark.parametrize(
    ("command", "recording", "change"),
    [
        ("destroy", "no-domain.txt", lambda virsh: virsh.stop_domain("nope")),
        ("destroy", "domain-not-running.txt", lambda virsh: virsh.stop_domain("k5-zzzzzz-d")),
        ("undefine", "domain-transient.txt", lambda virsh: virsh.undefine_domain("k5-zzzzzz-t")),
        ("net_destroy", "no-network.txt", lambda virsh: virsh.destroy_network("nope")),
        ("net_destroy", "network-not-active.txt", lambda virsh: virsh.destroy_network("default")),
        ("net_undefine", "network-transient.txt", lambda virsh: virsh.destroy_network("k5-z")),
        ("vol_delete", "no-volume.txt", lambda virsh: virsh.delete_volume(Volume("p", "nope"))),
        ("vol_delete", "no-pool.txt", lambda virsh: virsh.delete_volume(Volume("nope", "v"))),
    ],
)
def test_what_is_not_there_is_as_good_as_removed(command, recording, change):
    host = Virsh(**{command: recorded(recording)})
    change(Libvirt(host))
    assert host.named(command.replace("_", "-"))
    away = Libvirt(Virsh(**{command: recorded("no-daemon.txt")}))
    with pytest.raises(LibvirtError, match="no connection"):
        change(away)


def test_the_users_own_connection_is_the_one_that_is_asked(monkeypatch):
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    assert Libvirt(Virsh()).uri == "qemu:///system"
    assert Libvirt(Virsh()).is_local
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu+ssh://root@build/system")
    assert Libvirt(Virsh()).uri == "qemu+ssh://root@build/system"
    assert not Libvirt(Virsh()).is_local


# --- removing -------------------------------------------------------------------------------------


def sweep(host, run_id="k5-zhwuk4"):
    # Another host's: nothing on this one is looked at.
    virsh = Libvirt(host, "qemu+ssh://build/system")
    clock = FakeClock(0.0)
    whose = Owner(RunId(run_id), "root", LABS)
    context = Context(host, clock, Settings(LABS, LABS, LABS))
    problems = libvirt_sweep.sweep(virsh, whose, silent, context=context)
    return problems, clock.at


def test_all_that_is_named_after_the_run_goes_and_nothing_else():
    host = a_lab(
        list=[recorded("list.txt")] * 3 + [""],
        net_list=[recorded("net-list.txt"), "default\n"],
        vol_list=[recorded("vol-list.txt"), ""],
    )
    problems, _ = sweep(host)
    assert problems == []
    changes = [call for call in host.calls if "list" not in call and "dumpxml" not in call]
    assert [call.split(" --")[0] for call in changes] == [
        "destroy k5-zhwuk4-controller0",
        "vol-delete k5-zhwuk4-controller0.img",
        "undefine k5-zhwuk4-controller0",
        "net-destroy k5-zhwuk4-nat",
        "net-undefine k5-zhwuk4-nat",
        "net-destroy k5-zhwuk4-nat",
        "net-undefine k5-zhwuk4-nat",
    ]


def test_a_machine_that_appears_after_the_first_look_is_removed_too():
    # The daemon carries a killed client's request out.
    host = a_lab(
        list=["", "", "", recorded("list.txt"), recorded("list.txt"), ""],
        net_list="default\n",
        vol_list="",
    )
    problems, _ = sweep(host)
    assert problems == []
    assert host.named("destroy") == ["destroy k5-zhwuk4-controller0"]
    assert host.named("undefine")


def test_what_libvirt_does_not_let_go_of_is_said_within_a_bound():
    host = a_lab(net_destroy=recorded("no-daemon.txt"))
    problems, seconds = sweep(host)
    assert [problem.split(":")[0] for problem in problems] == ["networks"]
    assert host.named("undefine")
    assert seconds <= RELEASE_SECONDS + 1


def libvirt_record(labs_dir, monkeypatch):
    record = records.make_record(
        # Not that of the recordings: what a live lab of that name has here is looked for.
        run_id=RunId("k5-abc123"),
        scenario="konnectivity-off",
        provider="libvirt",
        labs_dir=labs_dir,
        machines=("controller0",),
        private=IPv4Network("192.168.56.0/24"),
        nat=IPv4Network(NAT.subnet),
        created=NOW,
        libvirt_uri="qemu+ssh://build/system",
    )
    records.claim(record).release()
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu:///system")
    return record


def clean(settings, host):
    return leftovers.clean(Context(host, FakeClock(0.0), settings), silent)


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=tmp_path, cache_dir=tmp_path, runs_dir=tmp_path)


def test_a_lab_whose_daemon_is_away_keeps_its_record_for_the_next_clean(settings, monkeypatch):
    record = libvirt_record(settings.labs_dir, monkeypatch)
    (removal,) = clean(settings, Virsh(list=recorded("no-daemon.txt")))
    (problem,) = removal.problems
    assert problem.startswith("machines: ")
    assert "no connection to libvirt at qemu+ssh://build/system" in problem
    assert records.read(record.folder, connections()) == record


def test_a_lab_is_removed_where_it_was_made(settings, monkeypatch):
    record = libvirt_record(settings.labs_dir, monkeypatch)
    assert record.libvirt_uri == "qemu+ssh://build/system"
    uris = set()

    class Noting(Virsh):
        def run(self, argv, **options):
            if "net-list" in argv:
                uris.add(argv[3])
            return super().run(argv, **options)

    (removal,) = clean(settings, Noting())
    assert removal.problems == ()
    # The other one is where labs without a record are looked for.
    assert uris == {"qemu+ssh://build/system", "qemu:///system"}
    assert not record.folder.exists()


def test_records_from_before_there_was_libvirt_are_read(settings, monkeypatch):
    record = libvirt_record(settings.labs_dir, monkeypatch)
    path = record.folder / "record.json"
    data = json.loads(path.read_text())
    del data["libvirt_uri"]
    path.write_text(json.dumps(data))
    assert records.read(record.folder, connections()).libvirt_uri is None


# --- finding --------------------------------------------------------------------------------------


def labs_seen(labs_dir, host):
    found = listing.list_labs(labs_dir, host, now=NOW)
    return {entry.run_id: (entry.state, entry.provider) for entry in found}


def test_labs_without_a_record_are_found_by_their_mark(monkeypatch):
    monkeypatch.setattr(owner, "current_user", lambda: "root")
    # All networks have the one recording's name and mark here.
    assert labs_seen(LABS, a_lab()) == {"k5-zhwuk4": (LabState.DEAD, "libvirt")}


def test_on_another_host_a_mark_proves_nothing_without_a_record(monkeypatch):
    # A third host may have the same user and folder, and a live run in them.
    monkeypatch.setattr(owner, "current_user", lambda: "root")
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu+ssh://build/system")
    foreign = {"k5-zhwuk4": (LabState.FOREIGN, "libvirt")}
    assert labs_seen(LABS, a_lab()) == foreign


def test_another_users_machines_and_images_without_any_are_foreign(monkeypatch):
    monkeypatch.setattr(owner, "current_user", lambda: "somebody")
    foreign = {"k5-zhwuk4": (LabState.FOREIGN, "libvirt")}
    assert labs_seen(LABS, a_lab()) == foreign
    monkeypatch.setattr(owner, "current_user", lambda: "root")
    assert labs_seen(LABS, a_lab(list="", net_list="default\n")) == foreign


def test_of_a_damaged_record_the_machines_tell_the_provider(settings, monkeypatch):
    monkeypatch.setattr(owner, "current_user", lambda: "root")
    folder = settings.labs_dir / "k5-zhwuk4"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    name = "k5-zhwuk4-controller0"
    mark = owner_mark(name, user="root", state_folder=settings.labs_dir)
    assert labs_seen(settings.labs_dir, Virsh(list=f"{mark} {name}\n")) == {
        "k5-zhwuk4": (LabState.DOUBTFUL, "libvirt")
    }
    assert labs_seen(settings.labs_dir, Virsh()) == {"k5-zhwuk4": (LabState.DOUBTFUL, None)}


# --- the images of boxes --------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path):
    """Vagrant's folder with the box that was recorded, its image as long as the recorded volume."""
    image = tmp_path / "boxes/k0s-harness-VAGRANTSLASH-debian12/0.20261123.1/amd64/libvirt/box.img"
    image.parent.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(10616832)
    return tmp_path


def test_a_box_image_that_was_not_sent_whole_is_removed(home):
    whole = a_lab(vol_info=recorded("vol-info.txt"))
    assert box_volumes.remove_incomplete(Libvirt(whole), "default", home) == ()
    assert whole.named("vol-delete") == []
    (image,) = home.glob("boxes/*/*/*/*/box.img")
    with image.open("ab") as file:
        file.truncate(20_000_000)
    half = a_lab(vol_info=recorded("vol-info.txt"))
    name = "k0s-harness-VAGRANTSLASH-debian12_vagrant_box_image_0.20261123.1_box.img"
    assert box_volumes.remove_incomplete(Libvirt(half), "default", home) == (name,)
    assert half.named("vol-delete") == [f"vol-delete {name} --pool default"]


def test_images_of_boxes_that_are_not_here_stay(tmp_path):
    host = a_lab()
    assert box_volumes.remove_incomplete(Libvirt(host), "default", tmp_path) == ()
    assert host.calls == []
