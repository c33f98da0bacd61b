"""A corpus of planted secrets, and of evidence that only looks like some.

Nothing here is the output of a real tool: every text is a template in which people, tools and
manuals write a kind of secret (`secrets.txt`), or no secret (`harmless.txt`), filled with values
that are made from a seed. Each is put into contexts as evidence has them: a unit's log, a list of
processes, a manifest, JSON, a shell's history. The file run by itself prints what leaks, and what
does not survive.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LETTERS = string.ascii_letters + string.digits
BASE64 = LETTERS + "+/"
SEED = 20261128
_FOLDER = Path(__file__).parent
_WORDS = "tango fjord walrus copper meadow plasma ginger falcon nimbus quartz".split()  # noqa: SIM905
_HEX = "0123456789abcdef"
# Of a long secret any piece of this length counts as a leak.
_PIECE = 12


def _pick(rng: random.Random, alphabet: str, length: int) -> str:
    return "".join(rng.choice(alphabet) for _ in range(length))


def _b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def _mixed(rng: random.Random, length: int) -> str:
    """Return letters and digits at random, of each sort at least one."""
    return "aB3" + _pick(rng, LETTERS, length - 3)


def _password(rng: random.Random) -> str:
    """Return a password as people choose them, or as their managers do."""
    return rng.choice(
        [
            f"{rng.choice(_WORDS)}{rng.randrange(10, 9999)}",
            f"{rng.choice(_WORDS).title()}{rng.choice(_WORDS)}{rng.choice('!?*+')}{rng.randrange(9)}",
            f"{rng.choice(_WORDS)}-{rng.choice(_WORDS)}-{rng.choice(_WORDS)}",
            _mixed(rng, rng.randrange(10, 30)),
            _mixed(rng, 8) + _pick(rng, "!%^*+?._~-", 3) + _pick(rng, LETTERS, 4),
        ]
    )


def _pem(rng: random.Random, kind: str) -> str:
    body = _b64(b"\x30\x82\x04\xa4\x02\x01\x00\x02\x82\x01\x01\x00" + rng.randbytes(1180))
    lines = "\n".join(textwrap.wrap(body, 64))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def _jwt(rng: random.Random) -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = part(json.dumps({"alg": "RS256", "kid": _pick(rng, LETTERS, 8)}).encode())
    claims = part(
        json.dumps({"sub": "system:serviceaccount:default:x", "n": rng.random()}).encode()
    )
    return f"{head}.{claims}.{part(rng.randbytes(64))}"


# What stands for a value in a template, and how one is made.
VALUES: Mapping[str, Callable[[random.Random], str]] = {
    "p": _password,
    "w": lambda rng: _pick(rng, "bcdfghjklmnprstvwz", 5) + _pick(rng, "aeiou", 2) + "x",
    "phrase": lambda rng: " ".join(rng.sample(_WORDS, 4)),
    "s": lambda rng: _mixed(rng, 6) + _pick(rng, "@#&$=/:", 2) + _pick(rng, LETTERS, 6),
    "t": lambda rng: _mixed(rng, 32),
    "t40": lambda rng: _mixed(rng, 40),
    "t64": lambda rng: _mixed(rng, 64),
    "t60": lambda rng: _pick(rng, BASE64, 60),
    "t20": lambda rng: _mixed(rng, 20),
    "T": lambda rng: _pick(rng, string.ascii_uppercase + string.digits, 30) + "K7",
    "T16": lambda rng: "Q7" + _pick(rng, string.ascii_uppercase + "234567", 14),
    "h8": lambda rng: _pick(rng, _HEX, 8),
    "h16": lambda rng: _pick(rng, _HEX, 16),
    "h32": lambda rng: _pick(rng, _HEX, 32),
    "h40": lambda rng: _pick(rng, _HEX, 40),
    "h64": lambda rng: _pick(rng, _HEX, 64),
    "b32": lambda rng: _b64(rng.randbytes(32)),
    "b64": lambda rng: _b64(rng.randbytes(64)),
    "l54": lambda rng: _pick(rng, "abcdefghijklmnopqrstuvwxyz23456789", 54),
    "d": lambda rng: str(rng.randrange(100000, 999999)),
    "u": lambda rng: "-".join(_pick(rng, _HEX, n) for n in (8, 4, 4, 4, 12)),
    "B": lambda rng: (
        f"{_pick(rng, string.ascii_lowercase, 6)}.k7z{_pick(rng, 'ghijkmnpqrstuvwxyz123', 13)}"
    ),
    "b64rsa": lambda rng: _b64(_pem(rng, "RSA ")),
    "saml": lambda rng: _b64(
        f'<samlp:Response xmlns:saml="x"><saml:Assertion ID="{_mixed(rng, 20)}">'
        f"<saml:NameID>{_password(rng)}</saml:NameID></saml:Assertion></samlp:Response>"
    ),
    "userpass": lambda rng: _b64(f"admin:{_password(rng)}"),
    "enc": lambda rng: _b64(_password(rng)),
    "jwt": _jwt,
    "rsa": lambda rng: _pem(rng, "RSA "),
    "pkcs8": lambda rng: _pem(rng, ""),
    "openssh": lambda rng: _pem(rng, "OPENSSH "),
    "pgp": lambda rng: _pem(rng, "PGP ").replace("KEY-----", "KEY BLOCK-----"),
    "nohead": lambda rng: _pem(rng, "EC ").split("\n", 1)[1],
    "notail": lambda rng: "\n".join(_pem(rng, "RSA ").split("\n")[:-2]),
    "middle": lambda rng: "\n".join(_pem(rng, "RSA ").split("\n")[3:-4]),
    "lines": lambda rng: "\n".join(textwrap.wrap(_b64(rng.randbytes(400)), 64)),
    "hexlines": lambda rng: "\n".join(_pick(rng, _HEX, 32) for _ in range(16)),
    "salthash": lambda rng: f"{_pick(rng, LETTERS, 8)}${_pick(rng, LETTERS + './', 43)}",
    "crypt13": lambda rng: _pick(rng, LETTERS, 13),
    "slack": lambda rng: (
        f"T0{_pick(rng, string.ascii_uppercase, 8)}/B0{_pick(rng, LETTERS, 8)}/{_mixed(rng, 24)}"
    ),
}
_PLACE = re.compile(r"\{([A-Za-z][a-z0-9]*)\}")


def _in_unit_log(text: str) -> str:
    """Return `text` as a unit's log has it, a line of the journal for each."""
    return "".join(f"Nov 28 10:11:12 controller0 k0s[714]: {line}\n" for line in text.split("\n"))


