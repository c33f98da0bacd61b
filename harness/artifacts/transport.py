"""One question over HTTP to a server that nobody vouches for, and its answer within limits.

`urllib.request` asks: it honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY and trusts the system's
certificates (a company's proxy often has one of its own). What it leaves open is closed here: to
which places a server may send on, how slow and how long its answer may be, and which of its words
are believed.
"""

from __future__ import annotations

import base64
import functools
import http.client
import io
import re
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import IO, Any, cast

from harness.base.wait import Clock

# A server that sends nothing for this long is given up; release hosts answer in under a second.
SILENCE_SECONDS = 20.0
# One that sends less than this in so much waiting for it is as good as silent: a modem of the
# nineties brings six times as much.
SLOW_SECONDS = 60.0
LEAST_BYTES = 64 * 1024
# Status line and headers of the release hosts have 6 KB; http.client alone would take 6 MB of them.
HEAD_BYTES = 128 * 1024
# GitHub sends on once, dl.k8s.io once; a company's mirror perhaps to its store.
REDIRECTS = 5

_MOVED = {301, 302, 303, 307, 308}
_SIZE = re.compile(r"[0-9]{1,18}", re.ASCII)
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII)
# What a URL may hold (RFC 3986); a blank or a control character in one is somebody's trick.
_URL = re.compile(r"[!-~]{1,4096}", re.ASCII)


class BrokenOffError(Exception):
    """The transfer ended early; another try may go further."""


class RefusedAnswerError(Exception):
    """The server answered what is not accepted; another try would not change it."""


class UnreachableError(Exception):
    """The host cannot be reached; `reason` is what the system says."""

    def __init__(self, host: str, url: str, reason: object) -> None:
        self.host = host
        self.url = url
        self.reason = reason
        super().__init__(str(reason))


@dataclass(frozen=True)
class Answer:
    """What the server sends: bytes of a file from `start` on, `total` where it says the size."""

    start: int
    total: int | None
    body: IO[bytes]


class Client:
    """Asks http and https URLs from this host."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        # Nothing for file:, ftp: and data:, and nothing that follows a redirect by itself. The
        # proxies are those of the environment when the first URL is asked for.
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Plain(self._clock),
            _Encrypted(self._clock),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            opener.add_handler(handler)
        return opener

    def ask(self, url: str, start: int, most_bytes: int) -> Answer | None:
        """Ask for `url` from byte `start` on; None where the server has nothing from there on.

        The body never gives much more than `most_bytes`, however much is sent. Raises
        `BrokenOffError` for what another try may change, `RefusedAnswerError` for what it would
        not, `UnreachableError`, and what the connection raises.
        """
        place, authorization = without_userinfo(url)
        for _ in range(REDIRECTS + 1):
            try:
                response = self._open(place, authorization, start)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                    return None
                if error.code not in _MOVED:
                    raise
                place = _next_place(place, error.headers.get("Location"))
                # It was meant for the host that the user named.
                authorization = None
                continue
            try:
                found, total = _span(response, start)
            except BaseException:
                response.close()
                raise
            # Chunks have a line each that counts here and is none of the file.
            cast("_Paced", response.fp.raw).allowance += 2 * most_bytes
            return Answer(found, total, cast("IO[bytes]", response))
        raise RefusedAnswerError(f"it sends on more than {REDIRECTS} times")

    def _open(self, url: str, authorization: str | None, start: int) -> http.client.HTTPResponse:
        # Only http and https URLs come here: `_next_place` and sources.py see to it.
        request = urllib.request.Request(  # noqa: S310
            url, headers={"User-Agent": "k0s-harness", "Accept-Encoding": "identity"}
        )
        if authorization is not None:
            request.add_unredirected_header("Authorization", authorization)
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            return cast(
                "http.client.HTTPResponse", self._opener.open(request, timeout=SILENCE_SECONDS)
            )
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:
            host = urllib.parse.urlsplit(url).netloc
            raise UnreachableError(host, url, error.reason) from None


def without_userinfo(url: str) -> tuple[str, str | None]:
    """Return the URL without user name and password, and the header that carries them."""
    parts = urllib.parse.urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    token = base64.b64encode(urllib.parse.unquote(userinfo).encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def is_plain(url: str) -> bool:
    """Whether what comes from `url` may have been changed by anybody on the way."""
    return urllib.parse.urlsplit(url).scheme.lower() == "http"


def _next_place(url: str, location: str | None) -> str:
    """Return the URL that a server sends on to."""
    if location is None or not _URL.fullmatch(location):
        raise RefusedAnswerError("it sends on, and what it names is no URL")
    try:
        place = urllib.parse.urljoin(url, location)
        parts = urllib.parse.urlsplit(place)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise RefusedAnswerError("it sends on, and what it names is no URL") from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise RefusedAnswerError(f"it sends on to a place of another kind ({parts.scheme}:)")
    if is_plain(place) and not is_plain(url):
        raise RefusedAnswerError(
            f"it sends on from https to plain http (http://{host}), where anybody on the way "
            "could change the file"
        )
    return place


def _span(response: http.client.HTTPResponse, asked: int) -> tuple[int, int | None]:
    """Return from which byte on the answer is, and the file's size where it says so."""
    coding = response.headers.get("Content-Encoding", "identity").lower()
    if coding not in {"", "identity"}:
        raise RefusedAnswerError("it sends the file compressed, which was not asked for")
    length = _length(response)
    if response.status == http.client.OK:
        return 0, length
    if response.status != http.client.PARTIAL_CONTENT or not asked:
        raise RefusedAnswerError(f"it answered {status_words(response.status)} to a plain question")
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None:
        raise BrokenOffError("the server sent a part without saying which")
    first, last = int(match[1]), int(match[2])
    total = last + 1 if match[3] == "*" else int(match[3])
    if first != asked or not first <= last < total or length not in {None, last - first + 1}:
        raise BrokenOffError("the server sent another part than it was asked for")
    return first, total


