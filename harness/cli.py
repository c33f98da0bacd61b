"""The command line: data on stdout, narration on stderr, one exit code a kind of ending.

What a verb needs is imported when the verb is called: `k0s-harness --help` is to answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ExitCode
from harness.errors import HarnessError
from harness.process import interrupt_on_sigterm

if TYPE_CHECKING:
    from harness.artifacts.store import Store
    from harness.settings import Settings

SCENARIOS = Path("scenarios")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the last line on stderr says it as well."""
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as ended:
        # argparse has said what is wrong; after --help nothing is.
        if ended.code:
            _say(f"k0s-harness: exit {ended.code}: {_ENDINGS[ExitCode.USAGE]}")
        raise
    interrupt_on_sigterm()
    command: Callable[[argparse.Namespace], ExitCode] = options.command
    try:
        code, why = command(options), None
    except HarnessError as error:
        _say(error.text())
        code, why = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, why = ExitCode.INTERRUPTED, "interrupted"
    except BrokenPipeError:
        # Whoever read our output has read enough; nothing more can be said to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code, why = ExitCode.OK, None
    _say(f"k0s-harness: exit {int(code)}: {why or _ENDINGS[code]}")
    return int(code)


_ENDINGS = {
    ExitCode.OK: "done",
    ExitCode.NOT_MET: "an expectation is not met, or a broken hop was found",
    ExitCode.USAGE: "the command or the scenario is wrong",
    ExitCode.HOST_LACKS: "this host lacks something",
    ExitCode.INFRASTRUCTURE: "infrastructure failed, or not enough was seen",
    ExitCode.INTERRUPTED: "interrupted",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="k0s-harness",
        description="Real k0s clusters on disposable machines, broken and repaired in declared "
        "steps: what was seen, whether it matches, and why.",
        epilog="Exit codes: 0 all met, 1 an expectation not met, 2 usage or scenario error, "
        "3 this host lacks something, 4 infrastructure failed or inconclusive, 130 interrupted.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(
        name: str, command: Callable[[argparse.Namespace], ExitCode], text: str
    ) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    run = verb("run", _run, "bring up, observe, judge, report, tear down")
    run.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a file, or a name")
    run.add_argument("--provider", help="docker, libvirt or virtualbox")
    run.add_argument("--keep", help="keep the machines: never, failure or always")
    run.add_argument("--runs", dest="runs_dir", help="folder of evidence and reports")
    run.add_argument("-k", dest="select", metavar="WORDS", help="only matching expectations")

    nightly = verb("nightly", _nightly, "run every scenario, keep the runs, write a job summary")
    nightly.add_argument("--runs", dest="runs_dir", help="folder of evidence and reports")
    nightly.add_argument("--summary", type=Path, help="Markdown file to append the summary to")

    bench = verb("bench", _bench, "a cold konnectivity-on against the same work done by hand")
    bench.add_argument("--rounds", type=int, default=2, help="pairs of runs (default 2)")

    plan = verb("plan", _plan, "what would be built; starts nothing")
    plan.add_argument("scenario", metavar="SCENARIO")
    plan.add_argument("--provider", help="docker, libvirt or virtualbox")

    validate = verb("validate", _validate, "check scenario files, every mistake at once")
    validate.add_argument("scenarios", nargs="+", metavar="SCENARIO")

    verb("schema", _schema, "print the JSON Schema of a scenario")

    doctor = verb("doctor", _doctor, "what this host can do, what is missing, how to get it")
    doctor.add_argument("--provider", help="docker, libvirt or virtualbox")

    diagnose = verb("diagnose", _diagnose, "why the metrics API is unavailable; read-only")
    diagnose.add_argument(
        "--k0sctl", type=Path, metavar="FILE", required=True, help="k0sctl.yaml of any cluster"
    )
    diagnose.add_argument("--output", choices=("text", "json"), default="text")

    labs = verb("labs", _labs, "what is left on this host from earlier runs, and removing it")
    labs.add_argument("--clean", action="store_true", help="remove what dead runs left")
    labs.add_argument("--all", action="store_true", help="kept labs as well")
    labs.add_argument("names", nargs="*", metavar="ID", help="kept labs to remove")

    _add_artifacts(verbs)
    _add_box(verbs)
    return parser


