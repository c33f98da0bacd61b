"""The command line: data on stdout, narration on stderr, one exit code for each kind of ending.

Each verb is a module of this package with `add_arguments` and `command`. A verb's module is
imported when the verb is called, so that `k0s-harness --help` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from harness.base.errors import ExitCode, HarnessError
from harness.base.printable import printable_line
from harness.base.printing import ArgumentParser, say, show_tracebacks
from harness.base.process import interrupt_on_sigterm

# In the order in which `--help` lists them: running, looking at a cluster, what is on this host.
VERBS = {
    "run": "make machines and a cluster, watch, judge, report, remove the machines",
    "nightly": "run every scenario and write a job summary",
    "bench": "measure how long things take, against another way within one run",
    "plan": "show what a scenario would build; starts nothing",
    "validate": "check scenario files; says every mistake at once",
    "catalogue": "write docs/scenarios.md and docs/log from scenarios and their runs",
    "schema": "print the JSON Schema of a scenario",
    "doctor": "say what this host can do, what is missing, and how to get it",
    "diagnose": "say why the metrics API of a cluster is unavailable; read-only",
    "flows": "measure every kind of connection a cluster lives on; read-only",
    "collect": "put the evidence of a cluster into one file; read-only",
    "report": "open the page of a run, or of all runs of a command",
    "merge": "make one report of the runs of several hosts",
    "compare": "compare two runs: verdicts, causes, hops, builds, times",
    "timings": "say where the seconds of recorded runs went",
    "replay": "judge a recorded run again; starts nothing",
    "demo": "show a recorded run, judged again; starts nothing",
    "labs": "list what earlier runs left on this host, or remove it",
    "artifacts": "list, fetch, import, verify or export the release files",
    "box": "build, list or remove the box that VMs are made of, or renew its lock",
    "completion": "print what makes bash, zsh or fish complete commands, scenarios and labs",
}
ENDINGS = {
    ExitCode.OK: "done",
    ExitCode.NOT_MET: "an expectation is not met, a broken hop was found, or runs differ",
    ExitCode.USAGE: "the command or the scenario is wrong",
    ExitCode.HOST_LACKS: "this host lacks something",
    ExitCode.INFRASTRUCTURE: "infrastructure failed, or not enough was seen",
    ExitCode.INTERRUPTED: "interrupted",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the last line on stderr says it as well."""
    show_tracebacks()
    given = sys.argv[1:] if arguments is None else arguments
    # What is loaded stays: looking for garbage in it takes a quarter of the time to load, and time
    # again whenever all of memory is looked through.
    gc.disable()
    try:
        options = parser(given).parse_args(given)
    except SystemExit as ended:
        # argparse has said what is wrong; after --help nothing is.
        if ended.code:
            say(f"k0s-harness: exit {ended.code}: {ENDINGS[ExitCode.USAGE]}")
        raise
    finally:
        gc.freeze()
        gc.enable()
    interrupt_on_sigterm()
    command: Callable[[argparse.Namespace], ExitCode] = options.command
    try:
        code, why = command(options), None
    except HarnessError as error:
        say(error.text())
        code, why = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, why = ExitCode.INTERRUPTED, "interrupted"
    # One line whatever is in it, so that the last one is always ours.
    say(printable_line(f"k0s-harness: exit {int(code)}: {why or ENDINGS[code]}"))
    return int(code)


def parser(arguments: Sequence[str], *, whole: bool = False) -> ArgumentParser:
    """Return the parser of a command line: of its verbs only those that it names are loaded.

    One that begins with a verb is parsed by that one's alone, unless `whole` is wanted.
    """
    alone = arguments[:1] if not whole and arguments and arguments[0] in VERBS else VERBS
    found = ArgumentParser(
        prog="k0s-harness",
        formatter_class=_formatter,
        description="Makes real k0s clusters on disposable machines, breaks and repairs them in "
        "declared steps, and says what was seen, whether it matches, and why. "
        "To begin with: k0s-harness demo.",
        epilog="Exit codes: 0 all met, 1 an expectation not met, 2 usage or scenario error, "
        "3 this host lacks something, 4 infrastructure failed or inconclusive, 130 interrupted.",
    )
    verbs = found.add_subparsers(required=True, metavar="COMMAND")
    for name in alone:
        text = VERBS[name]
        verb = verbs.add_parser(name, help=text, description=text)
        if name in arguments:
            module = import_module(f"{__name__}.{name}")
            verb.set_defaults(command=getattr(module, "command", None))
            module.add_arguments(verb)
    return found


def _formatter(prog: str) -> argparse.HelpFormatter:
    found = argparse.HelpFormatter(prog)
    # argparse counts a command without its indentation, and breaks the line after a long one.
    found._action_max_length = max(map(len, VERBS)) + 4  # noqa: SLF001
    return found
