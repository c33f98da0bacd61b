"""Whatever somebody wrote, nothing is removed that no run of this user in this state folder made.

Records, labels, domains, sysctl files and the like are made at random, hostile ones among them, in
a folder tree and engines with strangers' things; then the verbs go over them. Every run makes few
of each kind; with `K0S_HARNESS_FUZZ=5000` 5000 of each are made,
which takes about a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.artifacts.commands import verify_lines
from harness.artifacts.store import Store
from harness.base.context import Context
from harness.base.errors import HarnessError, UsageError
from harness.base.run_id import RunId
from harness.cli import labs as verb
from harness.lab.listing import own_labs
from harness.lab.reservation import reserve
from harness.providers.docker import sysctls
from harness.state import records
from harness.state.owner import LABEL_RUN, LABEL_STATE, LABEL_USER, owner_mark
from tests.unit.fuzz import examples
from tests.unit.strangers import DEAD, ELSEWHERE, KEPT, ME, SECRET, SOMEBODY, THEIRS, Thing, World

# Where files cost nothing, on a host that has such a place.
MEMORY = next((place for place in ("/dev/shm",) if os.access(place, os.W_OK)), None)
ID = re.compile(r"k5-[0-9a-z]{6}", re.ASCII)
BRIEF = settings(
    max_examples=examples(8),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

# --- what is made ---------------------------------------------------------------------------------

# Paths are made of these; ROOT becomes the world's folder.
ROOT = "\ue000"
NEW = "k5-nnnnnn"
IDS = [
    *(str(each) for each in (DEAD, KEPT, THEIRS, ELSEWHERE)),
    NEW,
    f"{ROOT}/any/dir",
    f"{ROOT}/any",
    f"{ROOT}/state/labs/{DEAD}",
    "../../any/dir",
    f"{DEAD}/../../../any",
    "..",
    ".",
    "",
    "/",
    "k5-",
    "k5-AAAAAA",
    "k5-backups",
    f"{DEAD}\n",
    f"{DEAD} ",
    f"{DEAD}\0",
    f"{DEAD}\t{ME}",
    "k5-\u0661\u0661\u0661\u0661\u0661\u0661",
    "k5-\uff41bcdef",
    "--all",
    "-rf",
    "\x1b[2J\u202e",
    "k5-" + "a" * 70_000,
]
ODD_TEXT = st.sampled_from(IDS) | st.text(max_size=12)
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ODD_TEXT
    | st.sampled_from(
        [10**40, "2026-11-28", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00+14:00"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3),
    max_leaves=6,
)
VERBS = st.sampled_from(["clean", "clean", "all", "named", "labs", "start"])


def mostly(usual: object, *others: object) -> st.SearchStrategy:
    """Return `usual`, and every tenth time another: one oddity at a time shows most."""
    return st.sampled_from([*[usual] * 9 * len(others), *others])


@contextlib.contextmanager
def world() -> Iterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="removal-", dir=MEMORY))
    made = World(folder)
    try:
        with made.lived_in():
            made.make()
            yield made
    finally:
        shutil.rmtree(folder)


def placed(value: object, root: Path) -> object:
    """Return `value` with the world's folder in it."""
    if isinstance(value, str):
        return value.replace(ROOT, str(root))
    if isinstance(value, list):
        return [placed(each, root) for each in value]
    if isinstance(value, dict):
        return {placed(key, root): placed(each, root) for key, each in value.items()}
    return value


# --- what is done, and what is demanded of it -----------------------------------------------------


def do(made: World, what: str, named: list[str]) -> str:
    """Run one verb and return what it printed; sentences are fine, and nothing else is."""
    said = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        contextlib.suppress(HarnessError),
    ):
        patch.setattr(verb, "LocalRunner", lambda: made.engine)
        patch.setattr(verb, "SystemClock", lambda: made.clock)
        if what == "labs":
            verb.show_labs(made.settings)
        elif what == "start":
            host = Context(made.engine, made.clock, made.settings)
            with reserve(host, scenario="one", provider="docker"):
                pass
        else:
            names = [name for name in named if ID.fullmatch(name)] if what == "named" else []
            verb.clean_labs(made.settings, named=names, kept_too=what == "all")
    return said.getvalue()


