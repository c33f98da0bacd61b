"""A real k0sctl, asked what it reads in a file: it prints that before it does anything.

It is given no time (`--timeout 1ns`): it reads and checks the file, prints in full what it has
read, and ends before its first phase. Where it has to try the hosts, it has no key and no agent,
so that it never dials. What it might ask for elsewhere goes to a port where nothing listens.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.artifacts.cache import Cache
from harness.artifacts.model import ArtifactKind
from harness.base.settings import Settings
from harness.base.wait import SystemClock

_DOCUMENT = re.compile(r'level=debug msg=("apiVersion: .*")$', re.MULTILINE)
_FATAL = re.compile(r'level=fatal msg=(".*")$', re.MULTILINE)
_UNREACHABLE = re.compile(r"^ - \[\w+\] (.*?): ", re.MULTILINE)
# Nothing listens on a port that only root may have and that no service has.
_NOWHERE = "http://127.0.0.1:1"


def find() -> Path | None:
    """Return a k0sctl of this host: on PATH, or in the cache of release files."""
    on_path = shutil.which("k0sctl")
    if on_path is not None:
        return Path(on_path)
    cache = Cache(Settings.from_environment(os.environ).cache_dir, SystemClock())
    found = [each.path for each in cache.entries() if each.ref.kind is ArtifactKind.K0SCTL]
    return next((path for path in found if path.is_file()), None)


@dataclass(frozen=True)
class Answer:
    """What k0sctl has read (all values as text), or why it reads nothing."""

    cluster: dict | None
    error: str = ""

    @property
    def hosts(self) -> list[dict]:
        assert self.cluster is not None
        return self.cluster["spec"]["hosts"]


class RealK0sctl:
    """Runs the program in a home folder of its own."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program = program
        self.home = home
        (home / "bin").mkdir(parents=True, exist_ok=True)

    def environ(self, **more: str) -> dict[str, str]:
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
        off = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_UPGRADE_CHECK"), "true")
        # No program is found there, ssh among them.
        return {"HOME": str(self.home), "PATH": str(self.home / "bin")} | proxies | off | more

    def read(self, file: Path, **variables: str) -> Answer:
        """Return what k0sctl reads in `file`; it tries no host."""
        said = self._apply(file, "--debug", "--timeout", "1ns", **variables)
        found = _DOCUMENT.search(said)
        if found is not None:
            # Go's quoting has nothing here that Python's has not.
            document = ast.literal_eval(found[1])
            return Answer(yaml.load(document, Loader=yaml.BaseLoader))  # noqa: S506
        fatal = _FATAL.search(said)
        return Answer(None, ast.literal_eval(fatal[1]) if fatal is not None else said[-500:])

    def unreachable(self, file: Path) -> tuple[set[str], str]:
        """Return the addresses that k0sctl says it could not reach, and all that it says.

        What it tries again, a missing ssh and a WinRM that nobody answers, it tries for a while.
        """
        said = self._apply(file, "--timeout", "1s")
        fatal = _FATAL.search(said)
        message = ast.literal_eval(fatal[1]) if fatal is not None else said
        return set(_UNREACHABLE.findall(message)), message

    def version(self) -> tuple[int, ...]:
        told = subprocess.run(
            [self.program, "version"], capture_output=True, text=True, check=True, timeout=60
        )
        found = re.search(r"version: v(\d+)\.(\d+)", told.stdout)
        return tuple(map(int, found.groups())) if found is not None else (0, 0)

    def _apply(self, file: Path, *options: str, **variables: str) -> str:
        try:
            done = subprocess.run(
                [self.program, "apply", *options, "--config", file],
                env=self.environ(**variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=20,
                cwd=self.home,
            )
        except subprocess.TimeoutExpired:
            return "it did not end"
        return done.stdout.decode(errors="replace")
