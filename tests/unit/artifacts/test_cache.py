"""What a cache that somebody else wrote to can do: nothing; and what is there already stays."""

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
import threading

import pytest

from harness.artifacts import commands
from harness.artifacts.cache import Cache
from harness.artifacts.importing import import_folder
from harness.artifacts.model import ArtifactKind, Origin, host_arch
from harness.artifacts.pins import load_pins
from harness.artifacts.problems import (
    DamagedEntryError,
    MissingArtifactsError,
    SourceUnavailableError,
)
from harness.artifacts.store import Store
from harness.base.errors import ExitCode, HostLacksError
from harness.base.settings import Settings
from harness.base.wait import SystemClock

ARCH = host_arch()
# An ELF file of this processor begins like this; kubectl's name does not tell which it is for.
MACHINE = {"amd64": 62, "arm64": 183}[ARCH]
ELF = b"\x7fELF".ljust(18, b"\0") + MACHINE.to_bytes(2, "little")
CONTENT = {kind: ELF + f"the released {kind}\n".encode() * 200 for kind in ArtifactKind}


def sha(content):
    return hashlib.sha256(content).hexdigest()


def pins_for(content):
    pins = load_pins()
    return dataclasses.replace(
        pins, sums={(ArtifactKind.K0S, pins.k0s_version, ARCH): sha(content[ArtifactKind.K0S])}
    )


PINS = pins_for(CONTENT)
K0SCTL, KUBECTL, K0S, BUNDLE = REFS = PINS.refs(None, ARCH)


class Web:
    """What can be had over the network: URL to content; it remembers what was asked for."""

    def __init__(self, files=None):
        self.files = files or {}
        self.asked = []

    def _get(self, url):
        self.asked.append(url)
        if url not in self.files:
            raise SourceUnavailableError(url, "is not there")
        return self.files[url]

    def text(self, url):
        return self._get(url).decode()

    def file(self, url, partial, _on_progress, **_):
        partial.write_bytes(self._get(url))


@pytest.fixture
def make_store(tmp_path):
    def make(mirror=None, web=None, pins=PINS, **given):
        cache = given.pop("cache", tmp_path / "cache")
        chosen = Settings(tmp_path / "s", cache, tmp_path / "r", mirror=mirror, **given)
        said = []
        store = Store(chosen, pins, downloader=web or Web(), say=said.append)
        store.said = said
        return store

    return make


@pytest.fixture
def release(tmp_path):
    return lay_out(tmp_path / "release")


def lay_out(folder):
    """Make a mirror folder with the four files."""
    for ref in REFS:
        beside = folder / PINS.mirror_folders(ref)[0]
        beside.mkdir(parents=True, exist_ok=True)
        (beside / ref.file_name).write_bytes(CONTENT[ref.kind])
        with (beside / PINS.checksum_name(ref)).open("a") as sums:
            sums.write(f"{sha(CONTENT[ref.kind])} *{ref.file_name}\n")
    return folder


@pytest.fixture
def flat(tmp_path):
    """The four files and one checksum file in one folder."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for ref in REFS:
        (folder / ref.file_name).write_bytes(CONTENT[ref.kind])
    (folder / "sha256sums.txt").write_text(
        "".join(f"{sha(CONTENT[ref.kind])} *{ref.file_name}\n" for ref in REFS)
    )
    return folder


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache with the four files, to be copied."""
    folder = tmp_path_factory.mktemp("filled")
    store = Store(Settings(folder / "s", folder / "cache", folder / "r"), PINS, say=lambda _: None)
    import_folder(store, lay_out(folder / "release"))
    return folder / "cache"


@pytest.fixture
def full(make_store, filled, tmp_path):
    """A store whose cache has the four files."""
    shutil.copytree(filled, tmp_path / "cache")
    return make_store()


def index_file(store, ref):
    return store.cache.folder / "index" / f"{ref.key}.json"