def over(made: World, what: str, named: list[str] | None = None) -> None:
    """Let a verb go over the world, and find that all of others is as it was."""
    before = made.snapshot()
    said = do(made, what, named or [])
    assert "\x1b" not in said
    after = made.snapshot()
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert changed == set()
    assert [thing for thing in made.engine.gone if not thing.ours] == []
    inside = {str(folder) for folder in made.own}
    assert all(os.path.dirname(path) in inside for path in made.engine.closed)  # noqa: PTH120
    if what in {"clean", "all"}:
        # What is ours goes all the same, whatever lies beside it.
        assert not os.path.lexists(made.labs / DEAD)
    if what == "labs":
        assert made.engine.gone == []


# --- records --------------------------------------------------------------------------------------

FIELDS = [
    *("run_id", "scenario", "provider", "user", "pid", "pid_started", "created", "folder"),
    *("machines", "networks", "nft_table", "socket_dir", "kept_until", "libvirt_uri", "format"),
    "more",
]
KINDS = ["link", "file", "pipe", "dangling", "theirs"]
CHANGE = st.tuples(
    # What says whose it is most of all.
    st.sampled_from(["run_id", "user", "folder", "socket_dir"]) | st.sampled_from(FIELDS),
    ODD_TEXT | ODD | st.just("gone"),
)
MUTATIONS = st.lists(CHANGE, max_size=2)
RAW = mostly(None, b"", b"{", b"[]", b"\xff", b"[" * 5000, b'{"a":' * 5000)
URIS = [
    "qemu+ssh://-oProxyCommand=x/system",
    "qemu+ssh://build/system?command=/any/dir",
    "qemu+ssh://build/system\n",
    "qemu:///system",
]


@settings(BRIEF, max_examples=examples(15))
@given(
    name=mostly(NEW, THEIRS, ELSEWHERE, "k5-backups", "notes", "k5-\udcff"),
    folder=mostly("folder", *KINDS),
    record=mostly("file", "link", "pipe", "folder", "none", "theirs"),
    raw=RAW,
    changes=MUTATIONS,
    uri=mostly(None, *URIS),
    lock=mostly("none", "file", "link", "pipe", "hard link"),
    what=VERBS,
)
def test_no_record_leads_a_removal_astray(  # noqa: PLR0917  # hypothesis names what it gives
    name, folder, record, raw, changes, uri, lock, what
):
    with world() as made:
        believable = put_folder(made, name, folder)
        if believable:
            content = forged(made, name, raw, changes, uri)
            believable = put_record(made, made.labs / name, record, content) and says_so(
                made, name, content
            )
            put_lock(made, made.labs / name / "lock", lock)
        if believable or (what == "named" and folder == "folder"):
            made.own.add(made.labs / name)
        over(made, what, [name])
        if not believable and what in {"clean", "all"}:
            assert os.path.lexists(made.labs / name)


def put_folder(made: World, name: str, kind: str) -> bool:
    """Lay something at a lab's place; return whether it is a folder of ours."""
    path = made.labs / name
    if kind == "folder":
        path.mkdir(mode=0o700)
        (path / "id").write_text(SECRET)
    elif kind == "link":
        path.symlink_to(made.root / "any" / "dir")
    elif kind == "file":
        path.write_text(SECRET)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to("/nowhere/at/all")
    else:
        path.mkdir(mode=0o700)
        give_away(path)
    return kind == "folder"


def give_away(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, SOMEBODY)
    elif path.is_dir():
        path.rmdir()
        path.symlink_to("/")
    else:
        path.unlink()
        path.symlink_to("/etc/hostname")


def forged(made: World, name: str, raw: bytes | None, changes: list[tuple[str, object]], uri):
    if raw is not None:
        return raw
    record = made.record(DEAD, "libvirt" if uri else "docker")
    data = json.loads(json.dumps(records._to_json(record)).replace(str(DEAD), name))
    data["nft_table"] = f"k0s_harness_{name.replace('-', '_')}"
    if uri:
        data["libvirt_uri"] = uri
    for key, value in changes:
        data[key] = placed(value, made.root)
        if value == "gone":
            del data[key]
    return json.dumps(data).encode()


def put_record(made: World, folder: Path, kind: str, content: bytes) -> bool:
    path = folder / "record.json"
    if kind == "link":
        (made.root / "home" / "record.json").write_bytes(content)
        path.symlink_to(made.root / "home" / "record.json")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "none":
        path.write_bytes(content)
    if kind == "theirs":
        give_away(path)
    return kind == "file"


