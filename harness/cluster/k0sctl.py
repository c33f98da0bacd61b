"""k0sctl: what deploys k0s and changes it, as a user would."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from harness.base.completed import CommandFailedError
from harness.base.context import Say
from harness.base.errors import InfrastructureError
from harness.base.process import Runner
from harness.base.sayings import Told, told
from harness.base.sayings.row import Of
from harness.base.telling import plain, telling_sentence
from harness.ssh.pace import between_looks, is_slow
from harness.vocabulary.words import ApplyOutcome

# k0sctl's own waits, for a node to be Ready among them, are two minutes each, which a busy host
# overruns: five times that, and two minutes times the pace of machines that are slower still.
WAIT_SECONDS = 600.0
K0SCTL_WAIT_SECONDS = 120.0
# Between two looks of k0sctl's own waits (v0.31.0 pkg/retry/retry.go).
RETRY_SECONDS = 5.0
# Where no nodes are waited for a look is `k0s status` or `/readyz`, and every apply has one too
# early.
LOOK_SECONDS = 1.0
# One wait may be used up and the rest of the apply still succeed: a cold one takes 37-42 s on two
# cores, 300-309 s under software emulation.
APPLY_WAITS = 1.5
# Of the errors that k0sctl told before its end so many are quoted.
_LAST_ERRORS = 3

_PHASE = re.compile(r"==> Running phase: (.*?)\"?$")
# A fatal line as k0sctl writes it into a log and, from v0.4 on, for a terminal, where its text may
# go on in lines of its own until the next line that has a level.
_FATAL = re.compile(r'^(?:time="[^"]*" )?level=fatal msg="((?:[^"\\]|\\.)*)"')
_FATAL_SHOWN = re.compile(r"^FATA(?:\[\d+\])? (.*)")
_LEVEL = re.compile(
    r'^(?:time="[^"]*" )?(?:level=\w+ msg=|(?:DEBU|INFO|WARN|ERRO|FATA)(?:\[\d+\])? )'
)
_ERROR = re.compile(
    r'^(?:time="[^"]*" )?(?:level=error msg="((?:[^"\\]|\\.)*)"|ERRO(?:\[\d+\])? (.*))'
)
_PANIC = re.compile(r"^panic: .+")
# k0sctl's own wrapping of the reason, which names a log file of the run's state folder.
_WRAPPING = re.compile(r"^apply failed - log file saved to \S+: ")
_HOSTS = re.compile(r"^failed on \d+ hosts?:\s+(?=- )")
_HOST = re.compile(r"(?:^|\s)- (?:\[\w+\] )?(\S+): ")
# What k0s and k0sctl say of a configuration they will not take; whatever else ends an apply (an
# upload, a node that never becomes Ready) failed and refused nothing.
_REFUSAL = re.compile(
    r"validation failed|unknown field|is not unique|\binvalid\b|unmarshal errors", re.IGNORECASE
)
_CRASH = re.compile(r"^panic: ", re.IGNORECASE)


class ApplyFailedError(InfrastructureError):
    """`k0sctl apply` ended badly; `reason` is what it said, in one line.

    The sentence says what was wrong, where that is known; `output` is all that k0sctl printed.
    """

    def __init__(self, reason: str, log: Path, *, output: str = "") -> None:
        self.reason = reason
        meaning = _meaning_of(reason, output)
        super().__init__(
            "Applying the cluster configuration",
            meaning.happened if meaning is not None else reason,
            details=_last_errors(reason, output) if meaning is not None else None,
            remedy=meaning.remedy if meaning is not None else None,
            where=log,
        )

    @property
    def outcome(self) -> ApplyOutcome:
        """Whether the configuration was refused, or was taken and something failed."""
        crashed = _CRASH.match(self.reason) is not None
        refused = _REFUSAL.search(self.reason) is not None and not crashed
        return ApplyOutcome.REFUSED if refused else ApplyOutcome.FAILED


class K0sctl:
    """Runs k0sctl on one configuration file, touching nothing of the user's own.

    It verifies host keys against the run's `known_hosts` (the file named by SSH_KNOWN_HOSTS, rig
    v0.19 and v2; otherwise it would pin them in `~/.ssh/known_hosts`), and keeps its log and cache
    in `scratch` instead of `~/.cache/k0sctl`. `mark` lies in its environment, so that `clean` ends
    what a killed run left waiting.
    """

    def __init__(
        self,
        binary: Path,
        *,
        config: Path,
        known_hosts: Path,
        scratch: Path,
        log: Path,
        runner: Runner,
        mark: Mapping[str, str],
    ) -> None:
        self._binary = binary
        self._config = config
        self._env = {
            "SSH_KNOWN_HOSTS": str(known_hosts),
            "XDG_CACHE_HOME": str(scratch),
            **mark,
        }
        self._log = log
        self._runner = runner

    def apply(
        self,
        *,
        kubeconfig: Path,
        api: str,
        pace: float = 1.0,
        may_fail: bool = False,
        first: bool = True,
        joining: bool = False,
        on_phase: Say | None = None,
    ) -> None:
        """Deploy or change the cluster as the configuration file says.

        Writes the admin kubeconfig to `kubeconfig`; `api` is the API server's address:port in it.
        `pace` is how many times slower than this host the machines are. Where it `may_fail` k0sctl
        waits no longer than by itself. `first` is whether nothing stands there yet, `joining` that
        others wait for the nodes. `on_phase` hears the title of each phase of k0sctl.
        Raises `ApplyFailedError` with the reason k0sctl gave, or `CommandFailedError` past the
        deadline.
        """

        def listen(line: str) -> None:
            title = phase_title(line)
            if title is not None and on_phase is not None:
                on_phase(title)

        # Never over an existing file: k0sctl v0.31.0 does not truncate it, and a kubeconfig that is
        # a few characters shorter than the one before is then no YAML (seen 2026-11-23).
        fresh = kubeconfig.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        try:
            self._runner.run(
                [
                    str(self._binary),
                    "apply",
                    # Hidden and deprecated, and there in v0.31.0.
                    "--default-timeout",
                    f"{wait_seconds(pace, may_fail=may_fail):.0f}s",
                    *_patience(pace, first=first, joining=joining),
                    "--config",
                    str(self._config),
                    "--kubeconfig-out",
                    str(fresh),
                    # The whole URL: k0sctl writes it into the kubeconfig as it stands.
                    "--kubeconfig-api-address",
                    f"https://{api}",
                ],
                doing="Applying the cluster configuration with k0sctl",
                deadline=apply_seconds(pace, may_fail=may_fail),
                env=self._env,
                log=self._log,
                on_line=listen,
            )
        except CommandFailedError as error:
            if error.timed_out:
                raise
            output = error.completed.stdout + "\n" + error.completed.stderr
            raise ApplyFailedError(reason_of(output), self._log, output=output) from None
        fresh.replace(kubeconfig)


def _patience(pace: float, *, first: bool, joining: bool) -> Sequence[str]:
    """Return how often k0sctl looks, and whether it waits for nodes that join.

    It runs `k0s kubectl get node` on each worker until its Node is Ready, a program of 260 MB on
    the very processors that the nodes wait for, and takes its failing for a lost connection
    (v0.31.0 pkg/node/connection.go), so connects anew. On emulated machines that alone kept the
    workers from becoming Ready: 189 times in 13 minutes on 2026-11-23. One question to the API
    server tells the same of all. By itself it looks every 5 s, also at an API server that is up
    after six.
    """
    looks = between_looks(RETRY_SECONDS, pace) if is_slow(pace) else LOOK_SECONDS
    often = ("--retry-interval", f"{looks:.0f}s")
    if is_slow(pace) or joining:
        return ("--no-wait", *often)
    return () if first else often


def wait_seconds(pace: float, *, may_fail: bool = False) -> float:
    """Return how long each of k0sctl's own waits may last: one that `may_fail`, as by itself."""
    return max(K0SCTL_WAIT_SECONDS if may_fail else WAIT_SECONDS, K0SCTL_WAIT_SECONDS * pace)


