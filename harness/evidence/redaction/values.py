"""What a value is by its form: plainly no secret, a word of prose, or like a secret."""

from __future__ import annotations

import re

from harness.evidence.redaction.names import Meaning, Test
from harness.evidence.redaction.vocabulary import words

# No placeholder, path or word of prose is longer; so what looks at one takes a bounded time.
LONGEST_HARMLESS = 300

_HARMLESS = re.compile(
    r"""
    \[?redacted\b.* | true | false | yes | no | on | off | null | nil | none | undefined | unset
    | ~ | n/a | - | <[\w\ .,:/-]*> | \([\w\ ]*\) | [*•]+ | x{3,} | \.{3,}
    | (?:map)?\[\] | \{\} | \d{1,2} | [|>][+-]?\d? | your[-_ ][\w\ -]*
    # What stands for a value that is elsewhere: shell, YAML tags, templates, formats, openssl.
    | \$\([^()]*\) | \$\{.*\} | \$[a-z_]*(?:pass|pw|secret|token|key|cred|auth|var)[a-z_]* | \$\d
    | %[a-z_]+% | %\(\w+\)s | %[-+#]?[a-z] | \{\{.*\}\} | @@?\w+@@?
    | !(?:vault|ref|sub|getatt|reference|env|secret|include)\b.* | id=[\w-]+,.* | type=\w+,.*
    | (?:env|fd|file|stdin|prompt|vault|unix|ref\+\w+):[\w./~-]* | stdin
    # Of a list of arguments without their options, the next of them.
    | --[a-z][\w-]*(?:=.*)?
    # A pointer as Go prints it, and a type with its method.
    | 0xc[0-9a-f]{9} | \*?v1\.\w+
    # Paths are where a secret is, not what it is. So is an address without anybody's name in it.
    | (?:file:)?/(?:var|etc|run|home|root|tmp|usr|opt|srv|mnt|data|dev|proc|sys|lib|lib64|s?bin|boot
      |media|snap|secrets?|certs?|keys?|config|apps?|vault|workspace|nix|private|users|volumes?|k0s
      |kubernetes|ssl|pki|registry|apis?)(?:/[^\s=@]*)?
    | (?:~|\.{1,2}|\$[A-Z_]{2,}|%[a-z]+%)/[^\s=@]* | [a-z]:\\[^=]* | @[~.]{0,2}/[^\s=]*
    | [a-z][a-z0-9+.-]*://[^\s@]*
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_SHELL_CONSTANT = re.compile(r"\$[A-Z_][A-Z0-9_]*")
# Of tokens, secrets and keys, but not of passwords, these are names: of objects (db-credentials),
# of a namespace and an object, of kinds of tokens.
_NAME_OF_ONE = re.compile(
    r"[a-z0-9]+(?:[-_.][a-z0-9]+)*[-_.](?:secrets?|tokens?|pass(?:word)?s?|creds?|credentials|keys?"
    r"|tls|certs?|auth|config|secret-name)"
    r"|[a-z0-9]+(?:-[a-z0-9]+)*/[a-z0-9]+(?:[-.][a-z0-9]+)*"
    r"|password|passwd|token|secret|key|api-?key|username|credentials"
    r"|simple|jwt(?:,.*)?|basic|bearer|opaque|generic|kubernetes\.io/.*"
)
# What an error, a check or a log says of a secret instead of the secret.
_PROSE = words(
    "absent accepted access already authentication authenticated bad blank block cannot can't"
    " changed check checking compat contains context could couldn't created deleted denied differs"
    " did didn't disabled does doesn't duplicate empty enabled error exists expected expired"
    " expires expiring failed failure files forbidden found generated got has hash hidden ignored"
    " incorrect invalid is isn't lacks ldap length loading lookup malformed masked matches mismatch"
    " mismatched missing must needed never no not nss null ok omitted optional parse parsing"
    " permission please prompt provided reading refused rejected removed renewed required requires"
    " reset revoked rotated rotation set should signed skipped sss supported supplied systemd too"
    " unable unauthorized unchanged undefined unexpected unknown unset unsupported updated used"
    " using valid validated verification verified was were wrong"
)
# These begin sentences too, and passphrases; what follows tells.
_BEGINNING = words(
    "a all an any enter key passphrase password secret token for if in it of on only read see that"
    " the this to use user when will with you your"
)
_PUNCTUATION = ".,;:!?)('\""
# Words, names, numbers, dates, sizes and addresses, whatever digits and capitals are in them.
_WORD = re.compile(r"[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)*\d{0,2}")  # word, CamelCase, worker0
_PLAIN = re.compile(
    r"""
    [A-Za-z][a-z]*(?:[-_./:][A-Z]?[a-z]*)+ | [A-Z]+(?:_[A-Z]+)* | \W+
    | [a-z0-9]+(?:[-./:][a-z0-9]+)+ | [a-z]+(?:_[a-z0-9]+)+
    | v?\d[\d.,:_-]*(?:[-+][\w.+-]+)? | (?:\d+(?:\.\d+)?(?:[nuµm]?s|h|d|m|[KMGTPE]i?B?|B|%))+
    | \d{4}-\d\d-\d\d[T_ ]?[\d:.]*Z? | [0-9a-fA-F:.]*:[0-9a-fA-F:.%/\w]*
    | (?:sha\d+|md5)[:-].* | (?:ssh|ecdsa|sk)-[\w@.-]+.* | AAAA[A-Z].* | [\w.]+\([\w*.,]*\)
    """,
    re.VERBOSE,
)
_SPECIAL = re.compile(r"[!@#$%^&*+=?~|<>{};/]")
_SHORTEST_RANDOM = 8
# With `$`, `!` and the like in it a shorter value is no word either.
_SHORTEST_SPECIAL = 6
# Of a name as wide as "key": a key of 128 bits in base64.
_SHORTEST_MIXED = 22
# Longer than the words of prose.
_LONG_WORD = 16
_DIGITS = re.compile(r"\d{4,12}")


def is_harmless(value: str) -> bool:
    """Return whether `value` is no secret whatever its name: empty, a placeholder, a path."""
    stripped = value.strip()
    return not stripped or (
        len(stripped) <= LONGEST_HARMLESS
        and (
            _HARMLESS.fullmatch(stripped) is not None
            or _SHELL_CONSTANT.fullmatch(stripped) is not None
        )
    )


def is_prose(value: str) -> bool:
    """Return whether `value` begins as a sentence about a secret does ("incorrect", "must be")."""
    said = [word.strip(_PUNCTUATION).lower() for word in value[:LONGEST_HARMLESS].split()]
    return bool(said) and (
        said[0] in _PROSE or (said[0] in _BEGINNING and not _PROSE.isdisjoint(said))
    )


def looks_random(value: str) -> bool:
    """Return whether `value` is like a secret and unlike a word, a name, a number or an address."""
    if not _SHORTEST_SPECIAL <= len(value) <= LONGEST_HARMLESS:
        return False
    if _PLAIN.fullmatch(value) or _WORD.fullmatch(value):
        return False
    if not any(letter.isalpha() for letter in value):
        return False
    if len(value) < _SHORTEST_RANDOM:
        return _SPECIAL.search(value) is not None
    return (
        any(letter.isdigit() for letter in value)
        or _SPECIAL.search(value) is not None
        or not (value.islower() or value.isupper())
    )


def stands_out(value: str) -> bool:
    """Return whether `value`, behind a secret's name in prose ("token: …"), is more than a word."""
    value = value[:LONGEST_HARMLESS]
    return _PLAIN.fullmatch(value) is None and (
        len(value) >= _LONG_WORD
        or looks_random(value)
        or (
            len(value) >= _SHORTEST_SPECIAL
            and (any(letter.isdigit() for letter in value) or _SPECIAL.search(value) is not None)
        )
    )


def is_secret(value: str, meaning: Meaning) -> bool:
    """Return whether `value` is the secret that its name speaks of, where it is assigned to it."""
    value = value.strip()
    if is_harmless(value) or is_prose(value):
        return False
    if meaning.kind != "password" and _NAME_OF_ONE.fullmatch(value[:LONGEST_HARMLESS]):
        return False
    match meaning.test:
        case Test.ANY | Test.ASSIGNED:
            return True
        case Test.DIGITS:
            return _DIGITS.fullmatch(value) is not None or looks_random(value)
        case Test.MIXED:
            return len(value) >= _SHORTEST_MIXED and _is_mixed(value) and looks_random(value)
        case Test.RANDOM:
            return looks_random(value)


def _is_mixed(value: str) -> bool:
    return (
        any(letter.isdigit() for letter in value)
        and any(letter.islower() for letter in value)
        and any(letter.isupper() for letter in value)
    )
