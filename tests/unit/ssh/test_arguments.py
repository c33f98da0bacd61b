"""What becomes of the words of a k0sctl.yaml on the command line of ssh."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.base.completed import Completed
from harness.base.errors import UsageError
from harness.cli.consent import consent
from harness.cluster.existing import read_cluster
from harness.engine.access import existing_cluster
from harness.ssh.arguments import MOST_COMMAND, SETTINGS, Risk, Way, Word, arguments_of
from harness.ssh.openssh import OpenSSHRemote

HEAD = "apiVersion: k0sctl.k0sproject.io/v1beta1\nkind: Cluster\nspec:\n  hosts:\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhuX4Vxdp3tzGkN2O2eXvXDxo1uEcrZxIYiN6eTuSJc"
SSH = shutil.which("ssh")
# With a key, no other is offered.
ONLY = ("-o", "IdentitiesOnly=yes")


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    """The hosts of one worker, by its settings below `ssh:` or `openSSH:`."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def read(settings, *, kind="ssh", rest="", **more):
        path = tmp_path / "k0sctl.yaml"
        path.write_text(f"{HEAD}  - role: controller\n    {kind}: {settings}\n{rest}")
        return read_cluster(path, {}, **more).hosts

    return read


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("address", value)
            for value in ("-oProxyCommand=x", "a b", "a;b", "a`x`", "$(x)", "a@b")
        ),
        *(("address", value) for value in ("..", "a..b", "a/b", "[::1]", "::1%", "::1%a;b", "a%b")),
        *(("address", value) for value in ("ssh://a", "é", "a'b", "a,b", "%h", "a\\b", "x" * 300)),
        *(("user", value) for value in ("-oProxyCommand=x", "-l", "a@b", "a b", "$x", "a;b", "é")),
        *(("user", value) for value in ("a'b", "%r", "a\\b", "a|b", "(a)", ".", "x" * 300)),
        *(("port", value) for value in ("0", "65536", "-1", "22x", "22.0", "0x16", "1e3", "٢٢")),
        *(
            ("keyPath", value)
            for value in ("-i", "~nobody/k", "~~", "a'b", 'a"b', "$HOME/k", "%d/k")
        ),
        *(("keyPath", value) for value in ("a\\b", "a`b", "a!b", "x" * 5000)),
        *(("hostKey", value) for value in (f"{KEY} x", "ssh-rsa", "ssh-rsa AA%h" + "A" * 20)),
        *(("hostKey", value) for value in (f"-{KEY}", f"{KEY};x", "a $(x)", f"{KEY}\u2028")),
        *(
            (key, value)
            for key in ("address", "user", "keyPath")
            for value in ("a\0", "a\n", "\u202ea")
        ),
        *(
            (key, value)
            for key in ("address", "user", "keyPath")
            for value in ("\x1b[m", "\x9b", "\t")
        ),
    ],
)
def test_a_word_that_is_none_is_refused_with_its_place(key, value):
    words = {"address": Word("10.0.0.1", "address", "f:1:1")} | {key: Word(value, key, "f:2:3")}
    names = {"keyPath": "key_path", "hostKey": "host_key"}
    way = Way(**{names.get(name, name): word for name, word in words.items()})
    for each in (way, Way(Word("a", "address", "f:1:1"), bastion=way)):
        with pytest.raises(UsageError) as caught:
            arguments_of(each, None)
        assert caught.value.text().startswith(f"f:2:3: `{key}` ")
        assert caught.value.text().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "a", "a.", "node-1.example.org", "a_b", "_x", "::1", "fe80::1%eth0.1"]
)
def test_names_and_addresses_are_taken_as_they_are(hosts, address):
    (host,) = hosts(f"{{address: '{address}', user: a.b-c_d+e, port: 65535, keyPath: ~/k}}")
    assert host.ssh[-1] == f"a.b-c_d+e@{address}"
    assert host.ssh[:-1] == ("-p", "65535", "-i", f"{Path.home()}/k", *ONLY)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("{address: [a]}", "6:20: `address` is a word, and this is a list"),
        ("{address: a, port: {a: b}}", "6:29: `port` is a word, and this is a mapping"),
        ("{address: a, port: 2001-13-45}", "6:29: `port` is a number, and this is `2001-13-45`"),
        ("{address: a, port: .nan}", "6:29: `port` is a number, and this is `.nan`"),
        ("{address: a, user: !!python/name:os.system x}", "6:29: the tag `tag:yaml.org,2002:pyth"),
        (
            "{address: a, user: !!binary eA==}",
            "6:29: the tag `tag:yaml.org,2002:binary` has no mean",
        ),
        ("{address: a, address: b}", "6:23: `address` is given twice here"),
        ("{address: a, [b]: c}", "6:23: `ssh` has a key that is no word"),
        ("[a]", "6:10: `ssh` is a mapping (`key: value`), and this is none"),
        ("{address: a}\n    dataDir: srv", "7:14: `dataDir` is no absolute path: `srv`"),
        ("{address: a}\n    k0sInstallPath: '-x'", "7:21: `k0sInstallPath` begins with `-`"),
        (
            '{address: a}\n    dataDir: "/a\\eb"',
            "7:14: `dataDir` has characters that are not print",
        ),
        ("{address: a, user: &u {<<: 1}}", "6:29: `user` is a word, and this is a mapping"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_place(hosts, settings, sentence):
    with pytest.raises(UsageError) as caught:
        hosts(settings)
    assert f"k0sctl.yaml:{sentence}" in caught.value.text()


def test_what_k0s_alone_reads_may_be_anything(hosts):
    anything = f"[2001-13-45, {'9' * 5000}, .nan, 0b]"
    (host,) = hosts("{address: a}", rest=f"  k0s: {{config: {{other: {anything}}}}}\n")
    assert host.ssh == ("root@a",)


def test_anchors_and_merged_keys_are_taken_as_yaml_has_them(hosts):
    (host,) = hosts("{<<: [{user: ops, port: 22}, {port: 1, keyPath: /k}], address: a, port: 2222}")
    assert host.ssh == ("-p", "2222", "-i", "/k", *ONLY, "ops@a")


def test_eight_bastions_are_a_command_line_that_linux_takes(hosts):
    way = "{address: a, keyPath: '/b k', hostKey: " + KEY
    (host,) = hosts(f"{way}, bastion: " * 8 + way + "}" * 9)
    assert max(map(len, host.ssh)) < MOST_COMMAND
    with pytest.raises(UsageError, match="behind more than 8 bastions"):
        hosts(f"{way}, bastion: " * 9 + way + "}" * 10)


# ---- the command by which ssh comes to a bastion

NAMES = st.text("abcXYZ019._+-", min_size=1, max_size=12).filter(lambda text: text[0] not in ".+-")
# As ssh itself writes them: `0` would become 0.0.0.0.
HOST_NAMES = st.from_regex(r"[a-z_][a-z0-9_-]{0,8}(\.[a-z0-9_]{1,5}){0,2}", fullmatch=True)
ADDRESSES = HOST_NAMES | st.sampled_from(["10.0.0.1", "2001:db8::1", "fe80::1%lo"])
PATHS = st.text("ab/ ;&|()<>*?[]{}#~=,^é", min_size=1, max_size=20).filter(
    lambda text: text[0] not in "-~"
)
WAYS = st.builds(
    lambda address, user, port, key: Way(
        Word(address, "address", "f"),
        user=Word(user, "user", "f"),
        port=Word(str(port), "port", "f"),
        key_path=Word(key, "keyPath", "f"),
        host_key=Word(KEY, "hostKey", "f"),
    ),
    ADDRESSES,
    NAMES,
    st.integers(1, 65535),
    PATHS,
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder with one program, `ssh`, which says with which words it was started."""
    folder = tmp_path_factory.mktemp("programs")
    program = folder / "ssh"
    program.write_text('#!/bin/sh\nprintf "%s\\0" ssh "$@"\n')
    program.chmod(0o755)
    return folder


def on_the_way(options: list[str], destination: str, programs: Path) -> list[str]:
    """The words of the program that ssh starts to come to the bastion: as ssh and a shell do it."""
    told = subprocess.run(
        [SSH, "-G", "-F", "/dev/null", *options, "--", destination],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = dict(line.partition(" ")[::2] for line in told.stdout.splitlines())
    command = seen["proxycommand"].replace("%%", "\0").replace("%h", seen["hostname"])
    command = command.replace("%p", seen["port"]).replace("\0", "%")
    ran = subprocess.run(
        ["/bin/sh", "-c", f"exec {command}"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": str(programs)},
    )
    assert ran.stderr == ""
    return ran.stdout.split("\0")[:-1]


def plain(way: Way) -> tuple[list[str], str]:
    """The words for `way` itself, and its destination."""
    words = [*("-p", way.port.text), *("-i", way.key_path.text), *ONLY]
    words += ["-o", f"KnownHostsCommand=/bin/echo %H {KEY}"]
    return words, f"{way.user.text}@{way.address.text}"


@pytest.mark.skipif(SSH is None, reason="there is no OpenSSH client on this host")
@settings(max_examples=8, deadline=None, database=None, derandomize=True)
@given(target=WAYS, middle=WAYS, first=WAYS)
def test_each_word_of_a_bastion_is_one_argument_of_the_one_program_that_ssh_starts(
    programs, target, middle, first
):
    chained = Way(**{**vars(middle), "bastion": first})
    given_to_ssh = arguments_of(Way(**{**vars(target), "bastion": chained}), None)
    words, destination = plain(target)
    assert given_to_ssh.options[: len(words)] == tuple(words)
    assert given_to_ssh.destination == destination
    started = on_the_way(list(given_to_ssh.options), destination, programs)
    words, through = plain(middle)
    end = ["-W", f"[{target.address.text}]:{target.port.text}", "--", through]
    assert started[: 1 + len(SETTINGS) + len(words)] == ["ssh", *SETTINGS, *words]
    assert started[-4:] == end
    inner = started[1:-4]
    words, last = plain(first)
    assert on_the_way(inner, through, programs) == [
        *("ssh", *SETTINGS, *words),
        *("-W", f"[{middle.address.text}]:{middle.port.text}", "--", last),
    ]


# ---- what wants the person's word

RISKY = {
    "ProxyCommand": "touch x",
    "proxycommand": "touch x",
    "LocalCommand": "touch x",
    "PermitLocalCommand": "yes",
    "KnownHostsCommand": "/bin/x",
    "PKCS11Provider": "/x.so",
    "SecurityKeyProvider": "/x.so",
    "Include": "/x",
    "Match": "exec x",
    "XAuthLocation": "/x",
    "ForwardX11": "yes",
    "ForwardAgent": "yes",
    "RemoteForward": "1 b:2",
    "LocalForward": "1 b:2",
    "DynamicForward": "1",
    "SendEnv": "*",
    "Tunnel": "yes",
    "NoHostAuthenticationForLocalhost": "yes",
    "VerifyHostKeyDNS": "yes",
    "EnableSSHKeysign": "yes",
    "GSSAPIDelegateCredentials": "yes",
    "RevokedHostKeys": "none",
    "ANewOption": "x",
}


@pytest.mark.parametrize(("name", "value"), RISKY.items())
def test_an_option_that_is_not_known_to_be_harmless_wants_the_persons_word(hosts, name, value):
    text = f"{{address: a, options: {{{name}: '{value}'}}}}"
    with pytest.raises(UsageError) as caught:
        hosts(text, kind="openSSH")
    assert f"k0sctl.yaml:6:{37 + len(name) + 2}: {name}: '{value}'" in caught.value.text()
    assert "add --trust-ssh-options" in caught.value.text()
    (host,) = hosts(text, kind="openSSH", agree=lambda _: None)
    assert host.ssh == ("-o", f"{name}={value}", "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("HostName", value) for value in ("-x", "a;touch x", "$(x)", "%h", "a b")),
        *(("HostKeyAlias", value) for value in ("-x", "`x`")),
        *(("User", value) for value in ("-x", "a;touch x", "a@b")),
        *(("Port", value) for value in ("0", "a")),
        *(("ProxyJump", value) for value in ("-oProxyCommand=x", ";touch x;", "a,$(x)", "a@b@c")),
        *(
            ("ProxyJump", value)
            for value in ("a:0", "ssh://a", "[::1", "a:b:c", "u;x@a", "a,,b", "")
        ),
        ("ProxyJump", ",".join("abcdefghi")),
        *(("Ciphers", value) for value in ("a\\nb", "\\e[m", "\\u202e", "\\0", "")),
        *((name, "x") for name in ("X=ProxyCommand", "X Y", "-o", "", "é", "a\\nb", "#")),
    ],
)
def test_an_option_that_is_none_is_refused_whoever_trusts_it(hosts, name, value):
    with pytest.raises(UsageError) as caught:
        hosts(
            f'{{address: a, options: {{"{name}": "{value}"}}}}',
            kind="openSSH",
            agree=lambda _: None,
        )
    assert "k0sctl.yaml:6:" in caught.value.text()
    assert caught.value.text().replace("\n", "").isprintable()


def test_harmless_options_are_taken_without_a_word(hosts):
    (host,) = hosts(
        "{address: a, options: {Ciphers: -aes128-cbc, ProxyJump: 'u@b:22,[::1]', HostName: '::1',"
        " UserKnownHostsFile: ~/.ssh/%k, Compression: on, ServerAliveInterval: 010}}",
        kind="openSSH",
    )
    assert host.ssh == (
        *("-o", "Ciphers=-aes128-cbc", "-o", "ProxyJump=u@b:22,[::1]", "-o", "HostName=::1"),
        *("-o", "UserKnownHostsFile=~/.ssh/%k", "-o", "Compression=yes"),
        *("-o", "ServerAliveInterval=010", "a"),
    )


@pytest.mark.parametrize(
    ("path", "asks"), [("~/.ssh/config", False), ("/c", True), ("config", True), ("none", True)]
)
def test_a_configuration_of_ssh_that_is_not_the_users_own_wants_the_persons_word(hosts, path, asks):
    asked: list[Risk] = []
    (host,) = hosts(
        f"{{address: a, configPath: {path}}}",
        kind="openSSH",
        agree=asked.extend,
    )
    assert host.ssh == ("-F", os.path.expanduser(path), "a")  # noqa: PTH111
    assert bool(asked) is asks


@pytest.mark.parametrize("name", ["StrictHostKeyChecking", "stricthostkeychecking"])
def test_host_keys_are_checked_whatever_the_file_says(tmp_path, name):
    """Once for a file of many hosts, before any of them is reached."""

    class Ssh:
        def run(self, argv, **_):
            said.append(argv)
            return Completed(tuple(argv), 0, "", "", 0.0)

    said: list[object] = []
    file = tmp_path / "k0sctl.yaml"
    options = (
        f"&o {{{name}: no, BatchMode: no, ControlPath: /x, ControlMaster: no, LogLevel: QUIET}}"
    )
    file.write_text(
        f"{HEAD}  - {{role: controller, openSSH: {{address: a, options: {options}}}}}\n"
        "  - {role: worker, openSSH: {address: b, options: *o}}\n"
    )
    with existing_cluster(Ssh(), file, say=said.append):
        pass
    note, konnectivity, *commands = said
    assert konnectivity == "by k0sctl.yaml konnectivity is on"
    assert note == (
        f"{file}:5:{len(name) + 61}: {name}: `no` is not taken over, host keys are always"
        " checked: have them in your known_hosts, or name a file of them in SSH_KNOWN_HOSTS"
    )
    for argv in commands:
        options = [word for word in argv if "=" in word]
        assert options[:2] == ["BatchMode=yes", "StrictHostKeyChecking=yes"]
        assert not {f"{name}=no", "BatchMode=no", "ControlPath=/x", "LogLevel=QUIET"} & set(argv)


def test_ssh_takes_a_destination_for_nothing_else(tmp_path):
    class Ssh:
        commands: tuple[list[str], ...] = ()

        def run(self, argv, **_):
            self.commands += (list(argv),)
            return Completed(tuple(argv), 1 if "-W" in argv else 0, "", REFUSED, 0.0)

    ssh = Ssh()
    remote = OpenSSHRemote("a", ["-p", "22", "-oX"], root=True, sockets=tmp_path, runner=ssh)
    remote.run(["true"], doing="x", deadline=1)
    remote.dial("10.0.0.1", 22, deadline=1)
    remote.close()
    assert len(ssh.commands) == 5
    for command in ssh.commands:
        assert command[command.index("-oX") - 1] == "--"
        assert command[command.index("-oX") + 1 :] in ([], ["true"])


REFUSED = "channel 0: open failed: connect failed: Connection refused\r\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


RISKS = (Risk("f:1:2", "ProxyCommand: 'touch \\x1b[m'"), Risk("f:3:4", "configPath: '/c'"))


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_on_a_terminal_the_person_is_asked_once_and_no_is_the_default(monkeypatch, answer, agreed):
    asked = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked)
    if agreed:
        consent(given=False)(RISKS)
    else:
        with pytest.raises(UsageError, match="can run a program on this machine"):
            consent(given=False)(RISKS)
    assert asked.getvalue().count("[y/N]") == 1
    assert all(str(risk) in asked.getvalue() for risk in RISKS)


def test_where_nobody_can_be_asked_the_answer_is_no(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError) as caught:
        consent(given=False)(RISKS)
    assert caught.value.exit_code == 2
    assert all(f"    {risk}" in caught.value.text() for risk in RISKS)
    consent(given=True)(RISKS)