def apply_seconds(pace: float, *, may_fail: bool = False) -> float:
    """Return how long a whole apply may take."""
    return APPLY_WAITS * wait_seconds(pace, may_fail=may_fail)


def phase_title(line: str) -> str | None:
    """Return the title in k0sctl's line `==> Running phase: TITLE`, None for another line."""
    found = _PHASE.search(line)
    return found.group(1) if found else None


def reason_of(output: str) -> str:
    """Return the reason in k0sctl's last fatal line, on one line; without one, its telling words.

    Hosts that failed for the same reason are named together: k0sctl repeats it for each.
    """
    said = _fatal(output)
    groups = _hosts_by_reason(said)
    if groups:
        count = sum(len(hosts) for hosts in groups.values())
        each = "; ".join(f"{', '.join(hosts)}: {why}" for why, hosts in groups.items())
        return f"failed on {_counted(count)}: {each}"
    return _one_line(said) or telling_sentence(output) or "k0sctl said nothing"


def _meaning_of(reason: str, output: str) -> Told | None:
    """Return what k0sctl's reason comes to, each host named once; None where that is unknown."""
    groups = _hosts_by_reason(_fatal(output))
    if not groups:
        return told(reason, Of.K0SCTL) or told(output, Of.SSH, Of.SUDO)
    happened, remedies = [], []
    for why, hosts in groups.items():
        # Of the OpenSSH client k0sctl only says that it failed; that has spoken for itself.
        found = (told(output, Of.SSH) if "control master" in why else None) or told(why, Of.K0SCTL)
        happened.append(
            f"{found.happened if found is not None else why}"
            f" ({_counted(len(hosts))}: {', '.join(hosts)})"
        )
        remedies += [found.remedy] if found is not None else []
    return Told("; ".join(happened), "; ".join(dict.fromkeys(remedies))) if remedies else None


