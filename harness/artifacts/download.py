"""Fetching one file over HTTP: resumed where it broke off, never under its good name.

`urllib.request` does it: it honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY and trusts the system's
certificates (a company's proxy often has one of its own), and none of the larger libraries resumes
a download either.
"""

from __future__ import annotations

import base64
import functools
import http.client
import os
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from typing import Protocol
from typing import Self
from typing import cast

from harness.artifacts.model import PROGRESS_BYTES
from harness.artifacts.model import OnProgress
from harness.artifacts.model import Progress
from harness.artifacts.problems import DiskFullError
from harness.artifacts.problems import SourceUnavailableError
from harness.artifacts.problems import is_no_room
from harness.wait import Clock

# A server that sends nothing for this long is given up; release hosts answer in under a second.
SILENCE_SECONDS = 20.0
# A download that breaks off is resumed this many times in a row without a new byte.
TRIES = 3
# Long enough for a server that is restarting, short enough for the person who watches.
PAUSE_SECONDS = 2.0
CHUNK = 256 * 1024
# A checksum file is a few kilobytes; more is an error page or worse.
TEXT_LIMIT = 1024 * 1024

_NOT_FOUND = {http.client.NOT_FOUND, http.client.GONE}
# Answers that a server gives while it is overloaded or restarting.
_PASSING = {429, 500, 502, 503, 504}


class _BrokenOffError(Exception):
    """The transfer ended early; what came is kept."""


class Downloader(Protocol):
    """What fetches URLs; tests may pass another."""

    def text(self, url: str) -> str:
        """Return a small text file's content."""

    def file(self, url: str, partial: Path, on_progress: OnProgress | None) -> None:
        """Fetch `url` into `partial`, going on where an earlier try ended."""


