"""Files that were written to hurt: each is a sentence in two seconds, and nothing is started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import cli
from tests.unit.paths import UNIT

HOSTILE = UNIT / "hostile"
HEAD = "apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n"


def bastions(count: int) -> str:
    """A worker behind that many."""
    way = "{address: a, bastion: " * count + "{address: b}" + "}" * count
    return f"{HEAD}  - role: worker\n    ssh: {way}\n"


# Too long to keep as files.
MADE = {
    "big-int.yaml": f"kind: Cluster\napiVersion: k0sctl\nd: {'9' * 5000}\n",
    "deep-flow.yaml": f"kind: Cluster\napiVersion: k0sctl\nd: {'[' * 5000}{']' * 5000}\n",
    "big-port.yaml": f"{HEAD}  - {{role: worker, ssh: {{address: a, port: {'9' * 4000}}}}}\n",
    "bastions.yaml": bastions(300),
    "nine-bastions.yaml": bastions(9),
}
NO_CLUSTER = ": there is no k0sctl cluster with hosts in it"
NO_API_VERSION = f"1:1{NO_CLUSTER}: a document here has no `apiVersion`"
OTHER_API_VERSION = f"2:13{NO_CLUSTER}: `apiVersion` is `k0sctl`"
# What `--k0sctl` says of each, behind the file's name; those without a place are over a limit.
SAID = {
    "addr-escape.yaml": r'7:16: `address` has characters that are not printable: `"127.0.0.9\u001b',
    "addr-nul.yaml": r'7:16: `address` has characters that are not printable: `"127.0.0.9\u0000"`',
    "anchor-bomb.yaml": "more than 50000 values up to line 7, aliases written out",
    "bastion-self-loop.yaml": "`*b` in line 10 stands for itself",
    "bastions.yaml": "nests deeper than 32 levels in line 6",
    "big-int.yaml": OTHER_API_VERSION,
    "big-port.yaml": "5:44: `port` is no port from 1 to 65535: `9999",
    "cause-list.yaml": NO_API_VERSION,
    "configpath-tilde.yaml": "8:19: `configPath` is of another user's home folder",
    "date-err.yaml": OTHER_API_VERSION,
    "deep-flow.yaml": "nests deeper than 32 levels in line 3",
    "float-int-bad.yaml": OTHER_API_VERSION,
    "key-nul.yaml": r'8:16: `keyPath` has characters that are not printable: `"a\u0000b"`',
    "key-tilde-user.yaml": "8:16: `keyPath` is of another user's home folder: `~nosuchuser/key`",
    "merge-bomb.yaml": "more than 50000 values up to line 8, aliases written out",
    "nine-bastions.yaml": "this is behind more than 8 bastions",
    "openssh-address-dash.yaml": "7:16: `address` begins with `-`, which ssh takes for an option",
    "openssh-configpath-match.yaml": "8:19: configPath: 'MARKED-inc3.conf'",
    "openssh-options-proxycommand.yaml": "9:23: ProxyCommand: 'touch MARKED-openssh-options-",
    "openssh-user-dash.yaml": "8:13: `user` begins with `-`, which ssh takes for an option",
    "outcome-list.yaml": NO_API_VERSION,
    "ssh-user-dash.yaml": "8:13: `user` begins with `-`, which ssh takes for an option",
    "title-escape.yaml": NO_API_VERSION,
}
# What `validate` says of those that are scenarios, or look like one.
MISTAKES = {
    "cause-list.yaml": '7:21: unknown cause `["x"]`; there are: apiserver-unreachable',
    "outcome-list.yaml": '7:21: unknown outcome `["x"]`; there are: api-not-available',
    "title-escape.yaml": "3:8: the character U+001B is not text; leave it out",
    "deep-flow.yaml": "3:35: nested deeper than 32 levels",
    "anchor-bomb.yaml": "4:10: `*a0`: aliases are not expanded in scenarios",
}


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """A folder of its own to run in, an own home, and no program anywhere."""
    for name in ("SSH_KNOWN_HOSTS", "PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    place, programs = tmp_path / "place", tmp_path / "programs"
    place.mkdir()
    programs.mkdir()
    for name in ("ssh", "touch", "sh", "kubectl"):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho started > {place}/MARKED-{name}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    for name in ("HOME", "K0S_HARNESS_STATE", "K0S_HARNESS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(place)
    for file in HOSTILE.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    for name, text in MADE.items():
        (place / name).write_text(text)


@pytest.fixture
def says(capsys):
    """Run a verb, which ends with 2 in two seconds and starts nothing; returns what it said."""

    def run(*arguments: str) -> str:
        # The processor's time: others may keep it busy.
        began = time.process_time()
        code = cli.main(arguments)
        took = time.process_time() - began
        out, err = capsys.readouterr()
        assert code == 2, err
        assert took < 2, arguments
        assert out == ""
        assert "Traceback" not in err
        assert all(line.isprintable() for line in err.splitlines()), err
        assert not list(Path().glob("MARKED*"))
        return err

    return run


def test_the_tables_have_every_hostile_file():
    assert set(SAID) == {each.name for each in HOSTILE.iterdir()} | set(MADE)


@pytest.mark.parametrize(("name", "sentence"), SAID.items())
def test_a_hostile_k0sctl_yaml_is_a_sentence_and_starts_nothing(says, name, sentence):
    for verb in ("diagnose", "flows", "collect"):
        said = says(verb, "--k0sctl", name)
        assert sentence in said
        assert re.search(rf"{re.escape(name)}(?::\d+:\d+)?: ", said)


@pytest.mark.parametrize("name", SAID)
@pytest.mark.parametrize("verb", ["validate", "plan"])
def test_a_hostile_scenario_is_a_sentence_with_its_place(says, name, verb):
    said = says(verb, name)
    assert re.match(rf"{re.escape(name)}:\d+:\d+: \S", said)
    assert MISTAKES.get(name, "") in said


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "Reading nowhere: No such file or directory"),
        (".", "Reading .: Is a directory"),
        ("pipe", "Reading pipe: it is not a plain file"),
        ("large", "Reading large: it has more than 2 MiB, which a kubeconfig never has"),
        ("anchor-bomb.yaml", "it has more than 50000 values up to line 7, aliases written out"),
        (
            "deep-flow.yaml",
            "it nests deeper than 32 levels in line 3, which a kubeconfig never does",
        ),
        ("binary", "Reading binary: it is not UTF-8 text: byte 0 is not"),
    ],
)
def test_kubectl_is_given_no_kubeconfig_that_is_none(says, name, sentence):
    os.mkfifo("pipe")
    Path("large").write_bytes(b"#" * (2 * 1024 * 1024 + 1))
    Path("binary").write_bytes(b"\xff")
    assert sentence in says("diagnose", "--kubeconfig", name)


def bomb(width: int, levels: int, *, merge: bool) -> str:
    lines = ["a0: &a0 {k: v}" if merge else "a0: &a0 [x]"]
    for level in range(1, levels):
        names = ", ".join([f"*a{level - 1}"] * width)
        body = f"{{<<: [{names}]}}" if merge else f"[{names}]"
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines)


def test_bombs_of_every_kind_are_refused_in_two_seconds_and_300_mb(tmp_path):
    """In a process of its own, whose memory is then known."""
    most = 512 * 1024 - len(HEAD)
    bombs = {
        "aliases": bomb(9, 9, merge=False),
        "merged": HEAD + bomb(9, 9, merge=True),
        "a-chain": bomb(1, 400, merge=True),
        "brackets": "[" * most,
        "items": HEAD + "  - a\n" * (most // 6),
        "flow": "[" + "[]," * (most // 3 - 2) + "]",
        "keys": HEAD + "".join(f"  k{number}: {{}}\n" for number in range(most // 14)),
        "hosts": f"{HEAD}  - &h {{role: worker, ssh: {{address: a, port: []}}}}\n"
        + "  - *h\n" * 5000,
        "dollars": HEAD + "$LONG" * (most // 5),
        "one-scalar": f"{HEAD}  - role: " + "a" * (most - 20),
        "comments": HEAD + "#\n" * (most // 2 - 1),
        "quotes": f"{HEAD}  - role: '" + "''" * (most // 2 - 10) + "'",
        "escapes": f'{HEAD}  - role: "' + r"\e" * (most // 2 - 10) + '"',
        "documents": HEAD + "---\n" * (most // 4),
        "too-large": "a" * 10_000_000,
    }
    for name, text in bombs.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    script = (
        "import pathlib, re, sys, time\n"
        "from harness.cluster.existing import read_cluster\n"
        "from harness.base.errors import UsageError\n"
        "for name in sys.argv[1:]:\n"
        "    began = time.process_time()\n"
        "    try:\n"
        "        read_cluster(pathlib.Path(name), {'LONG': 'x' * 2000})\n"
        "        said = 'NOT REFUSED'\n"
        "    except UsageError as error:\n"
        "        said = str(error)[:300]\n"
        "    print(round(time.process_time() - began, 2), pathlib.Path(name).stem, said)\n"
        # Not ru_maxrss, in which a process has the memory of the one that started it.
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024, 'MB')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *(str(tmp_path / f"{name}.yaml") for name in bombs)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(cli.__file__).parents[2])},
    )
    *lines, memory = done.stdout.splitlines()
    assert len(lines) == len(bombs)
    for line in lines:
        assert "NOT REFUSED" not in line
        assert float(line.split()[0]) < 2, line
    assert int(memory.split()[0]) < 300
