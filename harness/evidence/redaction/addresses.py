"""Passwords and tokens inside addresses: URLs of every scheme, proxies, DSNs, mounts."""

from __future__ import annotations

import re

from harness.evidence.redaction.values import looks_random

MARK = "redacted-password"

_CHARACTER = r"(?:[^\s\"'<>\\]|\\++(?![\\nrt\"']))"
# From the user's name up to white space, a quote or the next address.
_USER_AND_MORE = re.compile(
    rf"(:(?:\\*/){{2}}(?!\[)[^\s/:\"'<>\\?#]*+:)((?:(?!://){_CHARACTER})++)"
)
# A port, and what may follow one: registry:5000/image@sha256:… has no password.
_PORT = re.compile(r"\d{1,5}(?:[/?#)\]]|\Z)")
# A password may hold @ and / itself; so it goes on to the last @ that a host stands behind.
_AT_HOST = re.compile(
    r"(?<!/)@(?!sha\d)(?=(?:[\w.-]+|\[[0-9a-fA-F:.%]+\]"
    r"|\w+\([^()]*\))(?::|[/?#,)\\]|\Z))"
)
_QUERY = re.compile(r"\?[\w.-]+=")
_ENCODED_PASSWORD = re.compile(r"(?i:(%3A%2F%2F[^\s%&]*%3A)((?:(?!%40)[^\s&\"'])++)(?=%40))")
# A URL's user without a password is a name (git@, vagrant@) or a token.
_URL_USER = re.compile(rf"(//)([^\s/:@\"'<>\\?#]{{12,}}+)(?=@|:@|:x-oauth-basic@|:{MARK}@)")
# A proxy may be given without a scheme.
_PROXY = re.compile(rf"(?i:(_proxy\\*[\"']?\s?[=:]\s?\\*[\"']?))({_CHARACTER}++)")
# user:password@tcp(host:3306)/base, as Go's driver of MySQL takes it.
_GO_DSN = re.compile(
    rf"((?<![\w.-])[\w.-]{{1,64}}:)(?!{MARK}@)([^\s\"']{{1,128}})(?=@(?:tcp|udp|unix)?\d?\([^\s()]*\))"
)
# user/password@host of Oracle.
_ORACLE = re.compile(
    rf"((?:jdbc:oracle:\w+:|\bsqlplus\s+(?:-\w+\s+)*+|\b(?:im|ex)pdp\s+|\brman\s+target\s+)\\*[\"']?"
    rf"[\w.-]{{1,64}}/)(?!{MARK}\b)([^\s@\"']+)"
)
# Of the parameters of an address these are secrets, though their names alone are not.
_PARAMETER = re.compile(
    r"([?&](?:amp;)?(?:sig|signature|code|key|st|sign|hmac|access|ticket|auth|t|k)=)([^\s&\"'\\<>#;,)]{8,})",
    re.IGNORECASE,
)
_ENCODED_PARAMETER = re.compile(
    r"((?:%26|%3F|\\u0026)(?:sig|signature|code|key|sign|auth)(?:=|%3D))([^\s&\"'\\<>#;,)]{8,})",
    re.IGNORECASE,
)


def redact_addresses(text: str) -> str:
    """Return `text` with the passwords and tokens in addresses replaced; they stay addresses."""
    if "@" in text:
        if "//" in text or "\\/" in text:
            text = _USER_AND_MORE.sub(_password, text)
            text = _URL_USER.sub(_user, text)
        if "roxy" in text or "ROXY" in text:
            text = _PROXY.sub(_proxy, text)
        if any(sign in text for sign in ("@tcp", "@udp", "@unix", "@(")):
            text = _GO_DSN.sub(rf"\1{MARK}", text)
        if any(sign in text for sign in ("jdbc:oracle", "sqlplus", "mpdp", "xpdp", "rman")):
            text = _ORACLE.sub(rf"\1{MARK}", text)
    if "%40" in text:
        text = _ENCODED_PASSWORD.sub(rf"\1{MARK}", text)
    if "?" in text or "&" in text:
        text = _PARAMETER.sub(_parameter, text)
    if "%26" in text or "%3F" in text or "u0026" in text:
        text = _ENCODED_PARAMETER.sub(_parameter, text)
    return text


def _password(found: re.Match[str]) -> str:
    beginning, rest = found.groups()
    query = _QUERY.search(rest)
    # Only what is a query ends the search: a password may hold a question mark.
    limit = len(rest) if query is None else query.start()
    hosts = [at.start() for at in _AT_HOST.finditer(rest, 0, limit)] or [rest.rfind("@")]
    if hosts[-1] < 0 or _PORT.match(rest):
        return found.group()
    return f"{beginning}{MARK}{rest[hosts[-1] :]}"


def _user(found: re.Match[str]) -> str:
    user = found.group(2)
    is_token = looks_random(user) and any(letter.isdigit() for letter in user)
    return "//redacted-token" if is_token else found.group()


def _proxy(found: re.Match[str]) -> str:
    user_and_password, at, host = found.group(2).rpartition("@")
    user, colon, _ = user_and_password.partition(":")
    if not colon or "://" in user_and_password:
        return found.group()
    return f"{found.group(1)}{user}{colon}{MARK}{at}{host}"


def _parameter(found: re.Match[str]) -> str:
    value = found.group(2)
    return f"{found.group(1)}[redacted: signature]" if looks_random(value) else found.group()