class HttpDownloader:
    """Fetches http and https URLs from this host."""

    def __init__(self, clock: Clock, say: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._say = say
        self._unreachable: dict[str, str] = {}

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        # The proxies are those of the environment when the first URL is asked for.
        return urllib.request.build_opener()

    def text(self, url: str) -> str:
        """Return a small text file's content.

        Raises `SourceUnavailableError` when it is not there, is not text, or its host cannot be
        reached.
        """
        for remaining in range(TRIES - 1, -1, -1):
            try:
                with self._open(url, 0) as response:
                    return response.read(TEXT_LIMIT).decode()
            except UnicodeDecodeError:
                raise SourceUnavailableError(shown(url), "what came is not text") from None
            except (_BrokenOffError, http.client.HTTPException, OSError) as error:
                if not remaining:
                    raise SourceUnavailableError(shown(url), _sentence(error)) from None
                self._clock.sleep(PAUSE_SECONDS)
        raise AssertionError("unreachable")

    def file(self, url: str, partial: Path, on_progress: OnProgress | None = None) -> None:
        """Fetch `url` into `partial`, going on where an earlier try ended.

        Raises `SourceUnavailableError` when it is not there, its host cannot be reached or the
        transfer keeps breaking off (`partial` is kept for the next time), `DiskFullError` when
        there is no room (`partial` is removed: a full disk must not stay full because of it).
        """
        tries = TRIES
        while True:
            before = _size(partial)
            try:
                self._transfer(url, partial, on_progress)
            except (_BrokenOffError, http.client.HTTPException, OSError) as error:
                after = _size(partial)
                # Every new byte earns the full number of tries: a slow line still gets there.
                tries = TRIES if after > before else tries
                tries -= 1
                if not tries:
                    kept = f"; the first {after} bytes are kept for the next try" if after else ""
                    raise SourceUnavailableError(shown(url), _sentence(error) + kept) from None
                self._say(f"{shown(url)} broke off ({_sentence(error)}), going on at byte {after}")
                self._clock.sleep(PAUSE_SECONDS)
            else:
                return

    def _transfer(self, url: str, partial: Path, on_progress: OnProgress | None) -> None:
        have = _size(partial)
        with self._open(url, have) as response:
            start = _first_byte(response)
            if start not in (0, have):
                partial.unlink()
                raise _BrokenOffError(f"the server sent from byte {start} when asked for {have}")
            length = response.headers.get("Content-Length")
            total = start + int(length) if length is not None else None
            if total is not None and total - have > shutil.disk_usage(partial.parent).free:
                partial.unlink(missing_ok=True)
                raise DiskFullError(
                    _file_name(url),
                    partial.parent,
                    f"it has {total} bytes, and less is free on the disk of {partial.parent}",
                )
            done = _write(
                response,
                partial,
                start=start,
                total=total,
                on_progress=on_progress,
                file_name=_file_name(url),
            )
        if total is not None and done < total:
            raise _BrokenOffError(f"{done} of {total} bytes came")

    def _open(self, url: str, start: int) -> http.client.HTTPResponse:
        """Ask for `url` from byte `start` on.

        Raises `SourceUnavailableError` for what another try would not change.
        """
        host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
        if host in self._unreachable:
            raise SourceUnavailableError(shown(url), self._unreachable[host])
        plain, authorization = _without_userinfo(url)
        # Only http and https URLs come here (sources.py), never file: or a scheme of a plugin.
        request = urllib.request.Request(plain, headers={"User-Agent": "k0s-harness"})  # noqa: S310
        if authorization is not None:
            # Not sent on to another host when the server redirects.
            request.add_unredirected_header("Authorization", authorization)
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            return cast(
                "http.client.HTTPResponse",
                self._opener.open(request, timeout=SILENCE_SECONDS),
            )
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                # The partial file is as long as the file or longer: its checksum will tell.
                return cast("http.client.HTTPResponse", _Nothing(start))
            if error.code in _PASSING:
                raise _BrokenOffError(f"the server answered {error.code} {error.reason}") from None
            why = "is not there" if error.code in _NOT_FOUND else "the server does not give it"
            raise SourceUnavailableError(
                shown(url), f"{why} ({error.code} {error.reason})"
            ) from None
        except urllib.error.URLError as error:
            self._unreachable[host] = unreachable_sentence(host, plain, error.reason)
            raise SourceUnavailableError(shown(url), self._unreachable[host]) from None


class _Nothing:
    """Stands for the answer "nothing after the bytes you have"."""

    status = http.client.PARTIAL_CONTENT

    def __init__(self, start: int) -> None:
        self.headers = {"Content-Range": f"bytes {start}-{start}/{start}", "Content-Length": "0"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def read(self, _size: int) -> bytes:
        return b""


def _first_byte(response: http.client.HTTPResponse) -> int:
    if response.status != http.client.PARTIAL_CONTENT:
        return 0
    sent = response.headers.get("Content-Range") or ""
    digits = sent.removeprefix("bytes ").partition("-")[0]
    if not digits.isdigit():
        raise _BrokenOffError(f"the server sent a part without saying which: {sent!r}")
    return int(digits)


def _write(
    response: http.client.HTTPResponse,
    partial: Path,
    *,
    start: int,
    total: int | None,
    on_progress: OnProgress | None,
    file_name: str,
) -> int:
    """Append what comes to `partial` (from byte `start` on) and return its size then."""
    done = start
    told = -PROGRESS_BYTES
    with partial.open("r+b" if start else "wb") as file:
        file.seek(start)
        while chunk := response.read(CHUNK):
            _store(file, chunk, partial, file_name)
            done += len(chunk)
            if on_progress is not None and done - told >= PROGRESS_BYTES:
                on_progress(Progress(file_name, done, total))
                told = done
    if on_progress is not None:
        on_progress(Progress(file_name, done, total))
    return done


def _store(file: IO[bytes], chunk: bytes, partial: Path, file_name: str) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        if not is_no_room(error):
            raise
        partial.unlink(missing_ok=True)
        raise DiskFullError(file_name, partial.parent, _strerror(error)) from None


def shown(url: str) -> str:
    """Return the URL without user name and password, fit for messages and records."""
    return _without_userinfo(url)[0]


def proxy_for(url: str) -> str | None:
    """Return the proxy this process uses for `url`, without its password, or None."""
    parts = urllib.parse.urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy:
        return None
    return shown(proxy if "://" in proxy else f"http://{proxy}")


def unreachable_sentence(host: str, url: str, reason: object) -> str:
    """Return why `host` could not be reached, and which proxy setting has to do with it."""
    why = _sentence(reason)
    variable = "HTTPS_PROXY" if url.startswith("https:") else "HTTP_PROXY"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"{host} shows a certificate this host does not trust ({reason.verify_message}): a "
            "proxy that inspects traffic needs its certificate in the system's, or SSL_CERT_FILE"
        )
    proxy = proxy_for(url)
    if proxy is not None:
        return f"{host} cannot be reached through the proxy {proxy} of {variable}: {why}"
    return (
        f"{host} cannot be reached: {why}; no proxy is set: if this network has one, "
        f"set {variable}=http://HOST:PORT"
    )


def _without_userinfo(url: str) -> tuple[str, str | None]:
    """Return the URL without user name and password, and the header that carries them."""
    parts = urllib.parse.urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    token = base64.b64encode(urllib.parse.unquote(userinfo).encode()).decode()
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def _file_name(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sentence(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {SILENCE_SECONDS:.0f}s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended early"
    if isinstance(error, OSError):
        return _strerror(error)
    return str(error) or type(error).__name__


def _strerror(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
