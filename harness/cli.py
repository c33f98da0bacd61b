"""The command line: data on stdout, narration on stderr, one exit code a kind of ending.

What a verb needs is imported when the verb is called: `k0s-harness --help` is to answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.base.errors import ExitCode, HarnessError
from harness.base.printable import printable_line
from harness.base.printing import ArgumentParser, say, show, show_tracebacks
from harness.base.process import interrupt_on_sigterm

if TYPE_CHECKING:
    from harness.base.settings import Settings

SCENARIOS = Path("scenarios")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the last line on stderr says it as well."""
    show_tracebacks()
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as ended:
        # argparse has said what is wrong; after --help nothing is.
        if ended.code:
            say(f"k0s-harness: exit {ended.code}: {_ENDINGS[ExitCode.USAGE]}")
        raise
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
    say(printable_line(f"k0s-harness: exit {int(code)}: {why or _ENDINGS[code]}"))
    return int(code)


_ENDINGS = {
    ExitCode.OK: "done",
    ExitCode.NOT_MET: "an expectation is not met, or a broken hop was found",
    ExitCode.USAGE: "the command or the scenario is wrong",
    ExitCode.HOST_LACKS: "this host lacks something",
    ExitCode.INFRASTRUCTURE: "infrastructure failed, or not enough was seen",
    ExitCode.INTERRUPTED: "interrupted",
}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
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
    run.add_argument(
        "--fresh", action="store_const", const="1", help="machines of its own for each scenario"
    )
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

    listed = verb("catalogue", _catalogue, "docs/scenarios.md, from the scenarios and their runs")
    listed.add_argument("reports", nargs="*", type=Path, metavar="REPORT", help="report.json")
    listed.add_argument("--check", action="store_true", help="exit 1 if the page is out of date")

    verb("schema", _schema, "print the JSON Schema of a scenario")

    doctor = verb("doctor", _doctor, "what this host can do, what is missing, how to get it")
    doctor.add_argument("--provider", help="docker, libvirt or virtualbox")

    diagnose = verb("diagnose", _diagnose, "why the metrics API is unavailable; read-only")
    _add_place(diagnose)
    diagnose.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="of any cluster: its API alone is looked at"
    )
    diagnose.add_argument("--bundle", type=Path, metavar="FILE", help="recorded evidence, offline")
    diagnose.add_argument("--phase", metavar="NAME", help="of the recorded run; default: its last")
    diagnose.add_argument(
        "--save", type=Path, metavar="FILE", help="write what was read, redacted, a reading a line"
    )
    diagnose.add_argument("--output", choices=("text", "json"), default="text")

    flows = verb("flows", _flows, "every kind of connection a cluster lives on; read-only")
    _add_place(flows)
    flows.add_argument("--output", choices=("text", "json"), default="text")

    collect = verb("collect", _collect, "evidence of a cluster into one file; read-only")
    _add_place(collect)
    collect.add_argument("--output", type=Path, metavar="FILE", help="the .tar.gz to write")

    replay = verb("replay", _replay, "judge a recorded run again from its bundle; starts nothing")
    replay.add_argument("bundle", type=Path, metavar="BUNDLE", help="bundle.tar.gz of a run")
    replay.add_argument("--output", type=Path, metavar="DIR", help="folder of the reports")

    labs = verb("labs", _labs, "what is left on this host from earlier runs, and removing it")
    labs.add_argument("--clean", action="store_true", help="remove what dead runs left")
    labs.add_argument("--all", action="store_true", help="kept labs as well")
    labs.add_argument("names", nargs="*", metavar="ID", help="kept labs to remove")

    _add_artifacts(verbs)
    _add_box(verbs)
    return parser


def _add_place(verb: argparse.ArgumentParser) -> None:
    """Add what says which cluster is looked at."""
    verb.add_argument("lab", nargs="?", metavar="LAB", help="a kept lab; the only one by default")
    verb.add_argument("--k0sctl", type=Path, metavar="FILE", help="k0sctl.yaml of any cluster")
    verb.add_argument(
        "--trust-ssh-options",
        action="store_true",
        help="its ssh options and configPath may run programs on this machine",
    )


def _add_artifacts(verbs: argparse._SubParsersAction[ArgumentParser]) -> None:
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
    fetch.add_argument(
        "--allow-unpinned",
        action="store_const",
        const="1",
        help="over plain http too what no committed checksum vouches for",
    )
    importing = action("import", _artifacts_import, "take a folder of release files")
    importing.add_argument("folder", type=Path)
    importing.add_argument("--own-build", action="store_true", help="they are not the release")
    action("verify", _artifacts_verify, "hash every file again")
    export = action("export", _artifacts_export, "write a mirror for an offline host")
    export.add_argument("folder", type=Path)


def _add_box(verbs: argparse._SubParsersAction[ArgumentParser]) -> None:
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
    from harness.commands.run import run_scenarios
    from harness.commands.scenarios import scenario_files

    paths = scenario_files(options.scenarios, SCENARIOS)
    return run_scenarios(paths, _settings(options), select=options.select)


def _nightly(options: argparse.Namespace) -> ExitCode:
    from harness.commands.run import nightly
    from harness.providers.registry import provider
    from harness.scenario.load import files_in

    settings = _settings(options)
    paths = files_in(SCENARIOS, for_vms=provider(settings.provider).own_kernel)
    return nightly(paths, settings, options.summary)