def rewrite(store, ref, **changes):
    file = index_file(store, ref)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def snapshot(folder):
    """What a reader of the cache could notice of each file; the lock says who had it last."""
    return {
        str(path.relative_to(folder)): (status.st_ino, status.st_mtime_ns, status.st_mode)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
        for status in [path.stat()]
    }


# ---- the index is a stranger's


def test_a_path_in_the_index_leads_nowhere(full, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.write_text("forged")
    for path in (str(theirs), "../../theirs", f"sha256/{sha(b'forged')}/../../../theirs"):
        rewrite(full, K0SCTL, path=path, sha256=sha(b"forged"))
        with pytest.raises(HostLacksError) as caught:
            commands.verify_lines(full)
        assert "the index has it, the file is gone" in caught.value.text()
        assert full.look_in_cache(K0SCTL) is None
        rewrite(full, K0SCTL, path=path, sha256="0" * 64)
        with pytest.raises(HostLacksError):
            commands.verify_lines(full)
    assert theirs.read_text() == "forged"


HOSTILE = {
    "empty": "",
    "half": '{"kind": "k0s',
    "no object": "[]",
    "a number": "1e999",
    "deep": "[" * 10_000 + "]" * 10_000,
    "large": " " * 100_000,
    "no UTF-8": b"\xff\xfe\x00",
    "NaN": '{"kind": NaN}',
    "a kind of another type": {"kind": ["k0s"]},
    "an unknown kind": {"kind": "k9s"},
    "an unknown origin": {"origin": "official\n"},
    "no version": {"version": None},
    "a version with a path": {"version": "../../../../etc"},
    "an absolute file name": {"file_name": "/etc/passwd"},
    "a file name with an escape": {"file_name": "k0sctl\x1b[2J"},
    "a file name beyond all": {"file_name": "k" * 5000},
    "a sum with a path": {"sha256": "../" * 21 + "x"},
    "a sum in capitals": {"sha256": "A" * 64},
    "a sum with a newline": {"sha256": "a" * 64 + "\n"},
    "a sum of other digits": {"sha256": "\u0661" * 64},
    "a sum of another type": {"sha256": 5},
    "a source of another type": {"source": {"a": 1}},
    "a time of another type": {"at": 5},
    "another file's": {"arch": "riscv64"},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_entry_is_a_sentence_and_the_rest_goes_on(full, name):
    file, change = index_file(full, K0SCTL), HOSTILE[name]
    if isinstance(change, dict):
        rewrite(full, K0SCTL, **change)
    else:
        file.write_bytes(change if isinstance(change, bytes) else change.encode())
    before = snapshot(full.cache.folder)
    with pytest.raises(DamagedEntryError, match=r"k0sctl-v0\.31\.0.*cannot be used"):
        full.cache.entry(K0SCTL)
    assert full.look(K0SCTL) is None
    lines = commands.list_lines(full)
    assert any("Reading the cache's index" in line for line in lines)
    assert sum("here since" in line for line in lines) == 3
    with pytest.raises(HostLacksError) as caught:
        commands.verify_lines(full)
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert caught.value.text().count(": intact") == 4, "the file of the damaged entry too"
    assert snapshot(full.cache.folder) == before


def test_an_entry_that_is_a_pipe_or_a_link_is_damaged_and_not_waited_for(full, tmp_path):
    theirs = tmp_path / "theirs.json"
    file = index_file(full, K0SCTL)
    file.rename(theirs)
    file.symlink_to(theirs)
    with pytest.raises(DamagedEntryError, match="it is a link"):
        full.cache.entry(K0SCTL)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DamagedEntryError, match="not a plain file"):
        full.cache.entry(K0SCTL)


def test_a_damaged_entry_of_a_pinned_release_is_made_anew_without_a_way_to_the_network(full):
    index_file(full, K0S).write_text("{")
    before = snapshot(full.cache.folder / "sha256")
    assert full.provide([K0S])[ArtifactKind.K0S].origin is Origin.OFFICIAL
    assert any("cannot be used" in line for line in full.said)
    assert full.cache.damaged() == ()
    assert snapshot(full.cache.folder / "sha256") == before


def test_a_damaged_entry_never_lets_the_release_take_the_place_of_what_may_be_an_own_build(
    full, make_store, release
):
    index_file(full, K0SCTL).write_text("{")
    store = make_store(str(release))
    with pytest.raises(DamagedEntryError) as caught:
        store.provide(REFS)
    assert "--replace-own-builds" in caught.value.text()
    before = snapshot(full.cache.folder / "sha256")
    commands.fetch_lines(store, replace_own_builds=True)
    assert store.cache.damaged() == ()
    assert snapshot(full.cache.folder / "sha256") == before, "taken from where it was"
    assert store.provide(REFS)[ArtifactKind.K0SCTL].origin is Origin.UNVERIFIED


def test_an_import_makes_a_damaged_entry_anew_and_copies_nothing(full, release):
    index_file(full, BUNDLE).write_text("{")
    before = snapshot(full.cache.folder / "sha256")
    import_folder(full, release)
    assert full.cache.damaged() == ()
    assert snapshot(full.cache.folder / "sha256") == before


# ---- what stands in the folder of the contents


def test_verify_hashes_what_the_index_does_not_name_and_removes_only_what_is_damaged(full):
    contents = full.cache.folder / "sha256"
    index_file(full, K0SCTL).unlink()
    damaged = contents / sha(b"what it was") / "k0s-v1.31.0+k0s.0-amd64"
    damaged.parent.mkdir()
    damaged.write_bytes(b"what it is")
    others = [contents / "README", contents / ("A" * 64) / "k0s", contents / "note" / "k0s"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("somebody's")
    with pytest.raises(HostLacksError) as caught:
        commands.verify_lines(full)
    assert "1 of 5 files" in caught.value.text()
    assert f"{damaged}: damaged, and the index does not name it; removed" in caught.value.text()
    assert not damaged.exists()
    assert all(path.read_text() == "somebody's" for path in others)
    assert any("and the index does not name it" in line for line in commands.verify_lines(full))


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_among_the_contents_is_left_alone_and_so_is_where_it_leads(full, tmp_path, what):
    path = full.cache.entry(K0SCTL).path
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / path.name).write_text("theirs")
    if what == "file":
        path.unlink()
        path.symlink_to(theirs / path.name)
    else:
        path.parent.rename(tmp_path / "moved")
        path.parent.symlink_to(theirs)
    with pytest.raises(HostLacksError, match="1 of 4 files") as caught:
        commands.verify_lines(full)
    assert "it is left alone" in caught.value.text()
    assert full.look_in_cache(K0SCTL) is None
    assert (theirs / path.name).read_text() == "theirs"


# ---- whose the cache is


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o757])
@pytest.mark.parametrize("name", [".", "sha256", "index", "partial"])
def test_a_cache_that_others_may_write_to_is_refused_with_the_command_that_mends_it(
    full, release, mode, name
):
    (full.cache.folder / name).chmod(mode)
    for use in (
        lambda: full.provide(REFS),
        lambda: import_folder(full, release),
        lambda: commands.verify_lines(full),
        lambda: commands.list_lines(full),
    ):
        with pytest.raises(HostLacksError, match="may be written to by others") as caught:
            use()
        assert f"chmod -R go-w {full.cache.folder}" in caught.value.text()
    assert full.look(K0S) is None
    (full.cache.folder / name).chmod(0o755)
    assert full.look(K0S) is not None


