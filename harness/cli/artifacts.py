"""The verb `artifacts`: the release files in the cache of this host."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from harness.artifacts import commands as lines_of
from harness.artifacts.store import Store
from harness.base.errors import ExitCode
from harness.base.printing import say, show
from harness.base.process import LocalRunner
from harness.cli.options import settings_of

Action = Callable[[Store, argparse.Namespace], list[str]]


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions, each with what it is given."""
    actions = verb.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, lines: Action, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
        added.set_defaults(command=command, lines=lines)
        added.add_argument(
            "--k0s-version", metavar="TAG", help="another release of k0s, as v1.33.1+k0s.0"
        )
        return added

    listing = action("list", _list, "the files that are here, and those that are not")
    listing.add_argument("--check", action="store_true", help="exit 3 unless all are here")
    fetch = action("fetch", _fetch, "fetch what is not here yet")
    fetch.add_argument(
        "--replace-own-builds",
        action="store_true",
        help="fetch the release where an own build is in the cache",
    )
    fetch.add_argument(
        "--allow-unpinned",
        action="store_const",
        const="1",
        help="fetch over plain http, too, what has no committed checksum",
    )
    importing = action("import", _import, "take a folder of release files")
    importing.add_argument(
        "folder", type=Path, metavar="DIR", help="a folder of files named as upstream names them"
    )
    importing.add_argument(
        "--own-build", action="store_true", help="the files are builds of your own"
    )
    action("verify", _verify, "hash every file again")
    export = action("export", _export, "write a mirror for an offline host")
    export.add_argument("folder", type=Path, metavar="DIR", help="the folder to write")


def command(options: argparse.Namespace) -> ExitCode:
    """Do the action and print a line for each file; `list --check` wants all of them here."""
    store = Store(settings_of(options), say=say)
    show("\n".join(options.lines(store, options)))
    if not getattr(options, "check", False):
        return ExitCode.OK
    here = all(store.look_in_cache(ref) for ref in lines_of.wanted(store, options.k0s_version))
    return ExitCode.OK if here else ExitCode.HOST_LACKS


def _list(store: Store, options: argparse.Namespace) -> list[str]:
    return lines_of.list_lines(store, options.k0s_version)


def _fetch(store: Store, options: argparse.Namespace) -> list[str]:
    return lines_of.fetch_lines(
        store, options.k0s_version, replace_own_builds=options.replace_own_builds
    )


def _import(store: Store, options: argparse.Namespace) -> list[str]:
    return lines_of.import_lines(
        store, options.folder, own_build=options.own_build, runner=LocalRunner()
    )


def _verify(store: Store, _options: argparse.Namespace) -> list[str]:
    return lines_of.verify_lines(store)


def _export(store: Store, options: argparse.Namespace) -> list[str]:
    return lines_of.export_lines(store, options.folder, options.k0s_version)