def _bench(options: argparse.Namespace) -> ExitCode:
    from harness.bench import bench
    from harness.scenario.load import find

    scenario = find("konnectivity-on", SCENARIOS)
    show(bench(scenario, _settings(options), rounds=options.rounds, say=say))
    return ExitCode.OK


def _plan(options: argparse.Namespace) -> ExitCode:
    from harness.commands.scenarios import scenario_files, show_plan

    settings = _settings(options)
    (path,) = scenario_files([options.scenario], SCENARIOS)
    return show_plan(path, settings)


def _validate(options: argparse.Namespace) -> ExitCode:
    from harness.commands.scenarios import scenario_files, validate

    return validate(scenario_files(options.scenarios, SCENARIOS))


def _catalogue(options: argparse.Namespace) -> ExitCode:
    from harness.commands.catalogue import refresh
    from harness.scenario.load import files_in

    return refresh(files_in(SCENARIOS), options.reports, check=options.check)


def _schema(_options: argparse.Namespace) -> ExitCode:
    from harness.scenario.schema import schema_text

    show(schema_text().removesuffix("\n"))
    return ExitCode.OK


def _doctor(options: argparse.Namespace) -> ExitCode:
    from harness.artifacts.commands import list_lines
    from harness.artifacts.store import Store
    from harness.base.process import LocalRunner
    from harness.preflight.report import describe, inspect_host

    settings = _settings(options)
    report = inspect_host(LocalRunner(), settings, os.environ)
    show("\n".join(describe(report)))
    # After the rest: a cache that is not used because others may write to it ends the command.
    show("\n".join(list_lines(Store(settings, say=say))))
    return ExitCode.OK if report.ready else ExitCode.HOST_LACKS


def _diagnose(options: argparse.Namespace) -> ExitCode:
    from harness.commands.diagnose import show_diagnosis

    return show_diagnosis(
        _settings(options),
        lab=options.lab,
        k0sctl=options.k0sctl,
        trust_ssh_options=options.trust_ssh_options,
        kubeconfig=options.kubeconfig,
        bundle=options.bundle,
        phase=options.phase,
        save=options.save,
        as_json=options.output == "json",
    )


def _flows(options: argparse.Namespace) -> ExitCode:
    from harness.commands.flows import show_flows

    return show_flows(
        _settings(options),
        lab=options.lab,
        k0sctl=options.k0sctl,
        trust_ssh_options=options.trust_ssh_options,
        as_json=options.output == "json",
    )


def _collect(options: argparse.Namespace) -> ExitCode:
    from harness.commands.bundles import collect_evidence

    return collect_evidence(
        _settings(options),
        lab=options.lab,
        k0sctl=options.k0sctl,
        trust_ssh_options=options.trust_ssh_options,
        output=options.output,
    )


def _replay(options: argparse.Namespace) -> ExitCode:
    from harness.commands.bundles import replay_bundle

    return replay_bundle(options.bundle, output=options.output)


def _labs(options: argparse.Namespace) -> ExitCode:
    from harness.commands.labs import clean_labs, show_labs

    settings = _settings(options)
    if options.clean:
        return clean_labs(settings, named=options.names, kept_too=options.all)
    return show_labs(settings)


def _artifacts_list(options: argparse.Namespace) -> ExitCode:
    from harness.commands.release_files import list_files

    return list_files(_settings(options), options.k0s_version, check=options.check)


def _artifacts_fetch(options: argparse.Namespace) -> ExitCode:
    from harness.commands.release_files import fetch_files

    replace = options.replace_own_builds
    return fetch_files(_settings(options), options.k0s_version, replace_own_builds=replace)


def _artifacts_import(options: argparse.Namespace) -> ExitCode:
    from harness.commands.release_files import import_files

    return import_files(_settings(options), options.folder, own_build=options.own_build)


def _artifacts_verify(options: argparse.Namespace) -> ExitCode:
    from harness.commands.release_files import verify_files

    return verify_files(_settings(options))


def _artifacts_export(options: argparse.Namespace) -> ExitCode:
    from harness.commands.release_files import export_files

    return export_files(_settings(options), options.folder, options.k0s_version)


def _box_build(options: argparse.Namespace) -> ExitCode:
    from harness.commands.box import build_box

    return build_box(_settings(options))


def _box_list(options: argparse.Namespace) -> ExitCode:
    from harness.commands.box import list_boxes

    return list_boxes(_settings(options))


def _box_remove(options: argparse.Namespace) -> ExitCode:
    from harness.commands.box import remove_boxes

    return remove_boxes(_settings(options), options.versions)


def _box_lock(options: argparse.Namespace) -> ExitCode:
    from harness.commands.box import renew_lock

    return renew_lock(_settings(options))


def _settings(options: argparse.Namespace) -> Settings:
    from harness.base.settings import Settings
    from harness.providers.registry import names

    fields = ("provider", "keep", "runs_dir", "fresh", "allow_unpinned")
    overrides = {name: getattr(options, name, None) for name in fields}
    return Settings.from_environment(os.environ, overrides, providers=names())


if __name__ == "__main__":
    sys.exit(main())