def test_a_cache_of_somebody_else_is_refused_and_one_of_root_is_not(full, monkeypatch):
    me = os.geteuid()
    monkeypatch.setattr("harness.artifacts.cache.os.geteuid", lambda: me + 1)
    if me == 0:
        assert full.look(K0S) is not None
        os.chown(full.cache.folder, 1234, -1)
    with pytest.raises(HostLacksError, match="belongs to the user with the number"):
        full.provide(REFS)


@pytest.mark.parametrize("name", ["sha256", "index", "partial"])
def test_a_folder_of_the_cache_that_is_a_link_is_refused(full, tmp_path, name):
    (full.cache.folder / name).rename(tmp_path / "elsewhere")
    (full.cache.folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostLacksError, match="is a link, or no folder"):
        full.provide(REFS)


def test_the_cache_itself_may_lie_behind_a_link(full, make_store, tmp_path):
    (tmp_path / "link").symlink_to(full.cache.folder)
    assert make_store(cache=tmp_path / "link").look(K0S) is not None


def test_a_new_cache_is_for_its_user_alone_to_write_to_whatever_the_umask(make_store, release):
    before = os.umask(0)
    try:
        store = make_store()
        import_folder(store, release)
    finally:
        os.umask(before)
    assert len(commands.verify_lines(store)) == 4
    for path in store.cache.folder.rglob("*"):
        assert path.name == "lock" or not path.stat().st_mode & 0o022, path


