"""Every verb with hostile text wherever others wrote: none of it reaches the terminal."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import socketserver
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import cli
from harness.base.errors import (
    HarnessError,
    HostLacksError,
    InconclusiveError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
)
from harness.base.printing import Code
from harness.check.model import Verdict
from harness.cli import flows as verb_flows
from harness.cli.target import Target
from harness.engine import events
from harness.evidence.bundle import write_bundle
from harness.evidence.recorder import OBSERVATIONS, Recorder
from harness.probe.flows import FlowMatrix, FlowResult
from harness.report.terminal import Narrator
from harness.vocabulary.words import Flow, FlowOutcome
from tests.unit.fuzz import examples
from tests.unit.hostile import HOSTILE, hostile_text, obeyed
from tests.unit.recorded import lines
from tests.unit.recorded_run import META, SCENARIO, events_of, readings_of
from tests.unit.terminal import Terminal

pytest_plugins = ["pytester"]

# What can be an argument, the name of a file, or the output of a program: no NUL, no surrogate.
SHELL = "\x1b[2J\u202e\r\x9b\u200b\x07x"
LABEL = SHELL.replace("\r", "")
OTHERS = ("vagrant", "virsh", "VBoxManage", "kubectl", "ssh", "nft", "systemctl", "sudo", "id")
SAID = {
    **dict.fromkeys(OTHERS, f"{SHELL}\t{SHELL}\n" * 3),
    # Rows of as many columns as are asked for, of containers and of networks.
    "docker": f"{LABEL}\t{LABEL}\t{LABEL}\t{LABEL}\t{LABEL}\n",
    "docker-network": f"{LABEL}\t{LABEL}\t{LABEL}\n",
    # Whoever asks for addresses and routes reads JSON.
    "ip": "[]",
}


def said_by(*arguments):
    """Run a command in this process; return its exit code and all that it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main([str(each) for each in arguments])
        except SystemExit as ended:
            code = ended.code
    return code, out.getvalue(), err.getvalue()


