"""A server that means harm: whatever it sends, a sentence comes out, soon, and the disk is bounded.

It speaks raw bytes, so that it can say what no HTTP library would.
"""

import itertools
import re
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.artifacts import download, transport
from harness.artifacts.download import HttpDownloader
from harness.artifacts.problems import SourceUnavailableError
from harness.artifacts.transport import RefusedAnswerError
from harness.base.errors import ExitCode, HarnessError
from harness.base.wait import SystemClock
from tests.unit.fuzz import examples

MOST = 300_000
OK = b"HTTP/1.1 200 OK\r\n"
PART = b"HTTP/1.1 206 Partial Content\r\n"
BYTES = b"x" * 10_000
ALREADY = b"y" * 1000
STRANGE = re.compile(r"[^\x20-\x7e\n]")


class Server:
    """Answers every connection with what `answer` yields, piece by piece."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.answer = pieces()
        self.requests = []
        self.stopped = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                self.requests.append(request.decode())
                for piece in self.answer():
                    if self.stopped.is_set():
                        return
                    connection.sendall(piece)
            except OSError:
                return

    def stop(self):
        self.stopped.set()
        self._socket.close()


class NoWaiting(SystemClock):
    def sleep(self, seconds):
        pass


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(transport, "SILENCE_SECONDS", 0.15)
    monkeypatch.setattr(transport, "SLOW_SECONDS", 0.15)
    monkeypatch.setattr(download, "TEXT_LIMIT", 50_000)


def pieces(*head, then=None):
    """Return what sends `head` and after it, where it is given, `then` without end."""
    return lambda: itertools.chain(head, itertools.repeat(then) if then else ())


def slowly(data):
    def send():
        for each in data:
            yield bytes([each])
            time.sleep(0.01)

    return send


def silence():
    time.sleep(0.3)
    yield b""


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOOD = b"x" * 9000
NO_NUMBER = "size that it gives is no number"
NO_END = "where the file ends"


def length(text, body=BYTES):
    return pieces(OK + b"Content-Length: " + text + b"\r\n\r\n" + body)


def sent_on(location, then=None):
    return pieces(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n", then=then)


# What is sent, and what must be in the sentence about it.
ANSWERS = {
    "nothing": (pieces(b""), "ended early"),
    "silence": (silence, "nothing came|ended early"),
    "no HTTP": (pieces(b"SSH-2.0-OpenSSH_9.6\r\n"), "is not HTTP"),
    "no HTTP without end": (pieces(then=b"\x00\xff" * 5000), "is not HTTP"),
    "a status that is no number": (pieces(b"HTTP/1.1 2x0 OK\r\n\r\n"), "is not HTTP"),
    "an escape in the reason": (
        pieces(b"HTTP/1.1 403 \x1b]0;own\x07\r\n\r\n"),
        r"\(403 Forbidden\)",
    ),
    "an unknown status": (pieces(b"HTTP/1.1 299 \x1b[2J\r\n\r\n"), "answered 299 to a plain"),
    "no content": (pieces(b"HTTP/1.1 204 No Content\r\n\r\n"), "answered 204 No Content"),
    "a header line without end": (pieces(OK + b"X-Y: ", then=FLOOD), "is not HTTP"),
    "headers without end": (
        pieces(OK, then=b"X-Y: " + FLOOD + b"\r\n"),
        "is not HTTP|more than such",
    ),
    "continue without end": (pieces(then=b"HTTP/1.1 100 Continue\r\n\r\n" * 99), "more than such"),
    "headers a byte at a time": (slowly(OK + b"X-Y: z\r\n" * 500), "bytes came in"),
    "length abc": (length(b"abc"), NO_NUMBER),
    "a negative length": (length(b"-5"), NO_NUMBER),
    "a length with a plus": (length(b"+5"), NO_NUMBER),
    "a length of other digits": (length(b"\xb2"), NO_NUMBER),
    "a length of thousands of digits": (length(b"9" * 5000), NO_NUMBER),
    "two lengths": (length(b"5\r\nContent-Length: 10000"), NO_NUMBER),
    "a length and chunks": (length(b"5\r\nTransfer-Encoding: chunked"), NO_END),
    "another transfer coding": (
        pieces(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        NO_END,
    ),
    "compressed": (length(b"10000\r\nContent-Encoding: gzip"), "compressed"),
    "a chunk of no size": (pieces(CHUNKED + b"hello\r\n"), "ended early"),
    "a chunk of a negative size": (pieces(CHUNKED + b"-1\r\n", then=FLOOD), "chunk of no size"),
    "a chunk of less than nothing": (pieces(CHUNKED + b"-5\r\n", then=FLOOD), "is not HTTP"),
    "a chunk line without end": (pieces(CHUNKED + b"5;", then=FLOOD), "is not HTTP"),
    "trailers without end": (pieces(CHUNKED + b"0\r\n", then=b"X: z\r\n" * 999), "more than such"),
    "a part that nobody asked for": (
        pieces(PART + b"Content-Range: bytes 0-9999/10000\r\n\r\n" + BYTES),
        "answered 206 Partial Content to a plain question",
    ),
    "sent on to nothing": (pieces(b"HTTP/1.1 302 Found\r\n\r\n"), "no URL"),
    "sent on to a file": (sent_on(b"file:///etc/passwd"), r"another kind \(file:\)"),
    "sent on to ftp": (sent_on(b"ftp://127.0.0.1/x"), r"another kind \(ftp:\)"),
    "sent on to data": (sent_on(b"data:text/plain,x"), r"another kind \(data:\)"),
    "sent on to a user": (sent_on(b"http://a:b@127.0.0.1/"), "another kind"),
    "sent on with an escape": (sent_on(b"http://127.0.0.1/\x1b[2J"), "no URL"),
    "sent on with a blank": (sent_on(b"/x HTTP/1.1"), "no URL"),
    "sent on to no port": (sent_on(b"http://127.0.0.1:99999/"), "no URL"),
    "sent on to no address": (sent_on(b"http://[::1/"), "no URL"),
    "sent on in a circle": (sent_on(b"/x"), "more than 5 times"),
    "sent on with a body without end": (sent_on(b"ftp://x/", then=FLOOD), "another kind"),
    "not found without end": (pieces(b"HTTP/1.1 404 No\r\n\r\n", then=FLOOD), "is not there"),
    "a body without end": (pieces(OK + b"\r\n", then=FLOOD), "more than [0-9]+ bytes"),
    "chunks without end": (
        pieces(CHUNKED, then=b"2328\r\n" + FLOOD + b"\r\n"),
        "more than [0-9]+ bytes",
    ),
}
FILE_ANSWERS = ANSWERS | {
    "a length beyond every file": (length(b"9" * 18), f"more than {MOST} bytes"),
    "less than was promised": (length(b"10000", b"x" * 50), "sent another part|bytes came"),
    "a body a byte at a time": (
        slowly(OK + b"Content-Length: 9999\r\n\r\n" + BYTES),
        "bytes came in 0s",
    ),
}


@pytest.mark.parametrize("name", FILE_ANSWERS)
def test_whatever_a_server_sends_for_a_file_ends_in_a_sentence(server, tmp_path, name):
    server.answer, words = FILE_ANSWERS[name]
    partial = tmp_path / "partial"
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError) as caught:
        HttpDownloader(NoWaiting()).file(f"{server.url}/x", partial, most_bytes=MOST)
    assert re.search(words, caught.value.why), caught.value.why
    assert caught.value.exit_code is ExitCode.HOST_LACKS
    assert not STRANGE.search(caught.value.text()), "nothing of the server's own words"
    assert not partial.exists() or partial.stat().st_size <= MOST
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_a_server_sends_for_a_checksum_file_ends_in_a_sentence(server, name):
    server.answer, words = ANSWERS[name]
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError) as caught:
        HttpDownloader(NoWaiting()).text(f"{server.url}/x")
    assert re.search(words, caught.value.why), caught.value.why
    assert not STRANGE.search(caught.value.text())
    assert time.monotonic() - began < 2


PARTS = {
    "which part is not said": b"",
    "a part from elsewhere": b"Content-Range: bytes 5-9/10\r\n",
    "a part before what is here": b"Content-Range: bytes 0-9999/10000\r\n",
    "a part that ends before it begins": b"Content-Range: bytes 1000-5/20000\r\n",
    "a part beyond the end": b"Content-Range: bytes 1000-1999/1500\r\n",
    "a part of other digits": b"Content-Range: bytes \xb2-\xb3/\xb9\r\n",
    "a part of a negative place": b"Content-Range: bytes -5-9/10\r\n",
    "a part of words": b"Content-Range: bytes a-b/c\r\n",
    "a part of another length": (
        b"Content-Range: bytes 1000-1999/2000\r\nContent-Length: 5000\r\n"
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_server_that_lies_about_a_part_never_leaves_it_in_the_file(server, tmp_path, name):
    server.answer = pieces(PART + PARTS[name] + b"\r\n" + BYTES)
    partial = tmp_path / "partial"
    partial.write_bytes(ALREADY)
    with pytest.raises(SourceUnavailableError, match="the server sent"):
        HttpDownloader(NoWaiting()).file(f"{server.url}/x", partial, most_bytes=MOST)
    assert partial.read_bytes() == ALREADY


def test_a_part_that_is_larger_than_it_says_is_not_kept(server, tmp_path):
    server.answer = pieces(PART + b"Content-Range: bytes 1000-1999/2000\r\n\r\n" + b"x" * 5000)
    partial = tmp_path / "partial"
    partial.write_bytes(ALREADY)
    with pytest.raises(SourceUnavailableError, match="it sends more than"):
        HttpDownloader(NoWaiting()).file(f"{server.url}/x", partial, most_bytes=MOST)
    assert not partial.exists()


def test_a_server_that_hangs_up_after_every_few_bytes_is_given_up(server, tmp_path):
    server.requests.clear()
    sizes = itertools.count(1)
    server.answer = lambda: [OK + b"Content-Length: 99999\r\n\r\n" + b"x" * next(sizes)]
    with pytest.raises(SourceUnavailableError, match="of 99999 bytes came"):
        HttpDownloader(NoWaiting()).file(f"{server.url}/x", tmp_path / "partial", most_bytes=MOST)
    assert len(server.requests) == download.TRIES


def test_a_download_of_many_hours_is_given_up_and_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "FILE_SECONDS", 0.0)
    server.answer = length(b"200000", b"x" * 200_000)
    partial = tmp_path / "partial"
    with pytest.raises(SourceUnavailableError, match=r"takes more than 0 h; the first \d+ bytes"):
        HttpDownloader(NoWaiting()).file(f"{server.url}/x", partial, most_bytes=MOST)
    assert partial.exists()


def test_a_server_that_sends_on_to_another_of_its_places_is_followed_without_the_password(
    server, tmp_path
):
    server.requests.clear()
    there = [length(b"10000"), sent_on(b"../store/x")]

    def answer():
        return there.pop()()

    server.answer = answer
    partial = tmp_path / "partial"
    url = server.url.replace("//", "//me:secret@") + "/releases/x"
    HttpDownloader(NoWaiting()).file(url, partial, most_bytes=MOST)
    assert partial.read_bytes() == BYTES
    first, second = server.requests
    assert first.startswith("GET /releases/x ")
    assert "Authorization: Basic bWU6c2VjcmV0" in first
    assert second.startswith("GET /store/x ")
    assert "Authorization" not in second


@pytest.mark.parametrize(
    "location",
    ["http://mirror.example/x", "HTTP://mirror.example/x", "http:x", "http://mirror.example:443/"],
)
def test_nothing_that_was_asked_for_by_https_is_fetched_by_http(location):
    with pytest.raises(RefusedAnswerError):
        transport._next_place("https://releases.example/a/b", location)


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("https://store.example/x?sig=a%2Bb", "https://store.example/x?sig=a%2Bb"),
        ("//store.example/x", "https://store.example/x"),
        ("../c", "https://releases.example/c"),
    ],
)
def test_https_is_followed_to_https(location, place):
    assert transport._next_place("https://releases.example/a/b", location) == place


WORDS = st.sampled_from(
    [b"0", b"5", b"-1", b"10000", b"99999999999999999999", b"abc", b"\xb2", b"", b"5, 5", b"0x10"]
)
HEADERS = st.one_of(
    st.tuples(st.just(b"Content-Length"), WORDS),
    st.tuples(
        st.just(b"Content-Range"), st.builds(b"bytes %b-%b/%b".__mod__, st.tuples(*[WORDS] * 3))
    ),
    st.tuples(st.just(b"Transfer-Encoding"), st.sampled_from([b"chunked", b"gzip", b"identity"])),
    st.tuples(st.just(b"Content-Encoding"), st.sampled_from([b"gzip", b"identity", b"br"])),
    st.tuples(
        st.just(b"Location"), st.sampled_from([b"/x", b"ftp://x", b"http://", b"\x1b", b"?"])
    ),
    st.tuples(st.binary(max_size=6), st.binary(max_size=12)),
)
STATUSES = st.one_of(
    st.sampled_from([b"200", b"206", b"302", b"404", b"416", b"100", b"204", b"999", b"\xb2", b""]),
    st.binary(max_size=4),
)
BODIES = st.lists(
    st.one_of(
        st.sampled_from([b"5\r\nhello\r\n", b"0\r\n\r\n", b"-5\r\n", b"ffffffffff\r\n", BYTES]),
        st.binary(max_size=30),
    ),
    max_size=4,
)


def ended_well(work):
    """Do it, and return whether it came to an end that a user understands."""
    try:
        work()
    except HarnessError as error:
        return error.exit_code is ExitCode.HOST_LACKS and not STRANGE.search(error.text())
    return True


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(head=st.tuples(STATUSES, st.lists(HEADERS, max_size=4)), bodies=BODIES, have=st.booleans())
def test_any_answer_gives_the_file_or_a_sentence(server, tmp_path, head, bodies, have):
    status, headers = head
    lines = b"".join(b"%b: %b\r\n" % each for each in headers)
    server.answer = pieces(b"HTTP/1.1 " + status + b" \r\n" + lines + b"\r\n", *bodies)
    partial = tmp_path / "partial"
    partial.write_bytes(ALREADY if have else b"")
    downloader = HttpDownloader(NoWaiting())
    assert ended_well(lambda: downloader.file(f"{server.url}/x", partial, most_bytes=MOST))
    assert not partial.exists() or partial.stat().st_size <= MOST
    assert ended_well(lambda: downloader.text(f"{server.url}/x"))
