"""The verb `completion`: what a shell needs to complete commands, options, scenarios and labs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import shtab

from harness.base.errors import ExitCode
from harness.base.printing import show
from harness.base.settings import Keep, Settings
from harness.cli import VERBS, parser
from harness.cli.options import SCENARIOS, settings_of
from harness.providers.registry import names

SHELLS = ("bash", "zsh", "fish")
# By path and by name, in the words of all three shells: none of them takes a character for a glob.
_SCENARIOS = f"find {SCENARIOS} -type f 2>/dev/null | sed -e p -e s,.yaml,, -e s,{SCENARIOS}/,,"
_WORDS: Mapping[str, Callable[[], Sequence[str]]] = {
    "provider": lambda: sorted(names()),
    "keep": lambda: [str(each) for each in Keep],
}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add what the verb is given."""
    verb.add_argument("shell", choices=SHELLS, help="its first lines say where to put it")


def command(options: argparse.Namespace) -> ExitCode:
    """Print the completion of a shell."""
    show(script(options.shell, settings_of(options)))
    return ExitCode.OK


def script(shell: str, settings: Settings) -> str:
    """Return the completion of `shell`, made from the parser of every verb.

    Nothing of the harness runs when a word is completed: scenarios and labs are listed by `ls`.
    """
    whole = parser(tuple(VERBS), whole=True)
    for action in _actions(whole):
        if action.dest == "scenarios":
            action.complete = _listed(_SCENARIOS)  # type: ignore[attr-defined]  # shtab's own
        elif action.metavar in {"LAB", "ID"}:
            labs = f"ls {shlex.quote(str(settings.labs_dir))} 2>/dev/null"
            action.complete = _listed(labs)  # type: ignore[attr-defined]
        elif action.dest in _WORDS:
            action.choices = _WORDS[action.dest]()
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return shtab.complete(whole, shell)


def _listed(command: str) -> shtab.CompleteType:
    """Return what `command` prints as the words to choose from, asked for at each completion."""
    # Of shtab's own, zsh would ask once, where and when the shell read the file.
    of_shtab: shtab.CompleteType = shtab.cmd(command)
    return {**of_shtab, "zsh": f"{{compadd -- \\$({command})}}"}


def _actions(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what a parser and the parsers in it take."""
    for action in of._actions:  # noqa: SLF001  # argparse has no other way to them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action
