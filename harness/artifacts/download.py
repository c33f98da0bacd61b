"""Fetching one file over HTTP: resumed where it broke off, never under its good name.

`urllib.request` asks (transport.py): none of the larger libraries resumes a download either.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from harness.artifacts import transport
from harness.artifacts.model import PROGRESS_BYTES, OnProgress, Progress
from harness.artifacts.problems import DiskFullError, SourceUnavailableError, is_no_room
from harness.artifacts.transport import (
    Answer,
    BrokenOffError,
    Client,
    RefusedAnswerError,
    UnreachableError,
    status_words,
    without_userinfo,
)
from harness.base.context import Say
from harness.base.errors import HostLacksError
from harness.base.wait import Clock

# A download that breaks off is resumed this many times in a row without getting on.
TRIES = 3
# A try that brought less than this did not get on: a server that hangs up after every byte would
# keep one busy for ever.
STEP_BYTES = 64 * 1024
# Long enough for a server that is restarting, short enough for the person who watches.
PAUSE_SECONDS = 2.0
# The image bundle needs this long at 25 KB/s; what came is kept and the next command goes on.
FILE_SECONDS = 6 * 3600.0
CHUNK = 256 * 1024
# A checksum file is a few kilobytes; more is an error page or worse.
TEXT_LIMIT = 1024 * 1024

_NOT_FOUND = {http.client.NOT_FOUND, http.client.GONE}
# Answers that a server gives while it is overloaded or restarting.
_PASSING = {429, 500, 502, 503, 504}
# What ends one try and may not end the next. ValueError: http.client counts with what a server
# sent.
_PASSES = (BrokenOffError, http.client.HTTPException, OSError, ValueError)


class Downloader(Protocol):
    """What fetches URLs; tests may pass another."""

    def text(self, url: str) -> str:
        """Return a small text file's content."""

    def file(
        self, url: str, partial: Path, on_progress: OnProgress | None, *, most_bytes: int
    ) -> None:
        """Fetch `url` into `partial`, going on where an earlier try ended."""


class HttpDownloader:
    """Fetches http and https URLs from this host."""

    def __init__(self, clock: Clock, say: Say = lambda _: None) -> None:
        self._clock = clock
        self._say = say
        self._client = Client(clock)
        self._unreachable: dict[str, str] = {}

    def text(self, url: str) -> str:
        """Return a small text file's content.

        Raises `SourceUnavailableError` when it is not there, is not text, is too large, or its host
        cannot be reached.
        """
        for remaining in range(TRIES - 1, -1, -1):
            try:
                with self._answer(url, 0, TEXT_LIMIT) as answer:
                    content = _read_small(answer)
            except _PASSES as error:
                if not remaining:
                    raise SourceUnavailableError(shown(url), _sentence(error)) from None
                self._clock.sleep(PAUSE_SECONDS)
                continue
            try:
                return content.decode()
            except UnicodeDecodeError:
                raise SourceUnavailableError(shown(url), "what came is not text") from None
        raise AssertionError("unreachable")

    def file(
        self, url: str, partial: Path, on_progress: OnProgress | None = None, *, most_bytes: int
    ) -> None:
        """Fetch `url` into `partial`, going on where an earlier try ended.

        Raises `SourceUnavailableError` when it is not there, its host cannot be reached, it has
        more than `most_bytes` (`partial` is removed) or the transfer keeps breaking off (`partial`
        is kept for the next time), `DiskFullError` when there is no room (`partial` is removed: a
        full disk must not stay full because of it), `HostLacksError` when it cannot be written.
        """
        tries = TRIES
        until = self._clock.monotonic() + FILE_SECONDS
        while True:
            before = _size(partial)
            try:
                self._transfer(url, partial, on_progress, most_bytes=most_bytes, until=until)
            except _PASSES as error:
                after = _size(partial)
                # A try that got on earns the full number of them: a slow line still gets there.
                tries = TRIES if after >= before + STEP_BYTES else tries
                tries -= 1
                if not tries or self._clock.monotonic() >= until:
                    kept = f"; the first {after} bytes are kept for the next try" if after else ""
                    raise SourceUnavailableError(shown(url), _sentence(error) + kept) from None
                self._say(f"{shown(url)} broke off ({_sentence(error)}), going on at byte {after}")
                self._clock.sleep(PAUSE_SECONDS)
            else:
                return

    def _transfer(
        self,
        url: str,
        partial: Path,
        on_progress: OnProgress | None,
        *,
        most_bytes: int,
        until: float,
    ) -> None:
        have = _size(partial)
        name = _file_name(url)
        with self._answer(url, have, most_bytes) as answer:
            if answer is None:
                # The partial file is as long as the file or longer: its checksum will tell.
                return
            total = answer.total
            if total is not None:
                _require_room(url, partial, total - have, most_bytes, total)
            done = answer.start
            told = -PROGRESS_BYTES
            with _opened(partial, done) as file:
                while chunk := answer.body.read(CHUNK):
                    done += len(chunk)
                    if done > (most_bytes if total is None else total):
                        partial.unlink()
                        raise _too_large(url, most_bytes)
                    _store(file, chunk, partial, name)
                    if on_progress is not None and done - told >= PROGRESS_BYTES:
                        on_progress(Progress(name, done, total))
                        told = done
                    if self._clock.monotonic() >= until:
                        raise BrokenOffError(f"it takes more than {FILE_SECONDS / 3600:.0f} h")
        if on_progress is not None:
            on_progress(Progress(name, done, total))
        if total is not None and done < total:
            raise BrokenOffError(f"{done} of {total} bytes came")

    @contextlib.contextmanager
    def _answer(self, url: str, start: int, most_bytes: int) -> Iterator[Answer | None]:
        """Ask for `url` from byte `start` on, and let go of the connection in the end.

        Raises `SourceUnavailableError` for what another try would not change.
        """
        host = urllib.parse.urlsplit(url).netloc.rpartition("@")[2]
        if host in self._unreachable:
            raise SourceUnavailableError(shown(url), self._unreachable[host])
        try:
            answer = self._client.ask(url, start, most_bytes)
            try:
                yield answer
            finally:
                if answer is not None:
                    answer.body.close()
        except RefusedAnswerError as error:
            raise SourceUnavailableError(shown(url), str(error)) from None
        except UnreachableError as error:
            sentence = unreachable_sentence(error.host, error.url, error.reason)
            self._unreachable[error.host] = sentence
            raise SourceUnavailableError(shown(url), sentence) from None
        except urllib.error.HTTPError as error:
            words = status_words(error.code)
            if error.code in _PASSING:
                raise BrokenOffError(f"the server answered {words}") from None
            why = "is not there" if error.code in _NOT_FOUND else "the server does not give it"
            raise SourceUnavailableError(shown(url), f"{why} ({words})") from None