def _length(response: http.client.HTTPResponse) -> int | None:
    said = set(response.headers.get_all("Content-Length", []))
    coding = response.headers.get("Transfer-Encoding", "").lower()
    if coding not in {"", "chunked"} or (coding and said):
        raise RefusedAnswerError("it does not say clearly where the file ends")
    if not said:
        return None
    text = said.pop()
    if said or not _SIZE.fullmatch(text):
        raise RefusedAnswerError("the size that it gives is no number")
    return int(text)


def status_words(code: int) -> str:
    """Return a status with the words of the standard; a server's own are not repeated."""
    return f"{code} {http.client.responses.get(code, '')}".rstrip()


class _Paced(io.RawIOBase):
    """What comes over a connection, headers included: not too slowly, and not without end."""

    def __init__(self, raw: io.RawIOBase, clock: Clock) -> None:
        super().__init__()
        self.allowance = HEAD_BYTES
        self._raw = raw
        self._clock = clock
        self._waited = 0.0
        self._came = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any writable buffer
        began = self._clock.monotonic()
        count = int(self._raw.readinto(buffer) or 0)
        # Only what is waited for the server counts; a slow disk of ours is not its fault.
        self._waited += self._clock.monotonic() - began
        self._came += count
        self.allowance -= count
        if self.allowance < 0:
            raise RefusedAnswerError("it sends more than such an answer ever has")
        if self._waited >= SLOW_SECONDS:
            if self._came < LEAST_BYTES:
                raise BrokenOffError(f"only {self._came} bytes came in {self._waited:.0f}s")
            self._waited, self._came = 0.0, 0
        return count

    def readall(self) -> bytes:
        # http.client reads without a bound only after a chunk of a negative size.
        raise RefusedAnswerError("it sends a chunk of no size")

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
        *,
        clock: Clock,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp: io.BufferedReader = io.BufferedReader(_Paced(self.fp.detach(), clock))


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **given: Any) -> http.client.HTTPConnection:  # noqa: ANN401
        return _paced(http.client.HTTPConnection(host, **given), self._clock)


class _Encrypted(urllib.request.HTTPSHandler):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connection, request)

    def _connection(self, host: str, **given: Any) -> http.client.HTTPConnection:  # noqa: ANN401
        context = ssl.create_default_context()
        return _paced(http.client.HTTPSConnection(host, context=context, **given), self._clock)


def _paced(connection: http.client.HTTPConnection, clock: Clock) -> http.client.HTTPConnection:
    vars(connection)["response_class"] = functools.partial(_Response, clock=clock)
    return connection