# ---- what is there already stays as it is

WAYS = ("import a mirror", "import a flat folder", "fetch", "run", "verify", "damaged index")


def go(way, make_store, release, flat):
    if way == "import a mirror":
        import_folder(make_store(), release)
    elif way == "import a flat folder":
        import_folder(make_store(), flat)
    elif way == "fetch":
        commands.fetch_lines(make_store(str(release)), replace_own_builds=True)
    elif way == "run":
        make_store(str(release)).provide(REFS)
    elif way == "verify":
        commands.verify_lines(make_store(str(release)))
    else:
        # Of the pinned release: the next way to come by makes it anew.
        index_file(make_store(), K0S).write_text("{")
        make_store(str(release)).provide(REFS)


@pytest.mark.parametrize("first", WAYS[:4])
def test_no_order_of_imports_and_fetches_touches_a_file_that_is_there(
    make_store, release, flat, first
):
    go(first, make_store, release, flat)
    contents = make_store().cache.folder / "sha256"
    index = make_store().cache.folder / "index"
    before, index_before = snapshot(contents), snapshot(index)
    assert len(before) == 4
    for way in itertools.chain.from_iterable(itertools.permutations(WAYS[:5], 2)):
        go(way, make_store, release, flat)
    assert snapshot(contents) == before
    assert snapshot(index) == index_before, "what the index says has not changed either"
    go("damaged index", make_store, release, flat)
    assert snapshot(contents) == before


def test_an_import_of_what_is_there_changes_nothing_on_disk_at_all(full, release):
    os.utime(full.cache.folder / "partial", ns=(1, 1))
    before = snapshot(full.cache.folder)
    folders = {path: path.stat().st_mtime_ns for path in full.cache.folder.rglob("*/")}
    lines = commands.import_lines(full, release)
    assert len(lines) == 4
    assert snapshot(full.cache.folder) == before
    assert {path: path.stat().st_mtime_ns for path in full.cache.folder.rglob("*/")} == folders
    assert sum("is in the cache already" in line for line in full.said) == 4


def test_an_own_build_that_is_there_is_named_as_one_and_its_file_stays(full, flat):
    before = snapshot(full.cache.folder / "sha256")
    import_folder(full, flat, own_build=True)
    assert full.provide(REFS)[ArtifactKind.K0SCTL].origin is Origin.OWN_BUILD
    assert full.provide(REFS)[ArtifactKind.K0S].origin is Origin.OFFICIAL
    import_folder(full, flat)
    assert full.provide(REFS)[ArtifactKind.K0SCTL].origin is Origin.UNVERIFIED
    assert snapshot(full.cache.folder / "sha256") == before


def test_a_damaged_file_is_replaced_by_an_import(full, release):
    path = full.cache.entry(BUNDLE).path
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    import_folder(full, release)
    assert path.read_bytes() == CONTENT[ArtifactKind.BUNDLE]