def _add_artifacts(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "the release files: list, fetch, import, verify, export for an offline host"
    artifacts = verbs.add_parser("artifacts", help=text, description=text)
    actions = artifacts.add_subparsers(required=True, metavar="ACTION")

    def action(
        name: str, command: Callable[[argparse.Namespace], ExitCode], text: str
    ) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        added.add_argument("--k0s-version", help="a release other than the pinned one")
        return added

    listing = action("list", _artifacts_list, "what is here and what is not")
    listing.add_argument("--check", action="store_true", help="exit 3 unless all are here")
    fetch = action("fetch", _artifacts_fetch, "fetch what is not here yet")
    fetch.add_argument("--replace-own-builds", action="store_true")
    importing = action("import", _artifacts_import, "take a folder of release files")
    importing.add_argument("folder", type=Path)
    importing.add_argument("--own-build", action="store_true", help="they are not the release")
    action("verify", _artifacts_verify, "hash every file again")
    export = action("export", _artifacts_export, "write a mirror for an offline host")
    export.add_argument("folder", type=Path)


def _add_box(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "the box that VMs are made of: build, list, remove, renew its lock"
    box = verbs.add_parser("box", help=text, description=text)
    actions = box.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="make it, if the cache does not have it")
    build.set_defaults(command=_box_build)
    build.add_argument("--provider", help="libvirt (default) or virtualbox")
    listing = actions.add_parser("list", help="the boxes in the cache")
    listing.set_defaults(command=_box_list)
    remove = actions.add_parser("remove", help="remove boxes from the cache")
    remove.set_defaults(command=_box_remove)
    remove.add_argument("versions", nargs="*", metavar="VERSION", help="these only")
    lock = actions.add_parser("lock", help="renew the lock of its packages and boxes/catalog.json")
    lock.set_defaults(command=_box_lock)


def _run(options: argparse.Namespace) -> ExitCode:
    from harness.commands import run_scenarios

    paths = _scenario_files(options.scenarios)
    return run_scenarios(paths, _settings(options), select=options.select)


def _nightly(options: argparse.Namespace) -> ExitCode:
    from harness.commands import nightly

    return nightly(sorted(SCENARIOS.glob("*.yaml")), _settings(options), options.summary)


def _bench(options: argparse.Namespace) -> ExitCode:
    from harness.bench import bench
    from harness.scenario.load import find

    scenario = find("konnectivity-on", SCENARIOS)
    print(bench(scenario, _settings(options), rounds=options.rounds, say=_say))
    return ExitCode.OK


def _plan(options: argparse.Namespace) -> ExitCode:
    from harness.engine.session import plan_of
    from harness.plan.show import describe
    from harness.scenario.load import load

    settings = _settings(options)
    for path in _scenario_files([options.scenario]):
        print(describe(plan_of(load(path), settings)))
    return ExitCode.OK


def _validate(options: argparse.Namespace) -> ExitCode:
    paths = _scenario_files(options.scenarios)
    _say(f"{len(paths)} scenario{'' if len(paths) == 1 else 's'} without a mistake")
    return ExitCode.OK


def _schema(_options: argparse.Namespace) -> ExitCode:
    from harness.scenario.schema import schema_text

    print(schema_text(), end="")
    return ExitCode.OK


def _doctor(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import list_lines
    from harness.lab.host_report import describe
    from harness.lab.host_report import inspect_host
    from harness.process import LocalRunner

    settings = _settings(options)
    report = inspect_host(LocalRunner(), settings, os.environ)
    print("\n".join([*describe(report), *list_lines(_store(settings))]))
    return ExitCode.OK if report.ready else ExitCode.HOST_LACKS


def _diagnose(options: argparse.Namespace) -> ExitCode:
    from harness.commands import diagnose_existing

    return diagnose_existing(options.k0sctl, as_json=options.output == "json")


def _labs(options: argparse.Namespace) -> ExitCode:
    from harness.commands import clean_labs
    from harness.commands import show_labs

    settings = _settings(options)
    if options.clean:
        return clean_labs(settings, named=options.names, kept_too=options.all)
    return show_labs(settings)


def _artifacts_list(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import list_lines
    from harness.artifacts.commands import wanted

    store = _store(_settings(options))
    print("\n".join(list_lines(store, options.k0s_version)))
    if not options.check:
        return ExitCode.OK
    here = all(store.look_in_cache(ref) for ref in wanted(store, options.k0s_version))
    return ExitCode.OK if here else ExitCode.HOST_LACKS


def _artifacts_fetch(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import fetch_lines

    store = _store(_settings(options))
    replace = options.replace_own_builds
    print("\n".join(fetch_lines(store, options.k0s_version, replace_own_builds=replace)))
    return ExitCode.OK


def _artifacts_import(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import import_lines
    from harness.process import LocalRunner

    store = _store(_settings(options))
    lines = import_lines(store, options.folder, own_build=options.own_build, runner=LocalRunner())
    print("\n".join(lines))
    return ExitCode.OK


def _artifacts_verify(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import verify_lines

    print("\n".join(verify_lines(_store(_settings(options)))))
    return ExitCode.OK


def _artifacts_export(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import export_lines

    store = _store(_settings(options))
    print("\n".join(export_lines(store, options.folder, options.k0s_version)))
    return ExitCode.OK


def _box_build(options: argparse.Namespace) -> ExitCode:
    from harness.lab.box_commands import build_lines
    from harness.process import LocalRunner
    from harness.wait import SystemClock

    settings = _settings(options)
    store = _store(settings)
    lines = build_lines(settings, store, runner=LocalRunner(), clock=SystemClock(), say=_say)
    print("\n".join(lines))
    return ExitCode.OK


def _box_list(options: argparse.Namespace) -> ExitCode:
    from harness.lab.box_commands import list_lines

    lines = list_lines(_settings(options))
    for line in lines:
        print(line)
    if not lines:
        _say("no boxes in the cache")
    return ExitCode.OK


def _box_remove(options: argparse.Namespace) -> ExitCode:
    from harness.lab.box_commands import remove_lines

    for line in remove_lines(_settings(options), options.versions):
        print(line)
    return ExitCode.OK


def _box_lock(options: argparse.Namespace) -> ExitCode:
    from harness.lab.box_commands import lock_lines
    from harness.process import LocalRunner
    from harness.wait import SystemClock

    settings = _settings(options)
    print("\n".join(lock_lines(settings, runner=LocalRunner(), clock=SystemClock(), say=_say)))
    return ExitCode.OK


def _scenario_files(names: Sequence[str]) -> list[Path]:
    """Return the files of the scenarios; raises one error with every mistake in all of them."""
    from harness.scenario.load import find
    from harness.scenario.load import load
    from harness.scenario.mistakes import Mistake
    from harness.scenario.mistakes import ScenarioError

    paths = [find(name, SCENARIOS) for name in names]
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            load(path)
        except ScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ScenarioError(mistakes)
    return paths


def _settings(options: argparse.Namespace) -> Settings:
    from harness.settings import Settings

    names = ("provider", "keep", "runs_dir")
    overrides = {name: getattr(options, name, None) for name in names}
    return Settings.from_environment(os.environ, overrides)


def _store(settings: Settings) -> Store:
    from harness.artifacts.store import Store

    return Store(settings, say=_say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