def _read_small(answer: Answer | None) -> bytes:
    content = b"" if answer is None else answer.body.read(TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise RefusedAnswerError(f"it has more than {TEXT_LIMIT} bytes")
    return content


def _require_room(url: str, partial: Path, more: int, most_bytes: int, total: int) -> None:
    if total > most_bytes:
        partial.unlink(missing_ok=True)
        raise _too_large(url, most_bytes)
    if more > shutil.disk_usage(partial.parent).free:
        partial.unlink(missing_ok=True)
        raise DiskFullError(
            _file_name(url),
            partial.parent,
            f"it has {total} bytes, and less is free on the disk of {partial.parent}",
        )


def _too_large(url: str, most_bytes: int) -> SourceUnavailableError:
    return SourceUnavailableError(
        shown(url), f"it sends more than {most_bytes} bytes, which such a file never has"
    )


def _opened(partial: Path, start: int) -> IO[bytes]:
    """Open `partial` to be written from byte `start` on; a link of that name is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.fdopen(os.open(partial, flags | (0 if start else os.O_TRUNC), 0o600), "wb")
    except OSError as error:
        raise HostLacksError(
            f"Writing {partial}", _strerror(error), remedy=f"remove {partial}"
        ) from None
    file.seek(start)
    return file


def _store(file: IO[bytes], chunk: bytes, partial: Path, file_name: str) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        partial.unlink(missing_ok=True)
        if is_no_room(error):
            raise DiskFullError(file_name, partial.parent, _strerror(error)) from None
        raise HostLacksError(f"Writing {partial}", _strerror(error)) from None


def shown(url: str) -> str:
    """Return the URL without user name and password, fit for messages and records."""
    return without_userinfo(url)[0]


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


def _file_name(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _sentence(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing came for {transport.SILENCE_SECONDS:.0f}s"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected):
        return "the connection ended early"
    if isinstance(error, http.client.HTTPException | ValueError):
        # Their words repeat what the server sent.
        return f"what the server sent is not HTTP ({type(error).__name__})"
    if isinstance(error, OSError):
        return _strerror(error)
    return str(error) or type(error).__name__


def _strerror(error: OSError) -> str:
    return error.strerror or (os.strerror(error.errno) if error.errno else type(error).__name__)