def _fatal(output: str) -> str:
    """Return what k0sctl's last fatal line says, or its panic, as it said it; or nothing."""
    lines = plain(output).splitlines()
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number].strip()
        found = _FATAL.match(line)
        if found is not None:
            return _unwrapped(_unescaped(found.group(1)))
        shown = _FATAL_SHOWN.match(line)
        if shown is not None:
            more = takewhile(lambda each: _LEVEL.match(each) is None, lines[number + 1 :])
            return _unwrapped("\n".join([shown.group(1), *more]))
        # Of a panic in a panic Go prints both; what stands first was first.
        if _PANIC.match(lines[number]) and not any(map(_PANIC.match, lines[:number])):
            return line.removesuffix(" [recovered]")
    return ""


def _hosts_by_reason(said: str) -> dict[str, list[str]]:
    """Return the hosts of k0sctl's list by why they failed, in its order; none without a list."""
    beginning = _HOSTS.match(said)
    if beginning is None:
        return {}
    # Before the first host is nothing; then come hosts and reasons by turns.
    _, *parts = _HOST.split(said[beginning.end() :])
    found: dict[str, list[str]] = {}
    for host, why in zip(parts[::2], parts[1::2], strict=True):
        found.setdefault(_one_line(why), []).append(host)
    return found


def _last_errors(reason: str, output: str) -> str:
    """Return k0sctl's own words for the end, after the last errors that it told before."""
    found = (_ERROR.match(line.strip()) for line in plain(output).splitlines())
    said = [_one_line(_unescaped(each.group(1) or each.group(2) or "")) for each in found if each]
    before = [line for line in dict.fromkeys(said) if line]
    return "\n".join([*before[-_LAST_ERRORS:], reason])


def _unescaped(words: str) -> str:
    return words.replace('\\"', '"').replace("\\n", "\n").replace("\\t", " ")


def _unwrapped(said: str) -> str:
    return _WRAPPING.sub("", said).strip()


def _one_line(words: str) -> str:
    return " ".join(words.split()).replace(" )", ")")


def _counted(hosts: int) -> str:
    return f"{hosts} host{'' if hosts == 1 else 's'}"