def _in_logfmt(text: str) -> str:
    message = json.dumps(text, ensure_ascii=False)
    return f'time="2026-11-28T10:11:12Z" level=info msg={message} component=kine\n'


def _in_processes(text: str) -> str:
    line = " ".join(part.strip() for part in text.replace("'", "").split("\n"))
    return f"UID PID CMD\nroot 1 /sbin/init\nroot 714 {line}\nroot 715 /usr/bin/kubelet --v=1\n"


def _in_manifest(text: str) -> str:
    block = textwrap.indent(text, "    ")
    return f"apiVersion: v1\nkind: ConfigMap\ndata:\n  file: |\n{block}\nmetadata:\n  name: x\n"


def _in_json(text: str) -> str:
    return json.dumps({"items": [{"message": text, "count": 3}]}, ensure_ascii=False)


def _in_json_in_json(text: str) -> str:
    return json.dumps({"log": _in_json(text)}, indent=1)


def _in_history(text: str) -> str:
    return f"  411  cd /etc\n  412  {text}\n  413  ls -la\n"


def _in_zsh_history(text: str) -> str:
    return f": 1764324671:0;cd /etc\n: 1764324672:0;{text}\n"


CONTEXTS: Mapping[str, Callable[[str], str]] = {
    "alone": lambda text: text,
    "unit log": _in_unit_log,
    "logfmt": _in_logfmt,
    "process list": _in_processes,
    "manifest": _in_manifest,
    "JSON": _in_json,
    "JSON in JSON": _in_json_in_json,
    "shell history": _in_history,
    "zsh history": _in_zsh_history,
}


@dataclass(frozen=True)
class Planted:
    """One text of the corpus: its kind, its context, and the secrets that are planted in it."""

    kind: str
    context: str
    text: str
    secrets: tuple[str, ...] = ()


def kinds(name: str) -> tuple[str, ...]:
    """Return the templates in the file `name`, `secrets.txt` or `harmless.txt`."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").split("\n")
    return tuple(line for line in lines if line and not line.startswith("## "))


def planted(name: str, rounds: int = 1, seed: int = SEED) -> Iterator[Planted]:
    """Yield every kind of the file `name` in every context, `rounds` times with other values."""
    rng = random.Random(seed)  # noqa: S311  # the same corpus each time is what is wanted
    for kind in kinds(name) * rounds:
        values: list[str] = []
        text = _filled(kind.replace(r"\n", "\n").replace(r"\t", "\t"), rng, values)
        for context, put in CONTEXTS.items():
            yield Planted(kind, context, put(text), tuple(values))


def _filled(template: str, rng: random.Random, made: list[str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found.group(1) not in VALUES:
            return found.group()
        made.append(VALUES[found.group(1)](rng))
        return made[-1]

    return _PLACE.sub(value, template)


def leaked(planted: Planted, redacted: str) -> str | None:
    """Return a piece of a planted secret that `redacted` still holds, None for none.

    A secret of several lines is looked for line by line; of a long one any 12 characters count.
    """
    for secret in planted.secrets:
        for line in secret.split("\n"):
            if line.startswith("-----"):
                continue
            pieces = [line] if len(line) <= _PIECE else _pieces(line)
            found = next((piece for piece in pieces if piece and piece in redacted), None)
            if found is not None:
                return found
    return None


def _pieces(line: str) -> list[str]:
    return [line[at : at + _PIECE] for at in range(len(line) - _PIECE + 1)]


def leaks(redact: Callable[[str], str], rounds: int = 1, seed: int = SEED) -> list[Planted]:
    """Return the texts of which a planted secret, or a piece of one, survives `redact`."""
    return [
        each
        for each in planted("secrets.txt", rounds, seed)
        if leaked(each, redact(each.text)) is not None
    ]


def false_positives(redact: Callable[[str], str], seed: int = SEED) -> list[Planted]:
    """Return the harmless texts that `redact` changes."""
    return [each for each in planted("harmless.txt", 1, seed) if redact(each.text) != each.text]


def main() -> None:
    """Print what leaks and what does not survive, then the figures."""
    from harness.evidence.redaction import redact  # noqa: PLC0415  # only when run by itself

    for name, found in (("secrets.txt", leaks(redact)), ("harmless.txt", false_positives(redact))):
        for each in found:
            print(f"{each.context}: {each.kind}\n    {redact(each.text)!r}")  # noqa: T201
        of = f"{len(kinds(name))} kinds in {len(CONTEXTS)} contexts"
        print(f"{name}: {len(found)} texts of {of}")  # noqa: T201


if __name__ == "__main__":
    main()