def test_a_file_that_is_there_but_damaged_on_the_stick_is_still_a_mistake(full, release):
    (release / "k0sctl/v0.31.0" / K0SCTL.file_name).write_bytes(b"damaged")
    with pytest.raises(HostLacksError, match="1 mistake; nothing was imported"):
        import_folder(full, release)


def test_a_k0s_that_the_user_names_is_used_where_it_lies_and_touches_no_cache(
    full, make_store, tmp_path
):
    binary = tmp_path / "k0s"
    binary.write_bytes(b"mine")
    before = snapshot(tmp_path)
    store = make_store(k0s_binary=binary)
    assert store.provide(REFS)[ArtifactKind.K0S].path == binary
    assert snapshot(tmp_path) == before


def test_whoever_reads_a_file_while_it_is_imported_again_sees_one_file(full, release):
    path = full.cache.entry(K0S).path
    seen = set()
    done = threading.Event()

    def read():
        while not done.is_set():
            status = path.stat()
            seen.add((status.st_ino, status.st_mtime_ns, path.read_bytes()))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            import_folder(full, release)
    finally:
        done.set()
        reader.join()
    assert len(seen) == 1


# ---- plain http


def web_of(root, content=CONTENT, without=()):
    files = {}
    for ref in REFS:
        for folder in PINS.mirror_folders(ref)[:1]:
            url = f"{root}/{folder}/".replace("+", "%2B")
            files[url + ref.file_name.replace("+", "%2B")] = content[ref.kind]
            sums = f"{sha(content[ref.kind])} *{ref.file_name}\n".encode()
            key = url + PINS.checksum_name(ref)
            files[key] = files.get(key, b"") + sums
    return Web({url: text for url, text in files.items() if url not in without})


@pytest.mark.parametrize("root", ["http://mirror.example", "HTTP://me:x@mirror.example/k0s"])
def test_what_no_pin_vouches_for_is_not_taken_over_plain_http(make_store, root):
    web = web_of(root)
    store = make_store(root, web)
    with pytest.raises(MissingArtifactsError) as caught:
        store.provide(REFS)
    text = caught.value.text()
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert [lack.ref for lack in caught.value.lacks] == [K0SCTL, KUBECTL, BUNDLE]
    assert text.count("comes over plain http, and no checksum is committed for it") == 4
    assert "could have changed it, and checksums.txt with it" in text
    for way in ("https URL", "artifacts import DIR", "K0S_HARNESS_ALLOW_UNPINNED=1"):
        assert way in text
    assert not [url for url in web.asked if "mirror.example" in url and "k0sctl" in url]
    assert "me:x" not in text
    assert any("comes over plain http" in line for line in store.said)


def test_what_a_pin_vouches_for_may_come_over_plain_http(make_store):
    web = web_of("http://mirror.example")
    k0s = make_store("http://mirror.example", web).provide([K0S])[ArtifactKind.K0S]
    assert k0s.origin is Origin.OFFICIAL


def test_a_forged_file_over_plain_http_is_refused_though_its_checksum_file_agrees(make_store):
    forged = dict.fromkeys(ArtifactKind, ELF + b"forged")
    web = web_of("http://mirror.example", forged)
    with pytest.raises(HostLacksError) as caught:
        make_store("http://mirror.example", web).provide([K0S])
    assert f"expected {sha(CONTENT[ArtifactKind.K0S])}" in caught.value.text()


def test_plain_http_without_a_pin_is_taken_when_it_is_asked_for_and_named_unverified(make_store):
    web = web_of("http://mirror.example")
    store = make_store("http://mirror.example", web, allow_unpinned=True)
    origins = {kind: each.origin for kind, each in store.provide(REFS).items()}
    assert origins[ArtifactKind.K0S] is Origin.OFFICIAL
    assert origins[ArtifactKind.K0SCTL] is Origin.UNVERIFIED
    assert all(
        "of unverified origin" in line for line in commands.fetch_lines(store) if "k0sctl" in line
    )


