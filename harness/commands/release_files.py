"""The verb `artifacts`: the release files in the cache of this host."""

from __future__ import annotations

from pathlib import Path

from harness.artifacts import commands as lines_of
from harness.artifacts.store import Store
from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.base.settings import Settings


def list_files(settings: Settings, k0s_version: str | None, *, check: bool) -> ExitCode:
    """Print a line for each file that a run needs; with `check` all of them must be here."""
    store = _store(settings)
    show("\n".join(lines_of.list_lines(store, k0s_version)))
    if not check:
        return ExitCode.OK
    here = all(store.look_in_cache(ref) for ref in lines_of.wanted(store, k0s_version))
    return ExitCode.OK if here else ExitCode.HOST_LACKS


def fetch_files(
    settings: Settings, k0s_version: str | None, *, replace_own_builds: bool
) -> ExitCode:
    """Fetch what is not here yet, and print a line for each file."""
    store = _store(settings)
    lines = lines_of.fetch_lines(store, k0s_version, replace_own_builds=replace_own_builds)
    show("\n".join(lines))
    return ExitCode.OK


def import_files(settings: Settings, folder: Path, *, own_build: bool) -> ExitCode:
    """Take a folder of release files, and print a line for each."""
    store = _store(settings)
    lines = lines_of.import_lines(store, folder, own_build=own_build, runner=LocalRunner())
    show("\n".join(lines))
    return ExitCode.OK


def verify_files(settings: Settings) -> ExitCode:
    """Hash every file again, and print a line for each."""
    show("\n".join(lines_of.verify_lines(_store(settings))))
    return ExitCode.OK


def export_files(settings: Settings, folder: Path, k0s_version: str | None) -> ExitCode:
    """Write a mirror for a host without a way to the network, and print a line for each file."""
    show("\n".join(lines_of.export_lines(_store(settings), folder, k0s_version)))
    return ExitCode.OK


def _store(settings: Settings) -> Store:
    """Return the cache of this host, which says what it does."""
    return Store(settings, say=say)
