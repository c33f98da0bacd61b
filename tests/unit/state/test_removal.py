"""What is a run's, and what is only called so: ids, folders, processes, marks."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.base.completed import Completed
from harness.base.errors import HostLacksError, InfrastructureError
from harness.base.run_id import NotARunIdError, RunId
from harness.base.settings import Settings
from harness.base.wait import SystemClock
from harness.host.vm_facts import uri_problem
from harness.images import rootfs
from harness.images.box import cache
from harness.lab import isolation, orphans
from harness.providers.docker.engine import Docker, Labelled, ObjectKind
from harness.providers.docker.machines import volume_labels
from harness.providers.vagrant import mark
from harness.ssh import files as ssh_files
from harness.state import removal
from harness.state.networks import Network, Networks, host_table
from harness.state.owner import machine_name, owner_mark
from harness.state.removal import NotOursError, remove_folder

RUN = RunId("k5-abc123")
NO_IDS = [
    "",
    "k5-",
    "k5-abc12",
    "k5-abc1234",
    "k5-ABC123",
    "K5-abc123",
    "k5_abc123",
    "k5-abc123\n",
    " k5-abc123",
    "k5-abc12\u0663",
    "k5-abc12\u00e9",
    "k5-../..",
    "/k5-abc123",
    "../any",
    "k5-abc123/x",
    "k5-abc123\0",
]

# --- ids ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NO_IDS)
def test_nothing_is_computed_from_a_text_that_is_no_id(text):
    assert RunId.parse(text) is None
    for computes in (
        RunId,
        ssh_files.socket_dir,
        host_table,
        lambda text: machine_name(text, "worker0"),
        lambda text: removal.remove_lab(Path("/nowhere"), text),
    ):
        with pytest.raises(NotARunIdError, match="no lab's id"):
            computes(text)


@given(st.text(alphabet="k5-0a9zA/.\n\0\u0663", max_size=12))
def test_an_id_is_its_six_letters_and_nothing_else(text):
    assert (RunId.parse(text) is not None) == bool(re.fullmatch(r"k5-[0-9a-z]{6}", text, re.ASCII))


@pytest.mark.parametrize(
    ("name", "of", "of_machine"),
    [
        ("k5-abc123-worker0", RUN, RUN),
        ("k5-abc123-nat", RUN, RUN),
        ("k5-abc123-worker0.img", RUN, None),
        ("k5-abc123-", RUN, None),
        ("k5-abc123-a/b", RUN, None),
        ("k5-abc123-a b", RUN, None),
        ("k5-abc123", None, None),
        ("k5-abc1234-worker0", None, None),
        ("xk5-abc123-worker0", None, None),
        ("k5-ABC123-worker0", None, None),
    ],
)
def test_a_name_says_of_which_run_it_is(name, of, of_machine):
    assert RunId.of(name) == of
    assert RunId.of_machine(name) == of_machine


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def parent(tmp_path):
    (tmp_path / "labs").mkdir()
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").write_text("precious")
    return tmp_path / "labs"


def test_a_folder_goes_with_its_links_and_not_with_what_they_lead_to(parent):
    (parent / "k5-abc123" / "deep").mkdir(parents=True)
    (parent / "k5-abc123" / "deep" / "file").write_text("")
    (parent / "k5-abc123" / "link").symlink_to(parent.parent / "else")
    remove_folder(parent, "k5-abc123")
    assert list(parent.iterdir()) == []
    assert (parent.parent / "else" / "file").read_text() == "precious"
    # Nothing to remove is as good as removed.
    remove_folder(parent, "k5-abc123")
    remove_folder(parent / "nowhere", "k5-abc123")


@pytest.mark.parametrize("name", ["", ".", "..", "../else", "a/b", "/etc", "a\0"])
def test_what_is_no_name_of_a_folder_is_refused(parent, name):
    with pytest.raises(NotOursError, match="no name of a folder"):
        remove_folder(parent, name)
    assert (parent.parent / "else" / "file").exists()


@pytest.mark.parametrize("kind", ["a link", "a file", "a pipe"])
def test_what_is_no_folder_stays(parent, kind):
    path = parent / "k5-abc123"
    if kind == "a link":
        path.symlink_to(parent.parent / "else")
    elif kind == "a file":
        path.write_text("precious")
    else:
        os.mkfifo(path)
    with pytest.raises(NotOursError, match=r"symbolic link|no folder"):
        remove_folder(parent, "k5-abc123")
    assert os.path.lexists(path)
    assert (parent.parent / "else" / "file").exists()


def test_another_users_folder_stays(parent, monkeypatch):
    (parent / "k5-abc123").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(NotOursError, match="belongs to the user with the number"):
        remove_folder(parent, "k5-abc123")
    assert (parent / "k5-abc123").is_dir()


@pytest.mark.parametrize("place", ["k5-abc123", "k5-abc123/deep in/it"])
def test_a_folder_in_which_something_is_mounted_stays(parent, monkeypatch, place):
    (parent / place).mkdir(parents=True)
    mounts = parent / "mountinfo"
    written = str(parent.resolve() / place).replace(" ", "\\040")
    mounts.write_text(
        f"22 1 0:20 / /proc rw - proc proc rw\n36 1 8:1 / {written} rw - ext4 /dev/x\n"
    )
    monkeypatch.setattr(removal, "_MOUNTS", mounts)
    with pytest.raises(NotOursError, match="mounted"):
        remove_folder(parent, "k5-abc123")
    assert (parent / place).is_dir()


def test_a_build_folder_that_is_not_this_users_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "else").mkdir()
    rootfs.build_folder().symlink_to(tmp_path / "else")
    with pytest.raises(NotOursError, match="symbolic link"):
        rootfs.remove_build_folder(None)


def test_what_lies_beside_boxes_in_their_folder_stays(tmp_path):
    settings = Settings(tmp_path, tmp_path, tmp_path)
    boxes = cache.boxes_dir(settings)
    for name in ("my-own", "libvirt-1.0", "notes", "partial", "libvirt-0.ab12"):
        (boxes / name).mkdir(parents=True)
    (boxes / "libvirt-0.cd34").symlink_to(boxes / "my-own")
    (boxes / "root.ab12.tar").write_text("")
    (boxes / "root.txt").write_text("")
    cache.remove(settings)
    left = {path.name for path in boxes.iterdir()}
    assert left == {"my-own", "libvirt-1.0", "notes", "libvirt-0.cd34", "root.txt"}


# --- sockets --------------------------------------------------------------------------------------


@pytest.fixture
def sockets(tmp_path, monkeypatch):
    monkeypatch.setattr(ssh_files, "SOCKETS", tmp_path)
    return ssh_files.make_socket_dir(RUN, tmp_path / "labs" / RUN)


def test_a_folder_of_sockets_is_closed_to_others_and_made_again_for_its_lab_only(sockets, tmp_path):
    assert sockets == tmp_path / f"{RUN}.ssh"
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert ssh_files.make_socket_dir(RUN, tmp_path / "labs" / RUN) == sockets
    with pytest.raises(InfrastructureError, match="is not this lab's"):
        ssh_files.make_socket_dir(RUN, tmp_path / "others" / RUN)


def test_a_link_in_the_place_of_sockets_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(ssh_files, "SOCKETS", tmp_path)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "lab").write_text(str(tmp_path / "labs" / RUN))
    (tmp_path / f"{RUN}.ssh").symlink_to(tmp_path / "else")
    with pytest.raises(InfrastructureError, match="is not this lab's"):
        ssh_files.make_socket_dir(RUN, tmp_path / "labs" / RUN)


# --- processes ------------------------------------------------------------------------------------


@pytest.fixture
def sleeper(tmp_path):
    """A process with a run's mark in its environment."""
    started = []

    def start(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys, time; print('up', flush=True); time.sleep(60)"],
            env={**os.environ, **mark(folder)},
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_processes_with_the_runs_own_mark_end_and_those_with_another_stay(sleeper, tmp_path):
    folder = tmp_path / "k5-abc123"
    ours, longer, shorter = (
        sleeper(each) for each in (folder, folder / "more", tmp_path / "k5-abc12")
    )
    orphans.end_orphans(folder, SystemClock())
    assert ours.wait(timeout=10) != 0
    assert longer.poll() is None
    assert shorter.poll() is None


def test_a_process_of_another_user_is_not_ended_whatever_mark_it_has(
    sleeper, tmp_path, monkeypatch
):
    theirs = sleeper(tmp_path / "k5-abc123")
    # As root reads the environment of all.
    monkeypatch.setattr(orphans, "_real_user", lambda _process: os.getuid() + 1)
    orphans.end_orphans(tmp_path / "k5-abc123", SystemClock())
    assert theirs.poll() is None


def test_the_user_who_started_a_process_is_read():
    assert orphans._real_user(Path("/proc/self")) == os.getuid()


# --- docker ---------------------------------------------------------------------------------------


class Printing:
    """Prints one text whatever is asked."""

    def __init__(self, text):
        self.text = text

    def run(self, argv, **_):
        return Completed(tuple(argv), 0, self.text, "", 0.0)


def test_what_stands_in_a_label_cannot_look_like_another_object():
    line = r'["ab","happy","k5-abc123\n[\"cd\",\"k5-abc123-worker0\"]\t","root","/labs"]'
    (thing,) = Docker(Printing(f"{line}\n")).labelled(ObjectKind.CONTAINER)
    run = 'k5-abc123\n["cd","k5-abc123-worker0"]\t'
    assert thing == Labelled(ObjectKind.CONTAINER, "ab", "happy", run, "root", "/labs")


def test_a_container_that_others_are_linked_to_has_its_own_name():
    line = '["ab","k5-abc123-worker0,their/alias","k5-abc123","root","/labs"]\n'
    (thing,) = Docker(Printing(line)).labelled(ObjectKind.CONTAINER)
    assert thing.name == "k5-abc123-worker0"


@pytest.mark.parametrize("text", ["[", "[]", "{}", "[1,2,3,4,5]", '["a","b"]', "null", "WARNING"])
def test_an_answer_of_dockers_that_cannot_be_read_is_a_sentence(text):
    with pytest.raises(InfrastructureError, match="docker's answer cannot be read"):
        Docker(Printing(f"{text}\n")).labelled(ObjectKind.NETWORK)


@pytest.mark.parametrize("folder", ["/labs", "/a, b/labs", '/a "b"/labs'])
def test_a_volume_gets_all_labels_whatever_is_in_them(folder):
    labels = {"run": "k5-abc123", "state": folder}
    (fields,) = csv.reader([volume_labels(labels)])
    assert fields == ["volume-label=run=k5-abc123", f"volume-label=state={folder}"]


# --- the packet filter ----------------------------------------------------------------------------

NETWORKS = Networks(
    nat=Network("k5-abc123-nat", "k5-abc123n", "172.30.64.0/24"),
    private=Network("k5-abc123-private", "k5-abc123p", "192.168.56.0/24"),
)
TABLE = host_table(RUN)
MARK = owner_mark(TABLE, user="root", state_folder=Path("/labs"))


class Nft:
    """A packet filter that has what was loaded."""

    def __init__(self):
        self.tables = {}

    def run(self, argv, *, stdin=None, **_):
        said = ""
        if argv[1] == "--file":
            self.tables[TABLE] = stdin
        elif argv[1:] == ["list", "tables"]:
            said = "".join(f"table inet {name}\n" for name in self.tables)
        elif argv[1:3] == ["list", "counters"]:
            said = self.tables[argv[-1]]
        else:
            del self.tables[argv[-1]]
        return Completed(tuple(argv), 0, said, "", 0.0)


def test_a_table_goes_by_its_mark():
    nft = Nft()
    isolation.install_on_host(nft, TABLE, NETWORKS, mark=MARK)
    other = owner_mark(TABLE, user="somebody", state_folder=Path("/labs"))
    with pytest.raises(isolation.UnmarkedError, match="stays"):
        isolation.remove_from_host(nft, TABLE, mark=other)
    assert TABLE in nft.tables
    isolation.remove_from_host(nft, TABLE, mark=MARK)
    assert nft.tables == {}
    isolation.remove_from_host(nft, TABLE, mark=MARK)


def test_a_host_without_nft_has_no_table():
    class NoNft:
        def run(self, argv, *, doing, **_):
            raise HostLacksError(doing, f"there is no program {argv[0]}")

    isolation.remove_from_host(NoNft(), TABLE, mark=MARK)


# --- the host of libvirt --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu+ssh://build/system",
        "qemu+ssh://ann@build.example:2222/system",
        "qemu+ssh://ann@[fe80::1]/system?keyfile=/home/ann/.ssh/id&no_verify=1",
        "qemu+ssh://build/system?netcat=/usr/bin/nc",
    ],
)
def test_a_libvirt_that_labs_can_be_on_is_taken(uri):
    assert uri_problem(uri) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "qemu+ssh://-oProxyCommand=touch/system",
        "qemu+ssh://%2doProxyCommand=x@build/system",
        "qemu+ssh://a%20b@build/system",
        "qemu+ssh://build/system?command=/any/program",
        "qemu+ssh://build/system?keyfile=id",
        "qemu+ssh://build/system?keyfile=/a%0Ab",
        "qemu+ssh://build:999999/system",
        "qemu+ssh://[/system",
        "qemu:///system\n",
        "qemu:///sys\ttem",
        "qemu+ext:///system?command=/any/program",
        "test:///default",
    ],
)
def test_a_libvirt_that_would_be_reached_by_a_program_of_its_own_is_not(uri):
    assert uri_problem(uri)