def test_https_and_a_folder_need_no_pin(make_store, release):
    web = web_of("https://mirror.example")
    assert len(make_store("https://mirror.example", web).provide(REFS)) == 4
    assert len(make_store(release.as_uri()).provide(REFS)) == 4


def test_what_the_mirror_may_not_give_is_looked_for_at_the_release_hosts(make_store):
    web = web_of("http://mirror.example")
    folder = "https://github.com/k0sproject/k0sctl/releases/download/v0.31.0/"
    web.files[folder + K0SCTL.file_name] = CONTENT[ArtifactKind.K0SCTL]
    web.files[folder + "checksums.txt"] = (
        f"{sha(CONTENT[ArtifactKind.K0SCTL])} *{K0SCTL.file_name}\n".encode()
    )
    k0sctl = make_store("http://mirror.example", web).provide([K0SCTL])[ArtifactKind.K0SCTL]
    assert k0sctl.source.startswith("https://github.com/")


# ---- folders of strangers


@pytest.mark.parametrize("name", ["kubectl", "kubectl.sha256", "sha256sums.txt", "own-builds.txt"])
def test_a_pipe_in_a_folder_to_import_is_not_waited_for(make_store, flat, name):
    (flat / name).unlink(missing_ok=True)
    os.mkfifo(flat / name)
    with pytest.raises(HostLacksError, match="nothing was imported"):
        import_folder(make_store(), flat)


def test_a_checksum_file_without_end_is_a_sentence(make_store, flat):
    (flat / "sha256sums.txt").unlink()
    (flat / "sha256sums.txt").symlink_to("/dev/zero")
    with pytest.raises(HostLacksError, match="nothing was imported") as caught:
        import_folder(make_store(), flat)
    assert "not a plain file" in caught.value.text()


def test_a_file_larger_than_any_release_is_refused(make_store, release):
    file = release / "k0sctl/v0.31.0" / K0SCTL.file_name
    os.truncate(file, PINS.most_bytes(K0SCTL) + 1)
    with pytest.raises(MissingArtifactsError, match="1 of 1") as caught:
        make_store(str(release)).provide([K0SCTL])
    assert f"such a file never has more than {PINS.most_bytes(K0SCTL)}" in caught.value.text()


def test_an_export_follows_no_link_on_a_strange_stick(full, tmp_path):
    stick, theirs = tmp_path / "stick", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("theirs")
    beside = stick / "k0sctl/v0.31.0"
    beside.mkdir(parents=True)
    for name in ("checksums.txt", K0SCTL.file_name, f".{K0SCTL.file_name}.partial"):
        (beside / name).symlink_to(theirs / "file")
    commands.export_lines(full, stick)
    assert (theirs / "file").read_text() == "theirs"
    assert not (beside / "checksums.txt").is_symlink()
    assert (beside / K0SCTL.file_name).read_bytes() == CONTENT[ArtifactKind.K0SCTL]


def test_an_export_leaves_its_folder_for_no_link(full, tmp_path):
    stick, theirs = tmp_path / "stick", tmp_path / "theirs"
    stick.mkdir()
    theirs.mkdir()
    (stick / "k0s").symlink_to(theirs)
    with pytest.raises(HostLacksError, match="is a link to another place"):
        commands.export_lines(full, stick)
    assert not [path for path in theirs.rglob("*") if path.is_file()]


def test_a_lock_that_cannot_be_taken_is_the_hosts_lack(tmp_path):
    cache = Cache(tmp_path / "cache", SystemClock())
    with cache.filling(lambda _: None):
        pass
    (cache.folder / "lock").unlink()
    (cache.folder / "lock").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(HostLacksError, match="Writing to the cache") as lacking,
        cache.filling(print),
    ):
        pytest.fail("it was held")
    assert "K0S_HARNESS_CACHE" in lacking.value.remedy
