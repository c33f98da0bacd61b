"""Downloads from a real HTTP server on this host that misbehaves on request."""

import dataclasses
import hashlib
import http.server
import os
import resource
import subprocess
import sys
import threading
import urllib.parse

import pytest

from harness.artifacts import download, transport
from harness.artifacts.download import HttpDownloader, proxy_for, shown
from harness.artifacts.model import ArtifactKind, Origin, Progress, host_arch
from harness.artifacts.pins import load_pins
from harness.artifacts.problems import DiskFullError, SourceUnavailableError, WrongChecksumError
from harness.artifacts.store import Store
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
from harness.base.wait import SystemClock

CONTENT = bytes(range(256)) * 4096 * 5
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PINS = dataclasses.replace(load_pins(), sums={})
REF = PINS.ref(ArtifactKind.K0S, PINS.k0s_version, host_arch())


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        path = urllib.parse.unquote(self.path)
        server.requests.append((path, self.headers.get("Range")))
        server.headers_seen.append(dict(self.headers))
        if path.endswith("sha256sums.txt"):
            return self.give(server.sums.encode())
        if path.endswith("own-builds.txt") or server.mode == "404":
            return self.send_error(404)
        if server.mode == "503 once" and len(server.file_requests()) == 1:
            return self.send_error(503)
        start = 0
        asked = self.headers.get("Range")
        if asked and server.mode != "no ranges":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(CONTENT):
                return self.send_error(416)
        return self.give(server.content[start:], start)

    def give(self, body, start=0):
        self.send_response(206 if start else 200)
        if start:
            last = start + len(body) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{start + len(body)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        server = self.server
        if len(body) < 100_000:
            self.wfile.write(body)
            return
        if server.mode == "waits":
            server.released.wait(30)
        if server.mode == "breaks often":
            self.wfile.write(body[: max(len(CONTENT) // 6, 100_000)])
            self.close_connection = True
            return
        breaks = {"breaks once": 1, "no ranges": 1, "always breaks": 99}.get(server.mode, 0)
        if len(server.file_requests()) <= breaks:
            if server.mode == "always breaks":
                body = b"" if start else body[:1000]
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        if server.mode == "stalls":
            self.wfile.write(body[:1000])
            server.released.wait(10)
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.headers_seen = []
        self.mode = "well"
        self.content = CONTENT
        self.sums = f"{DIGEST} *{REF.file_name}\n"
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def file_requests(self):
        return [each for each in self.requests if each[0].endswith(REF.file_name)]

    def handle_error(self, *_):
        """A client that hangs up is what some tests are about."""


class NoWaiting(SystemClock):
    def __init__(self):
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(server, tmp_path):
    said = []
    settings = Settings(
        tmp_path / "s", tmp_path / "cache", tmp_path / "r", mirror=server.url, allow_unpinned=True
    )
    store = Store(settings, PINS, clock=NoWaiting(), say=said.append)
    store.said = said
    # The upstream releases are not asked for by a test, whatever the mirror does.
    only_mirror = store._sources()[:1]
    store._sources = lambda: only_mirror
    return store


def cached_files(store):
    return [path for path in (store.cache.folder / "sha256").rglob("*") if path.is_file()]


def test_a_file_is_downloaded_checked_and_never_downloaded_again(server, store):
    seen = []
    store._on_progress = seen.append
    k0s = store.provide([REF])[ArtifactKind.K0S]
    assert k0s.path.read_bytes() == CONTENT
    assert k0s.origin is Origin.UNVERIFIED
    assert k0s.source.startswith(f"{server.url}/k0s/v1.32.3%2Bk0s.0/k0s-v1.32.3")
    assert seen[-1] == Progress(REF.file_name, len(CONTENT), len(CONTENT))
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    asked = len(server.requests)
    store.provide([REF])
    assert len(server.requests) == asked


def test_a_download_that_breaks_off_goes_on_where_it_ended(server, store):
    server.mode = "breaks once"
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert [asked for _, asked in server.file_requests()] == [
        None,
        f"bytes={len(CONTENT) // 2}-",
    ]
    assert any("broke off" in line for line in store.said)


def test_a_slow_line_that_breaks_off_again_and_again_still_gets_there(server, store):
    server.mode = "breaks often"
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert len(server.file_requests()) > download.TRIES + 2


def test_a_server_without_ranges_is_asked_for_the_whole_again(server, store):
    server.mode = "no ranges"
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert len(server.file_requests()) == 2


def test_a_download_that_keeps_breaking_off_says_what_came_and_is_resumed_next_time(server, store):
    server.mode = "always breaks"
    with pytest.raises(Exception, match="1 of 1 cannot be had") as caught:
        store.provide([REF])
    assert f"500 of {len(CONTENT)} bytes came" in caught.value.text()
    assert "kept for the next try" in caught.value.text()
    assert cached_files(store) == []
    server.mode = "well"
    server.requests.clear()
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert server.file_requests()[0][1] == "bytes=500-"


def test_a_wrong_beginning_from_an_earlier_try_is_thrown_away(server, store):
    with store.cache.filling(store.said.append):
        store.cache.partial(DIGEST).write_bytes(b"not the beginning")
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert [asked for _, asked in server.file_requests()] == ["bytes=17-", None]


def test_a_partial_file_that_is_already_whole_is_not_downloaded_again(server, store):
    with store.cache.filling(store.said.append):
        store.cache.partial(DIGEST).write_bytes(CONTENT)
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert [asked for _, asked in server.file_requests()] == [f"bytes={len(CONTENT)}-"]


def test_a_wrong_checksum_shows_both_sums_and_leaves_no_file(server, store):
    server.content = CONTENT[::-1]
    with pytest.raises(WrongChecksumError) as caught:
        store.provide([REF])
    text = caught.value.text()
    assert f"expected {DIGEST} ({server.url}/k0s/v1.32.3%2Bk0s.0/sha256sums.txt)" in text
    assert f"actual   {hashlib.sha256(CONTENT[::-1]).hexdigest()}" in text
    assert cached_files(store) == []
    assert list((store.cache.folder / "partial").iterdir()) == []


def test_a_file_that_is_not_there_is_asked_for_once(server, store):
    server.mode = "404"
    with pytest.raises(Exception, match="cannot be had") as caught:
        store.provide([REF])
    assert "is not there (404 Not Found)" in caught.value.text()
    assert len(server.file_requests()) == 1


def test_an_error_page_in_place_of_the_checksum_file_is_named(server, store):
    server.sums = "<html>Please log in</html>"
    with pytest.raises(Exception, match="cannot be had") as caught:
        store.provide([REF])
    assert "sha256sums.txt:1: not a sha256 checksum: '<html>Please log in" in caught.value.text()
    assert server.file_requests() == []


def test_a_server_that_is_overloaded_for_a_moment_is_asked_again(server, store):
    server.mode = "503 once"
    assert store.provide([REF])[ArtifactKind.K0S].path.read_bytes() == CONTENT
    assert store._downloader._clock.slept == [download.PAUSE_SECONDS]


def test_a_server_that_falls_silent_is_given_up(server, store, monkeypatch):
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.2)
    server.mode = "stalls"
    with pytest.raises(Exception, match="cannot be had") as caught:
        store.provide([REF])
    assert "nothing came for 0s" in caught.value.text()


@pytest.fixture
def small_disk():
    """Let no file of this process grow beyond 1 MB, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_said_and_what_was_half_written_is_removed(server, store):
    with pytest.raises(DiskFullError, match="File too large") as caught:
        store.provide([REF])
    assert "K0S_HARNESS_CACHE" in caught.value.text()
    assert REF.file_name in caught.value.text()
    assert not store.cache.partial(DIGEST).exists()
    assert len(server.file_requests()) == 1


def test_a_link_in_place_of_a_partial_file_is_not_followed(server, store, tmp_path):
    target = tmp_path / "theirs"
    target.write_text("theirs")
    with store.cache.filling(store.said.append):
        store.cache.partial(DIGEST).symlink_to(target)
    with pytest.raises(HostLacksError, match="symbolic links") as caught:
        store.provide([REF])
    assert f"remove {store.cache.partial(DIGEST)}" in caught.value.text()
    assert target.read_text() == "theirs"


def test_a_host_that_cannot_be_reached_names_the_proxy_variable_and_is_asked_once(server, store):
    server.shutdown()
    server.server_close()
    port = server.server_port
    refs = PINS.refs(None, host_arch())
    with pytest.raises(Exception, match="4 of 4 cannot be had") as caught:
        store.provide(refs)
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in caught.value.text()
    assert "set HTTP_PROXY=http://HOST:PORT" in caught.value.text()
    assert store._downloader._clock.slept == []


def test_the_proxy_that_is_set_is_used_and_named_without_its_password(
    server, tmp_path, monkeypatch
):
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:secret@"))
    downloader = HttpDownloader(NoWaiting())
    downloader.file(f"http://releases.example/{REF.file_name}", tmp_path / "file", most_bytes=2**30)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.requests[0][0] == f"http://releases.example/{REF.file_name}"
    assert "Proxy-Authorization" in {name.title() for name in server.headers_seen[0]}
    assert proxy_for("http://releases.example/") == server.url
    monkeypatch.setenv("http_proxy", "me:secret@127.0.0.1:1")
    with pytest.raises(SourceUnavailableError, match=r"through the proxy http://127\.0\.0\.1:1 of"):
        HttpDownloader(NoWaiting()).text("http://releases.example/sums")


def test_a_mirrors_password_is_sent_and_never_shown(server):
    downloader = HttpDownloader(NoWaiting())
    url = server.url.replace("//", "//me:s%40cret@") + "/sha256sums.txt"
    assert DIGEST in downloader.text(url)
    assert server.headers_seen[0]["Authorization"] == "Basic bWU6c0BjcmV0"
    assert shown(url) == server.url + "/sha256sums.txt"
    server.mode = "404"
    with pytest.raises(SourceUnavailableError) as caught:
        downloader.text(server.url.replace("//", "//me:secret@") + "/other")
    assert "secret" not in caught.value.text()


FETCH = """
import sys
from pathlib import Path
from harness.artifacts.model import ArtifactKind, host_arch
from harness.artifacts.store import Store
from harness.base.errors import HostLacksError
from harness.base.settings import Settings
base = Path(sys.argv[1])
settings = Settings(base / "s", base / "cache", base / "r", mirror=sys.argv[2], allow_unpinned=True)
store = Store(settings, say=lambda line: print(line, flush=True))
store.pins.sums.clear()
ref = store.pins.ref(ArtifactKind.K0S, store.pins.k0s_version, host_arch())
print(store.provide([ref])[ArtifactKind.K0S].path)
"""


def test_two_processes_download_a_file_once(server, tmp_path):
    server.mode = "waits"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FETCH, str(tmp_path), server.url],
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        for _ in range(2)
    ]
    # The server holds the file back until each has said what it does.
    said = sorted(process.stdout.readline() for process in processes)
    server.released.set()
    paths = {process.communicate(timeout=30)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert said[0].startswith("fetching k0s v1.32.3+k0s.0")
    assert said[1] == "waiting: another k0s-harness is filling the same cache\n"
    assert len(paths) == 1
    assert len(server.file_requests()) == 1