def put_lock(made: World, path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("run k5-nnnnnn\x1b[2J")
    elif kind == "link":
        path.symlink_to(made.root / "home" / "work" / "file")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "hard link":
        path.hardlink_to(made.root / "home" / "work" / "file")


def says_so(made: World, name: str, content: bytes) -> bool:
    """Return whether a record says what a lab of ours of that name has to say."""
    try:
        said = json.loads(content)
        mine = (said["run_id"], said["user"], said["folder"]) == (name, ME, str(made.labs / name))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return mine and ID.fullmatch(name) is not None


# --- labels ---------------------------------------------------------------------------------------


@st.composite
def labelled(draw) -> Thing:
    kind = draw(st.sampled_from(["container", "network", "volume"]))
    run = draw(ODD_TEXT)
    user = draw(st.sampled_from([ME, ME, "somebody", "", f"{ME}\n"]) | ODD_TEXT)
    state = draw(st.sampled_from([f"{ROOT}/state/labs", f"{ROOT}/state/labs/", "/elsewhere", ""]))
    name = draw(
        st.sampled_from(
            ["happy_turing", f"{run}-worker0", f"{run}-nat", f"{DEAD}-worker0", "a" * 64]
        )
    )
    labels = {LABEL_RUN: run, LABEL_USER: user, LABEL_STATE: state}
    if draw(st.booleans()):
        del labels[draw(st.sampled_from([LABEL_USER, LABEL_STATE]))]
    # Docker's own rule for names; what it would refuse cannot be there.
    name = re.sub(r"[^a-zA-Z0-9_.-]", "", name)[:200] or "x"
    return Thing(kind, name, ours=False, labels=labels)


def is_made_by_us(made: World, thing: Thing) -> bool:
    run = thing.labels[LABEL_RUN]
    named = {
        # Any name that a machine could have: only a record tells which there are.
        "container": re.fullmatch(rf"{re.escape(run)}-[0-9a-z]+", thing.name),
        "network": thing.name == f"{run}-nat",
        "volume": thing.name == "a" * 64,
    }
    return bool(
        ID.fullmatch(run)
        and thing.labels.get(LABEL_USER) == ME
        and thing.labels.get(LABEL_STATE) == str(made.labs)
        and named[thing.kind]
    )


@BRIEF
@given(things=st.lists(labelled(), min_size=1, max_size=4), what=VERBS)
def test_no_label_leads_a_removal_astray(things, what):
    with world() as made:
        for thing in things:
            thing.labels = placed(dict(thing.labels), made.root)
            thing.ours = is_made_by_us(made, thing)
            made.engine.add(thing)
        over(made, what, [str(thing.labels[LABEL_RUN]) for thing in things])


# --- libvirt and VirtualBox -----------------------------------------------------------------------


@st.composite
def unlabelled(draw) -> Thing:
    kind = draw(st.sampled_from(["domain", "libvirt network", "image", "vbox"]))
    run = draw(st.sampled_from([each for each in IDS if len(each) < 100]))
    name = draw(
        st.sampled_from(
            [
                f"{run}-worker0",
                f"{run}-private",
                f"{run}-worker0.img",
                f"{run}-worker0.img of mine",
                f"{run}-../../any/dir",
                f"{run}- x",
                f"{run}",
                " ",
                "--all",
            ]
        )
    )
    # libvirt and VirtualBox refuse slashes and line breaks.
    name = re.sub(r"[/\n\0]", "", name) or "x"
    return Thing(kind, name, ours=draw(st.booleans()))


@BRIEF
@given(
    things=st.lists(unlabelled(), min_size=1, max_size=5),
    record=st.sampled_from([None, "libvirt", "virtualbox"]),
    what=VERBS,
)
def test_no_name_in_a_hypervisor_leads_a_removal_astray(things, record, what):
    with world() as made:
        if record is not None:
            made.engine.add(Thing(f"{record} record", NEW, ours=True))
            claimed = made.record(RunId(NEW), record)
            records.claim(claimed).release()
            made.own.add(claimed.folder)
        for thing in things:
            if thing.ours and thing.kind in {"domain", "libvirt network"}:
                thing.uuid = owner_mark(thing.name, user=ME, state_folder=made.labs)
            made.engine.add(thing)
        domains = {
            thing.name
            for thing in things
            if thing.kind == "domain" and thing.ours and ID.match(thing.name)
        }
        for thing in things:
            thing.ours = may_go(thing, domains, record)
        over(made, what, [NEW, KEPT])


def may_go(thing: Thing, domains: set[str], record: str | None) -> bool:
    """Return whether a thing is proven ours: by its mark, by its name where nothing has one."""
    if thing.kind == "image":
        if record == "libvirt":
            domains = {*domains, f"{NEW}-worker0"}
        return thing.name.removesuffix(".img") in domains
    if thing.kind == "vbox":
        return record == "virtualbox" and thing.name.startswith(f"{NEW}-")
    return thing.ours and ID.match(thing.name) is not None


# --- this host's sysctls --------------------------------------------------------------------------


@BRIEF
@given(
    said=st.dictionaries(
        st.sampled_from(
            [*sysctls.NAMES, "kernel.core_pattern", f"{ROOT}/any/dir/file", "../any/dir/file", ""]
        )
        | ODD_TEXT,
        st.sampled_from(["0", "1", "-1", "60", "1\n2", "|/any/dir", "99999999999999"]) | ODD,
        max_size=5,
    ),
    kind=st.sampled_from(["file", "file", "file", "raw", "link", "pipe", "theirs"]),
    what=st.sampled_from(["clean", "all", "start"]),
)
def test_no_file_of_sysctls_writes_anything_else(said, kind, what):
    with world() as made:
        path = sysctls.reference_path(made.settings.state_dir)
        content = json.dumps(placed(said, made.root))
        if kind == "link":
            (made.root / "home" / "sysctls").write_text(content)
            path.symlink_to(made.root / "home" / "sysctls")
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.write_text("[" * 5000 if kind == "raw" else content)
        if kind == "theirs":
            give_away(path)
        # The last lab has to be gone for them to be put back.
        do(made, "all", [])
        assert own_labs(made.labs) == ()
        known = {
            made.root / "proc" / name.replace(".", "/"): value
            for name, value in said.items()
            if name in sysctls.NAMES and kind == "file"
        }
        assert changed_sysctls(made) <= set(known)
        for changed in changed_sysctls(made):
            assert changed.read_text() == known[changed]
            assert re.fullmatch(r"-?[0-9]{1,10}", changed.read_text())
        over(made, what)


def changed_sysctls(made: World) -> set[Path]:
    files = {path for path in (made.root / "proc").rglob("*") if path.is_file()}
    return {path for path in files if path.read_text() not in {"0\n", "0", "1024\n", "core\n"}}


# --- the cache of release files -------------------------------------------------------------------


@BRIEF
@given(
    sha=st.sampled_from(["0" * 64, "..", "../../any/dir", f"{ROOT}/any/dir"]) | ODD_TEXT,
    place=st.sampled_from([f"{ROOT}/any/dir/file", "../any/dir/file", "sha256/x/../../../any"])
    | ODD_TEXT,
    changes=st.dictionaries(
        st.sampled_from(["kind", "version", "arch", "file_name", "origin", "source", "at"]),
        ODD,
        max_size=2,
    ),
)
def test_no_index_leads_verify_out_of_the_cache(sha, place, changes):
    with world() as made:
        index = made.settings.cache_dir / "index"
        index.mkdir()
        entry = {
            "kind": "k0s",
            "version": "v1.32.3+k0s.0",
            "arch": "amd64",
            "file_name": "k0s-v1.32.3+k0s.0-amd64",
            "sha256": sha,
            "origin": "official",
            "source": "https://example.invalid",
            "at": "2026-11-28T06:00:00+00:00",
            "path": place,
            **changes,
        }
        (index / "k0s.json").write_text(json.dumps(placed(entry, made.root)))
        made.own |= {made.settings.cache_dir, index}
        before = made.snapshot()
        with contextlib.suppress(HarnessError):
            verify_lines(Store(made.settings))
        assert made.snapshot() == before


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [each for each in IDS if not ID.fullmatch(each)])
def test_a_name_that_is_no_lab_is_refused_before_anything_is_removed(name):
    with world() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr(verb, "LocalRunner", lambda: made.engine)
        with pytest.raises(UsageError, match="is no lab's id"):
            verb.clean_labs(made.settings, named=[placed(name, made.root)], kept_too=True)
        assert made.engine.gone == []
