"""The one place through which everything printed goes."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from harness.base.printing import Code, put, show_json
from tests.unit.fuzz import examples
from tests.unit.hostile import HOSTILE, hostile_text, obeyed
from tests.unit.paths import PROJECT

HARNESS = PROJECT / "harness"
WRITERS = {"stdout", "stderr", "__stdout__", "__stderr__"}


def python(code, *, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environ):
    return subprocess.run(
        [sys.executable, "-c", code, HOSTILE.replace("\ue000", "")],
        stdout=stdout,
        stderr=stderr,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HARNESS.parent), **environ},
    )


def others_that_write(tree):
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno, "print"
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name in WRITERS:
                yield node.lineno, f"sys.{name}"
            case ast.ImportFrom(module="sys", names=names) if WRITERS & {n.name for n in names}:
                yield node.lineno, "from sys"
            case ast.Attribute(value=ast.Name(id="traceback"), attr=name) if "print" in name:
                yield node.lineno, f"traceback.{name}"
            case ast.Call(func=ast.Attribute(attr="ArgumentParser")):
                yield node.lineno, "argparse's own parser"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="write")):
                yield node.lineno, "os.write"


# What every one of them has in its text: parsing all of the harness takes seconds.
MAY_WRITE = re.compile(r"print|std(?:out|err)__|sys\.std|sys import|ArgumentParser|os\.write")


def test_nothing_else_in_the_harness_writes_to_the_terminal():
    found = [
        f"{path.relative_to(HARNESS)}:{line}: {what}"
        for path in sorted(HARNESS.rglob("*.py"))
        if path.name != "printing.py" and MAY_WRITE.search(path.read_text())
        for line, what in others_that_write(ast.parse(path.read_text()))
        # What a program that was started is given goes to its stdin, and to no terminal.
        if (path.name, what) != ("process.py", "os.write")
    ]
    assert found == []


def test_a_writer_is_found_where_there_is_one():
    (found,) = others_that_write(ast.parse("def f():\n    print('x')\n"))
    assert found == (2, "print")
    assert list(others_that_write(ast.parse((HARNESS / "base/printing.py").read_text())))


@settings(max_examples=examples(15), deadline=None)
@given(hostile_text)
def test_all_that_is_put_is_printable_but_our_own_codes(text):
    stream = io.StringIO()
    put(stream, Code.GREEN, text, Code.PLAIN, "\n")
    said = stream.getvalue().removeprefix(Code.GREEN).removesuffix(f"{Code.PLAIN}\n")
    assert not obeyed(said)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_character_that_the_encoding_lacks_is_written_as_an_escape(encoding):
    code = "from harness.base.printing import say, show; say('ż…'); show('ż…')"
    done = python(code, PYTHONIOENCODING=f"{encoding}:strict")
    expected = "ż…\n" if encoding == "utf-8" else "\\u017c\\u2026\n"
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, expected, expected)


def test_json_stays_json_and_is_printable(capsys):
    show_json({HOSTILE: [HOSTILE, "ż"]})
    out = capsys.readouterr().out
    assert json.loads(out) == {HOSTILE: [HOSTILE, "ż"]}
    assert not obeyed(out)


TALK = (
    "from harness.base.printing import say, show\nfor _ in range(9999): say('x'*99); show('y'*99)\n"
)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_read_enough_ends_nothing(stream):
    read, write = os.pipe()
    os.close(read)
    other = "stderr" if stream == "stdout" else "stdout"
    done = python(TALK, **{stream: write})
    os.close(write)
    assert done.returncode == 0
    assert len(getattr(done, other).splitlines()) == 9999


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_data_that_cannot_be_written_is_an_error_and_narration_is_not():
    with Path("/dev/full").open("wb") as full:
        done = python(TALK, stdout=full)
        assert done.returncode != 0
        assert b"Printing on stdout: No space left on device" in done.stderr
        assert python(TALK, stderr=full).returncode == 0


def test_a_closed_stream_is_no_fault():
    code = "from harness.base.printing import say, show; say('x'); show('y')"
    line = f'exec "{sys.executable}" -c "{code}" >&- 2>&-'
    environ = {**os.environ, "PYTHONPATH": str(HARNESS.parent)}
    assert subprocess.run(["sh", "-c", line], check=False, env=environ).returncode == 0


@pytest.mark.parametrize("where", ["main", "thread"])
def test_a_traceback_of_ours_is_printable(where):
    code = (
        "import sys, threading\n"
        "from harness.base.printing import show_tracebacks\n"
        "show_tracebacks()\n"
        "def fail(): raise ValueError(sys.argv[1])\n"
    )
    run = "fail()" if where == "main" else "t = threading.Thread(target=fail); t.start(); t.join()"
    done = python(code + run, PYTHONIOENCODING="utf-8")
    said = done.stderr.decode()
    assert r"ValueError: \x1b[2J" in said
    assert not obeyed(said)
    assert done.returncode == (1 if where == "main" else 0)


def test_printing_needs_nothing_but_the_standard_library():
    code = (
        f"import sys; sys.path.insert(0, {str(HARNESS.parent)!r})\n"
        "import harness.base.printing\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    names = set(done.stdout.split()) - {"harness", "__main__"}
    assert names <= set(sys.stdlib_module_names)
