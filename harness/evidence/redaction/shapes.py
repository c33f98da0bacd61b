"""Secrets known by their form alone: tokens that their issuers mark, hashes, keys.

Most are one run of letters, digits and a few signs, and are looked for there (`redact_run`). The
others are told by a sign, which a text is asked for first, so that a form costs nothing where it
cannot be.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

_END = r"(?![A-Za-z0-9])"
# What issuers put before the random part, of which at least 16 follow, a digit among them.
_PREFIXES = (
    "gh[pousr]_ github_pat_ npm_ hf_ gsk_ r8_ glsa_ glc_ nfp_ sbp_ sb_secret_ dckr_[po]at_"
    " do[opr]_v1_ shp(?:at|ca|pa|ss)_ fig[do]_ lin_(?:api|oauth)_ ntn_ tfp_ rubygems_"
    " pscale_(?:tkn|pw|oauth)_ ory_[ars]t_ sntry[su]_ pnu_ whsec_ [sr]k_(?:live|test)_"
    " rzp_(?:live|test)_ (?:live|test)_sk_ bkua_ CCIPAT_ phx_ fo1_ fm[12]_ sq[upa]_ rnd_ ops_ey"
    " nvapi- tvly- xai- gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|ffct)- gloas- GR1348941"
    " xox[a-z](?:\\.xox[a-z])?- xapp- GOCSPX- pypi-Ag sk-(?:proj|ant|or|svcacct)-"
    " NR(?:AK|JS|II|SP)- PMAK- pul- HRKU- tskey-(?:auth|api|client)- SWMTKN-1- SWMKEY-1- pplx-"
    " CFPAT- fio-u- p8e- FLWSECK(?:_TEST)?- sq0(?:atp|csp)- x(?:keysib|smtpsib)- AIza ya29\\."
    " 1//0 hv[sbr]\\. dt0[cs]01\\. dp\\.(?:pt|st|ct|sa|scim|audit)\\. SG\\. ATATT ATCTT ATSTT ATBB"
    " AKCp oy2 cmVmdGtu"
).replace(" ", "|")
_MIXED = r"(?=[A-Z0-9]*[a-z])(?=[a-z0-9]*[A-Z])(?=[A-Za-z]*\d)"
_HOOKS = (
    r"(?<=hooks\.slack\.com/services/)",
    r"(?<=hooks\.slack\.com/workflows/)",
    "(?<=/api/webhooks/)",
)
_MARK = r"[A-Za-z][A-Za-z0-9]{1,11}(?:[_-][A-Za-z0-9]{1,10}){0,3}"
# Digests (sha512-…), keys that are public, and names of requests for certificates.
_OTHERS = r"sha\d|ssh-|node-csr-"
# Forms that are one run, in the order in which they are tried.
_OF_RUNS: tuple[tuple[str, str], ...] = (
    ("token", rf"(?:{_PREFIXES})(?=[\w./+-]{{0,80}}[\dA-Z])[\w./+-]{{16,}}+={{0,2}}"),
    (
        "access key",
        r"(?:A(?:KI|SI|BI|CC)A[A-Z0-9]{16}|(?:LTAI|AKID)[A-Za-z0-9]{12,36})" + _END,
    ),
    ("session token", r"(?:F[wQ]oGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9+/]{20,}+={0,2}"),
    ("age key", r"(?:AGE|age)-(?:SECRET-KEY|secret-key|PLUGIN|plugin)-[A-Za-z0-9-]{20,}+"),
    # Kubernetes' bootstrap tokens. A digit in the second half tells them from domain names; names
    # of events end in 16 hexadecimal digits (worker.17f8…), which a random token never does.
    (
        "bootstrap token",
        r"(?<![.-])[a-z0-9]{6}\.(?=[a-z]{0,15}[0-9])(?![0-9a-f]{16})[a-z0-9]{16}(?![A-Za-z0-9.-])",
    ),
    # Tokens of services whose mark is of few letters, or in another place than the beginning.
    ("token", rf"(?<![_-])sk-(?=\w*[A-Z])(?=\w*\d)\w{{20,}}+{_END}"),
    ("token", rf"(?<![_-])(?:key-|SK)[0-9a-f]{{32}}{_END}"),
    ("token", rf"(?<![_-])secret_(?=\w*\d)[A-Za-z0-9]{{40,}}+{_END}"),
    ("token", rf"(?<![_./-])[sbr]\.{_MIXED}[A-Za-z0-9]{{24,}}+(?![\w.-])"),
    ("token", r"(?<!_)\w{14}\.atlasv1\.\w{60,}+"),
    ("token", rf"(?<!_)pat\w{{14}}\.[a-f0-9]{{64}}{_END}"),
    ("token", rf"(?<!_)dapi[a-f0-9]{{32}}(?:-\d)?{_END}"),
    ("token", rf"(?<!_)[0-9a-f]{{32}}-us\d{{1,2}}{_END}"),
    ("token", rf"(?<![_+/-])cio{_MIXED}[A-Za-z0-9]{{32}}(?![\w+/=-])"),
    ("token", r"(?<![_+/-])AQVN[\w-]{35,}+(?![+/=])"),
    ("token", rf"(?<![_+/-])EAA{_MIXED}[A-Za-z0-9]{{60,}}+(?![\w+/=-])"),
    ("token", r"(?<![_+/-])A{21}[A-Za-z0-9]{60,}+(?![\w+/=-])"),
    ("token", r"(?<!_)K10[0-9a-f]{32,}+"),
    ("token", r"(?<!_)v[1-4]\.(?:local|public)\.[\w.-]{20,}+"),
    # Discord's: an id in base64, a time, a signature.
    ("token", r"(?<![_./-])[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}+(?![\w./-])"),
    ("private key", r"(?<!_)[xyzt]prv[1-9A-HJ-NP-Za-km-z]{100,}+"),
    ("recovery key", r"(?<!-)(?:\d{6}-){7}\d{6}(?![\d-])"),
    ("password hash", r"grub\.pbkdf2\.\w+\.\d+\.[0-9A-F.]{32,}+"),
    ("password hash", r"(?<![_/-])md5[0-9a-f]{32}(?!\w)"),
    # Addresses that let whoever knows them write.
    ("webhook", rf"(?:{'|'.join(_HOOKS)})[\w/-]{{16,}}+"),
    # A token of an issuer that is not in the list: letters, `_` or `-`, then capitals, small
    # letters and digits at random.
    ("token", rf"\A(?!{_OTHERS}){_MARK}[_-]{_MIXED}[A-Za-z0-9]{{20,}}+\Z"),
)
# A letter or digit before it means that a secret of none of these forms begins there.
_IN_RUN = re.compile(
    "(?<![A-Za-z0-9])(?:{})".format(
        "|".join(f"(?P<k{number}>{form})" for number, (_, form) in enumerate(_OF_RUNS))
    )
)
_SIGN = re.compile(r"[0-9A-Z]")


@dataclass(frozen=True)
class _Shape:
    kind: str
    # One of these is in every secret of the form.
    signs: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str


def _shape(kind: str, signs: str, pattern: str) -> _Shape:
    """Return the form; blanks part its signs, and what a group of the pattern holds stays."""
    compiled = re.compile(pattern)
    mark = f"[redacted: {kind}]"
    return _Shape(
        kind, tuple(signs.split(" ")), compiled, rf"\1{mark}" if compiled.groups else mark
    )


_OF_TEXTS = (
    _shape("token", "Q~ 256~", r"(?<![\w~.-])(?:[\w~.-]{3}\dQ~[\w~.-]{31,34}|sha256~[\w-]{40,}+)"),
    _shape("token", ":AA", r"(?<!\d)\d{8,10}:AA[\w-]{30,}+"),
    _shape("webhook", "/webhookb2/", r"(/webhookb2/)[\w@/-]{16,}+"),
    # A row of the API server's file of tokens.
    _shape(
        "token",
        ',system: ,"system: ,\\"system: ,\\\\\\"system:',
        r"(?<![\w.-])[\w.-]{16,}(?=,[\w:.@-]{1,64},[\w-]{0,40},\\*\"?system:)",
    ),
    _shape("token", "token]::", r"(?<=token\]::)[\w.-]+(?::[\w.-]+)?"),
    _shape(
        "token",
        "token- kubeconfig-",
        r"(?:token-(?<![\w-]token-)[a-z0-9]{5}|kubeconfig-[\w-]{3,40}):[a-z0-9]{40,}+",
    ),
    _shape(
        "seed", "otpauth:", r"(otpauth://[^\s\"'?]{0,200}\?[^\s\"']{0,200}?secret=)[A-Za-z2-7]{8,}+"
    ),
    # Hashes that a password can be guessed from: crypt's family, then those of applications.
    _shape(
        "password hash",
        "$",
        r"\$(?:[0-9a-zA-Z]|2[abxy]|apr1|md5|sha1|gy|sm3|argon2(?:id|i|d)|scrypt|bcrypt-sha256"
        r"|pbkdf2[\w-]*|krb5\w+)\$[A-Za-z0-9./$=,+*@_-]{16,}+",
    ),
    _shape(
        "password hash",
        "pbkdf2 scrypt: bcrypt argon2$ sha1$ md5$ SCRAM-SHA-",
        r"(?<![\w$])(?:pbkdf2[_:]\w+(?::\d+)*|scrypt(?::\d+)+|bcrypt(?:_sha256)?|argon2|sha1|md5)"
        r"\$[\w./$=,+]{16,}+|SCRAM-SHA-\d+\$[A-Za-z0-9+/=:$]{20,}+",
    ),
    _shape(
        "password hash",
        "SHA} SHA2 SHA5 MD5} CRYPT} crypt} ARGON2} PBKDF2",
        r"\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|crypt|ARGON2|PBKDF2[\w-]*)\}[A-Za-z0-9+/=$.]{12,}+",
    ),
    _shape("password hash", "*", r"\*[0-9A-F]{40}(?!\w)"),
    # Rows of a dump of Windows' passwords and of /etc/shadow with a hash of the old kind.
    _shape(
        "password hash",
        "::: aad3b435",
        r"(?<![0-9A-Za-z])[0-9a-fA-F]{32}:[0-9a-fA-F]{32}(?!\w)"
        r"|(?<=:)[./0-9A-Za-z]{13}(?=:\d+:\d*:)",
    ),
    # Keys of IPsec as Cilium and `ip xfrm` write them, and of WireGuard in `wg show all dump`.
    _shape(
        "key",
        "gcm( cbc( ctr( hmac( cmac( rfc4106(",
        r"((?:rfc\d+|gcm|cbc|ctr|[hcx]?mac)\([\w()-]{1,40}\)[ ]+(?:0x)?)[0-9a-fA-F]{32,}+",
    ),
    _shape(
        "key",
        "=\t =\\t =\\\\t",
        r"(?:(?<![A-Za-z0-9+/])|(?<=\\t))[A-Za-z0-9+/]{43}=(?=(?:\s|\\+t)+[A-Za-z0-9+/]{43}=(?:\s|\\+t)+\d+)",
    ),
)
# The secret half of a key of AWS stands near the public half.
_NEAR_ACCESS_KEY = re.compile(
    r"(\[redacted: access key\](?:(?!\[redacted)[\s\S]){1,160}?(?<![A-Za-z0-9/+=]))"
    r"(?=[A-Za-z0-9/+]{0,39}\d)(?=[A-Za-z0-9/+]{0,39}[a-z])(?=[A-Za-z0-9/+]{0,39}[A-Z])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)
# An entry of .pgpass: host, port, database, user, password. An IPv6 address has only such digits.
_PGPASS = re.compile(r"(:(?:\d{4,5}|\*):[\w*-]{1,64}:[\w*.@-]{1,64}:)(?!\[)[^\s\"']{3,}+")
_PGPASS_HOST = re.compile(r"(?:(?<![\w.:/*-])|(?<=\\n))(?![0-9a-f]{1,4}\Z)(?:\*|\w[\w.-]{0,100})\Z")


@functools.lru_cache(maxsize=8192)
def redact_run(run: str) -> str:
    """Return `run`, of letters, digits and the signs of base64 and names, without its secrets."""
    if _SIGN.search(run) is None:
        return run
    return _IN_RUN.sub(_marked, run)


def _marked(found: re.Match[str]) -> str:
    assert found.lastgroup is not None
    return f"[redacted: {_OF_RUNS[int(found.lastgroup[1:])][0]}]"


def redact_shapes(text: str) -> str:
    """Return `text` without the secrets that are known by their form and are more than a run."""
    for shape in _OF_TEXTS:
        # Not `any` of a generator: it takes twice as long, and each text is asked for every sign.
        for sign in shape.signs:
            if sign in text:
                text = shape.pattern.sub(shape.replacement, text)
                break
    if "[redacted: access key]" in text:
        text = _NEAR_ACCESS_KEY.sub(r"\1[redacted: secret]", text)
    return _PGPASS.sub(_entry_of_pgpass, text)


def _entry_of_pgpass(found: re.Match[str]) -> str:
    text, start = found.string, found.start()
    if _PGPASS_HOST.search(text, max(0, start - 120), start) is None:
        return found.group()
    return f"{found.group(1)}[redacted: password]"