def check(said):
    code, out, err = said
    assert not obeyed(out), out
    assert not obeyed(err), err
    assert err.splitlines()[-1].startswith(f"k0s-harness: exit {code}: "), err
    assert "Traceback" not in err


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """No test touches the user's own folders, or is moved by the user's own settings."""
    for name in ("PROVIDER", "KEEP", "K0S_BINARY", "K0S_HARNESS_MIRROR", "K0S_HARNESS_RUNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("K0S_HARNESS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("K0S_HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # Its plugin imports all of hypothesis at the end of a session within this one.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    project = tmp_path / "project"
    (project / "scenarios").mkdir(parents=True)
    (project / "docs").mkdir()
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def hostile_programs(tmp_path, monkeypatch):
    """Every program that the harness starts says hostile text, as data and as an error."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(status):
        for name, text in SAID.items():
            if name == "virsh" and status == 0:
                # Its answers are XML of this user's own daemon, which names what k0s-harness made.
                continue
            (folder / f"{name}.txt").write_text(text)
            program = folder / name
            program.write_text(
                f"#!/bin/sh\ncd {folder}\n"
                f"text={name}-$1.txt\n[ -f $text ] || text={name}.txt\n"
                f"/bin/cat $text\n/bin/cat $text >&2\nexit {status}\n"
            )
            program.chmod(0o755)

    return make


def scenario(**changes):
    """Return a scenario with `changes`; its values are JSON, so that YAML reads every character."""
    phase = {"name": "a", "expect": [{"pods": {"selector": "a=b", "ready": 1}}]}
    known = {"name": "x", "title": "X", "phases": [phase]} | changes
    head = f"format: {known.pop('format', 'k0s-harness/1')}\n"
    return head + "".join(f"{json.dumps(key)}: {json.dumps(each)}\n" for key, each in known.items())


# --- errors --------------------------------------------------------------------------------------

ERRORS = (
    HostLacksError,
    InconclusiveError,
    InfrastructureError,
    InterruptedRunError,
    UsageError,
    HarnessError,
)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_printable_in_all_its_parts_and_the_last_line_is_ours(monkeypatch, kind):
    def fail(_options):
        raise kind(
            HOSTILE,
            f"{HOSTILE}\nk0s-harness: exit 0: done",
            remedy=HOSTILE,
            details=f"{HOSTILE}\n{HOSTILE}",
            where=Path(SHELL),
        )

    monkeypatch.setattr("harness.cli.schema.command", fail)
    said = said_by("schema")
    check(said)
    assert said[0] == kind.exit_code
    assert said[2].count(r"\x1b[2J") >= 6


@settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(hostile_text, min_size=4, max_size=4))
def test_any_error_is_printable(monkeypatch, texts):
    def fail(_options):
        doing, happened, remedy, details = texts
        raise UsageError(doing, happened, remedy=remedy, details=details)

    monkeypatch.setattr("harness.cli.schema.command", fail)
    check(said_by("schema"))


@pytest.mark.parametrize(
    "arguments",
    [[SHELL], ["run"], ["plan", "x", SHELL], ["diagnose", "--output", SHELL], [f"--{SHELL}"]],
)
def test_a_wrong_command_line_is_quoted_printably(arguments):
    check(said_by(*arguments))


# --- what others named, or said ------------------------------------------------------------------

EVERY_VERB = (
    ["labs"],
    ["labs", "--clean"],
    ["labs", "--clean", SHELL],
    ["doctor"],
    ["doctor", "--provider", "libvirt"],
    ["doctor", "--provider", SHELL],
    ["plan", "good.yaml"],
    ["run", "good.yaml", "--provider", "docker"],
    ["run", "good.yaml", "--provider", "docker", "-k", SHELL],
    ["run", SHELL],
    ["nightly"],
    ["validate", SHELL, "good.yaml"],
    ["diagnose"],
    ["diagnose", SHELL],
    ["diagnose", "--kubeconfig", SHELL],
    ["diagnose", "--kubeconfig", "good.yaml"],
    ["diagnose", "--kubeconfig", "good.yaml", "--output", "json"],
    ["diagnose", "--k0sctl", SHELL],
    ["diagnose", "--k0sctl", "k0sctl.yaml"],
    ["diagnose", "--bundle", SHELL],
    ["flows", SHELL],
    ["flows", "--k0sctl", "k0sctl.yaml"],
    ["collect", SHELL],
    ["collect", "--k0sctl", "k0sctl.yaml"],
    ["replay", SHELL],
    ["catalogue", SHELL],
    ["artifacts", "list", "--k0s-version", SHELL],
    ["artifacts", "import", SHELL],
    ["artifacts", "export", SHELL],
    ["artifacts", "verify"],
    ["box", "list"],
    ["box", "remove", SHELL],
    ["box", "build", "--provider", SHELL],
    ["schema"],
)
K0SCTL = {
    "apiVersion": "k0sctl.k0sproject.io/v1beta1",
    "kind": "Cluster",
    "metadata": {"name": SHELL},
    "spec": {
        "hosts": [{"role": "controller", "ssh": {"address": "192.0.2.1", "user": "root"}}],
    },
}


@pytest.mark.parametrize("status", [0, 1])
@pytest.mark.parametrize("arguments", EVERY_VERB, ids=lambda each: ascii(" ".join(each)))
def test_no_verb_repeats_hostile_arguments_or_output_of_programs(
    arguments, status, hostile_programs, place
):
    hostile_programs(status)
    (place / "good.yaml").write_text(scenario(title=f"x{SHELL}x"))
    shutil.copy(place / "good.yaml", place / "scenarios")
    (place / "k0sctl.yaml").write_text(json.dumps(K0SCTL))
    check(said_by(*arguments))


@pytest.mark.parametrize("verb", ["validate", "plan", "catalogue", "run"])
@pytest.mark.parametrize("where", ["title", "name", "references", "format", "key", "selector"])
def test_a_scenario_cannot_say_anything_to_the_terminal(verb, where, place):
    kind = HOSTILE
    changes = {
        "title": {"title": f"x{kind}x"},
        "name": {"name": kind},
        "references": {"references": [f"https://x.example/{kind}"]},
        "format": {"format": json.dumps(f"k0s-harness/1{kind}")},
        "key": {kind: kind},
        "selector": {"phases": [{"name": kind, "expect": [{"pods": {"selector": kind}}]}]},
    }
    path = place / "scenarios/x.yaml"
    path.write_text(scenario(**changes[where]))
    # What can be run would be.
    if verb != "run" or where not in {"title", "references"}:
        check(said_by(verb, *([] if verb == "catalogue" else [path])))


@settings(max_examples=examples(8), deadline=None)
@given(key=hostile_text, value=st.recursive(hostile_text, lambda each: st.lists(each, max_size=2)))
def test_no_scenario_says_anything_to_the_terminal(key, value):
    path = Path("any.yaml")
    path.write_text(scenario(**{key or "title": value}))
    check(said_by("validate", path))


# --- recordings ----------------------------------------------------------------------------------


def poisoned_json(value, *, everywhere):
    """Return `value` with hostile text in its strings: everywhere, or where it stays what it is."""
    if isinstance(value, dict):
        return {
            key: f"{each}{HOSTILE}"
            if isinstance(each, str) and (everywhere or key in {"message", "reason", "image"})
            else poisoned_json(each, everywhere=everywhere)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [poisoned_json(each, everywhere=everywhere) for each in value]
    return value


def poisoned_text(text, *, everywhere):
    try:
        return json.dumps(poisoned_json(json.loads(text), everywhere=everywhere))
    except ValueError:
        ending = f" {HOSTILE}" if everywhere else ""
        return "".join(f"{line}{ending}\n" for line in text.splitlines()) + f"{HOSTILE}\n"


def poisoned(reading, *, everywhere):
    return replace(
        reading,
        stdout=poisoned_text(reading.stdout, everywhere=everywhere),
        stderr=f"{reading.stderr}\n{HOSTILE}",
        argv=(*reading.argv[:1], HOSTILE, *reading.argv[1:]) if everywhere else reading.argv,
        error=HOSTILE if everywhere and reading.error else reading.error,
    )


@pytest.mark.parametrize(
    ("arguments", "of_a_run", "everywhere"),
    [
        (["replay"], True, False),
        (["replay", "--output", "again"], True, True),
        (["diagnose", "--bundle"], False, True),
        (["diagnose", "--output", "json", "--bundle"], False, False),
    ],
)
def test_no_recording_says_anything_to_the_terminal(
    arguments, of_a_run, everywhere, tmp_path, recording
):
    folder = tmp_path / "evidence"
    recorder = Recorder(folder)
    (folder / OBSERVATIONS).write_text(
        lines([poisoned(each, everywhere=everywhere) for each in readings_of(recording)])
    )
    for event in events_of():
        recorder.event(event | {"text": HOSTILE} if "text" in event else event)
    recorder.write_json("meta.json", META | {"substrate": HOSTILE, "title": HOSTILE})
    if of_a_run:
        recorder.write_piece("plan/scenario.yaml", SCENARIO)
    recorder.write_piece("nodes/controller0/routes.txt", f"{HOSTILE}\n")
    said = said_by(*arguments, write_bundle(folder, tmp_path / "hostile.tar.gz"))
    check(said)
    assert said[1]
    if "json" in arguments:
        assert json.loads(said[1])["format"] == "k0s-harness-diagnosis/1"


@pytest.mark.parametrize("output", ["text", "json"])
def test_no_machine_says_anything_to_the_terminal_through_flows(output, monkeypatch):
    way = FlowResult(
        Flow.NODE_TO_POD, HOSTILE, HOSTILE, HOSTILE, FlowOutcome.FAILED, HOSTILE, 0.1, HOSTILE
    )
    found = SimpleNamespace(
        remotes={HOSTILE: None}, roles={HOSTILE: HOSTILE}, prober=lambda _: None, pace=1.0
    )
    monkeypatch.setattr(
        Target, "reach", lambda *_, **__: contextlib.nullcontext(enter_result=found)
    )
    monkeypatch.setattr(verb_flows.flows, "measure", lambda *_, **__: ())
    monkeypatch.setattr(verb_flows.flows, "parse", lambda _: FlowMatrix((way,), (HOSTILE,)))
    said = said_by("flows", "--output", output)
    check(said)
    assert said[0] == 1
    assert output == "text" or json.loads(said[1])["unread"]


# --- the network ---------------------------------------------------------------------------------


@pytest.fixture
def hostile_server():
    """A mirror whose status line, headers and listing are hostile."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.request.settimeout(5)
            self.rfile.readline()
            text = SHELL.replace("\r", "").encode()
            self.wfile.write(b"HTTP/1.1 404 " + text + b"\r\nX: " + text + b"\r\n\r\n" + text)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_no_mirror_says_anything_to_the_terminal(hostile_server, monkeypatch):
    monkeypatch.setenv("K0S_HARNESS_MIRROR", hostile_server)
    said = said_by("artifacts", "fetch")
    check(said)
    assert said[0] == 3


# --- narration and pytest ------------------------------------------------------------------------


@settings(max_examples=examples(15), deadline=None)
@given(text=hostile_text, terminal=st.booleans())
def test_narration_obeys_nobody_but_us(text, terminal):
    stream = Terminal() if terminal else io.StringIO()
    narrator = Narrator(stream)
    told = (
        events.StepStarted(events.StepId.APPLY, text, 1.0),
        events.StepProgress(text),
        events.StepEnded(events.StepId.APPLY, text, 1.0, ok=False, text=text, reason=text),
        events.PhaseEntered(text, (text,), (text,)),
        events.TransitionSeen(1.0, text, text),
        events.VerdictReached(text, Verdict.MET, text),
    )
    for event in told:
        narrator(event)
    said = stream.getvalue()
    for ours in Code:
        said = said.replace(ours, "")
    assert not obeyed(said)
    # A line each, of which one is a phase with a change and an expectation.
    assert said.count("\n") <= 8


def test_pytest_is_told_nothing_hostile(hostile_programs, pytester, capsys):
    hostile_programs(1)
    (pytester.path / "good.yaml").write_text(scenario(title=f"x{SHELL}x"))
    (pytester.path / "bad.yaml").write_text(scenario(**{SHELL: SHELL}))
    ours = ("--k0s-runs=runs", "--k0s-provider=docker")
    files = ("good.yaml", "bad.yaml", "--continue-on-collection-errors")
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", *ours, *files)
    assert done.ret != 0
    # Not the lines that pytester makes of it: they are cut where a terminal would obey.
    out, err = capsys.readouterr()
    assert not obeyed(out), out
    assert not obeyed(err), err
    assert "mistake" in out
    assert "U+001B is not text" in out
