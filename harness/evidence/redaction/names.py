"""What a name says about the value beside it: nothing, a secret, or perhaps one.

A name is split into words (`dbPassword2` is db, password, 2). One of them, the head, means a
secret (password, token). Words after it leave that as it is (password_old), take it back
(passwordFile, tokenTTL), or, where nobody foresaw them, leave it to the value. Some heads mean a
secret only with the word before them: a key is one with `api`, and none with `public`.
"""

from __future__ import annotations

import enum
import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.evidence.redaction.vocabulary import words


class Test(enum.Enum):
    """What a value has to be before it is taken for the secret that its name speaks of."""

    ANY = "anything that is not plainly no secret"
    ASSIGNED = "anything where it is assigned; in prose it has to look like a secret"
    RANDOM = "something that looks like a secret"
    MIXED = "something long of capitals, small letters and digits"
    DIGITS = "four digits or more, or something that looks like a secret"


@dataclass(frozen=True)
class Meaning:
    """The kind of secret that a name speaks of, and what its value has to be."""

    kind: str
    test: Test


def _all(text: str, kind: str, test: Test) -> Mapping[str, Meaning]:
    return dict.fromkeys(text.split(), Meaning(kind, test))


# A word that ends with one of these is a head whatever stands before it: dbpassword. Passwords are
# named in the language of the country more often than anything else.
_ENDINGS: Mapping[str, Meaning] = {
    **_all(
        "password passwords passwd passwds passphrase passphrases passcode passcodes"
        " passwort passworte passwörter kennwort kennwörter losungswort motdepasse"
        " contrasena contrasenas contraseña contraseñas contrasenya senha senhas"
        " wachtwoord wachtwoorden haslo hasło lösenord losenord passord adgangskode salasana"
        " jelszó jelszo şifre sifre lozinka geslo heslo slaptažodis parole"
        " пароль пароля пароли κωδικός סיסמה"  # Cyrillic and Greek are meant
        " 密码 密碼 口令 パスワード 비밀번호 암호",
        "password",
        Test.ANY,
    ),
    **_all("token authtok", "token", Test.ASSIGNED),
    **_all("tokens", "token", Test.RANDOM),
    **_all("secret geheimnis секрет", "secret", Test.ASSIGNED),  # as above
    **_all("secrets", "secret", Test.RANDOM),
    **_all("credential credentials creds", "credentials", Test.ANY),
    **_all(
        "apikey secretkey accesskey authkey encryptionkey sharedkey signingkey masterkey accountkey"
        " licensekey licencekey appkey deploykey sessionkey cryptkey cipherkey hmackey",
        "secret",
        Test.ANY,
    ),
    **_all("privatekey privkey", "private key", Test.ANY),
    **_all("dockerconfigjson dockercfg", "registry credentials", Test.ANY),
    **_all("sessionid sessid", "session", Test.RANDOM),
}
# Heads only as words of their own.
_SHORT: Mapping[str, Meaning] = {
    **_all("pass pw passw mdp clave claves parola", "password", Test.ASSIGNED),
    **_all("pwd pswd psk passin passout masterauth", "password", Test.ANY),
    **_all("pin puk otp totp mfa", "code", Test.DIGITS),
    **_all("jwt", "token", Test.RANDOM),
    **_all("bearer", "bearer token", Test.RANDOM),
    **_all("mnemonic", "recovery phrase", Test.ANY),
    **_all("seed kek dek pepper", "secret", Test.RANDOM),
    **_all("cookie cookies", "cookie", Test.RANDOM),
    **_all("session sid", "session", Test.RANDOM),
    **_all("community", "community", Test.RANDOM),
    **_all("rocommunity rwcommunity", "community", Test.ANY),
    **_all("cred", "credentials", Test.ANY),
    **_all("pat", "token", Test.RANDOM),
    **_all("encrypt license licence", "secret", Test.MIXED),
    **_all("auth", "registry credentials", Test.RANDOM),
    **_all("samlresponse samlrequest assertion", "assertion", Test.MIXED),
    **_all("key keys", "secret", Test.MIXED),
}
# These may be written without anything between them and one of `_SHORT`: rootpw, sshpass.
_GLUED = re.compile(
    r"(?:db\d?|my|pg|sql|mysql|pgsql|root|user|usr|admin|adm|auth|ssh|ftp|sftp|smtp|imap|mail|ldap"
    r"|bind|redis|rabbit|mongo|oracle|postgres|mssql|maria|database|key|store|keystore|truststore"
    r"|http|https|proxy|vnc|rdp|web|win|wifi|wpa|vrrp|bgp|snmp|ipmi|bmc|radius|sudo|su|become|login"
    r"|account|new|old|sys|system|svc|app|api|client|server|master|repl|require|enc|zip|pdf|cert|tls"
    r"|ssl|pkcs|jks|olcroot|manager)(pass|pw|pwd|psk|pin|auth)"
)
# A word that is a head with the one after `_` here, and then with any of these before it.
_SECOND_WORDS: Mapping[str, tuple[Meaning, frozenset[str]]] = {
    "key": (
        Meaning("secret", Test.ANY),
        words(
            "api access secret shared preshared encryption encrypt decryption signing sign master"
            " account auth authentication license licence session unseal recovery deploy"
            " subscription certificate crypto cipher aes des md sha hmac ospf bgp tacacs radius wg"
            " wireguard ipsec esp tsig rndc gossip app application webhook jwt fernet functions"
            " ingest ingestion write admin root join stream consumer integration vault backup"
            " symmetric pairing activation"
        ),
    ),
    "phrase": (
        Meaning("recovery phrase", Test.ANY),
        words("pass seed recovery secret mnemonic backup"),
    ),
    "words": (Meaning("recovery phrase", Test.ANY), words("seed mnemonic recovery")),
    "word": (Meaning("password", Test.ANY), words("pass")),
    "code": (
        Meaning("code", Test.ANY),
        words(
            "recovery backup pass unlock pairing verification activation auth authorization device"
            " otp mfa totp security invite pin puk emergency scratch"
        ),
    ),
    "community": (Meaning("community", Test.ANY), words("snmp ro rw read write trap")),
    "id": (Meaning("session", Test.RANDOM), words("session sess php j")),
    "passe": (Meaning("password", Test.ANY), words("de")),
}
_SINGULAR = {"keys": "key", "codes": "code", "phrases": "phrase", "strings": "string"}
# Names that are known as a whole, or by their last words.
_WHOLE: Mapping[tuple[str, ...], Meaning | None] = {
    ("client", "key", "data"): Meaning("client key", Test.ANY),
    ("client", "certificate", "data"): Meaning("client certificate", Test.ANY),
    ("private", "key"): Meaning("private key", Test.ANY),
    ("tls", "key"): Meaning("private key", Test.ANY),
    ("secret", "key", "base"): Meaning("secret", Test.ANY),
    ("community", "string"): Meaning("community", Test.ANY),
    # A user and a password with a sign between them.
    ("basic", "auth"): Meaning("credentials", Test.ANY),
    ("etcdctl", "user"): Meaning("credentials", Test.ANY),
    ("j", "auth"): Meaning("credentials", Test.ANY),
    # Vault's AppRole; elsewhere it is the name of a secret, which `values` knows.
    ("secret", "id"): Meaning("secret", Test.ASSIGNED),
    # The first half of a bootstrap token, in the Secret that it is kept in.
    ("token", "id"): Meaning("bootstrap token", Test.ANY),
    ("x", "amz", "signature"): Meaning("signature", Test.RANDOM),
    ("x", "goog", "signature"): Meaning("signature", Test.RANDOM),
    # Names of objects, of a cluster, of a place in a list.
    ("initial", "cluster", "token"): None,
    **{(word, "token"): None for word in ("page", "next", "continue", "continuation", "sync")},
    **{(word, "secret"): None for word in ("existing", "pull", "tls")},
    ("pull", "secrets"): None,
}
# With one of these before it a key is something to look up with, or is meant to be known.
_KEY_OF_ANOTHER_KIND = words(
    "public pub topology primary foreign partition sort routing cache map list hot any arrow"
    " function object label annotation row group order config context lookup index item node meta"
    " bucket queue message event dedup idempotency etcd image column field tag property host known"
    " verify verification gpg apt rpm resource selector metric"
)
# After the head they leave its meaning as it is.
_SAME = words(
    "old new prev previous current next backup bak prod production dev devel development stage"
    " staging test testing default tmp temp orig original copy primary secondary main master value"
    " val plain plaintext cleartext clear raw text txt str string data encoded enc"
    " encrypted hash hashed digest hex confirm confirmation again repeat admin root ro rw local"
    " remote crypt bcrypt bytes base v a b one two first second third last decoded"
    " sha md json literal internal external global"
)
# After the head they speak of something else than the secret itself.
_ANOTHER = words(
    "file files path paths dir dirs directory folder name names ref refs reference references"
    " selector id ids uid url uri urls endpoint endpoints host port policy policies mode modes"
    " method methods format type types kind algorithm algorithms alg algs ttl expiry expiration"
    " expires expired exp lifetime timeout duration age seconds minutes hours days period interval"
    " count counts counter limit limits max min maximum minimum length len size bits number num"
    " version versions enabled enable disabled disable required require optional provider providers"
    " store stores storage manager helper helpers authentication authenticator auth review reviews"
    " request requests requested audience audiences issuer user users username account accounts"
    " namespace server service class plugin plugins driver backend engine controller cleaner signer"
    " webhook config configuration cfg conf options option settings setting validation validator"
    " valid prompt hint help label labels field fields column attribute usage usages scope scopes"
    " claim claims status state error errors err reset change changed changes rotation rotate"
    " rotated strength complexity history login location source sources env environment var"
    " variable variables cmd command script template header headers param parameter parameters"
    " prefix suffix placeholder stdin generator generation generate check checks checker checksum"
    " rule rules quality mount mounts volume volumes projection resource resources list lists table"
    " tables watcher informer lister loader reader handler agent protected protection exchange"
    " fetch refresh renewal renew revocation revoked created creation updated at time timestamp"
    " date since until cleanup clean skip skew lookup attempts attempt retries fails failed"
    " failures failure success result results total rate fingerprint thumbprint masked less through"
    " fd managed annotation object objects socket domain realm region zone event events metric"
    " metrics message messages"
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
# Shorter ones, glued to a word, are as likely a part of it.
_SHORTEST_GLUED = 3
# "passwords" before "password".
_BY_LENGTH = sorted(_ENDINGS, key=len, reverse=True)
_ENDING = re.compile(
    "(?:{})(?:{})?$".format(
        "|".join(map(re.escape, _BY_LENGTH)),
        "|".join(sorted(word for word in _SAME if len(word) >= _SHORTEST_GLUED)),
    )
)
# v1.Secret, as clients of Kubernetes name what they list.
_GO_TYPE = re.compile(r"v\d\w*\.[A-Z]\w*")
_LONGEST_NAME = 120


@functools.lru_cache(maxsize=8192)
def meaning_of(name: str) -> Meaning | None:
    """Return what a member, a variable or an option called `name` holds, None for no secret."""
    if _GO_TYPE.fullmatch(name):
        return None
    parts = _split(name[-_LONGEST_NAME:])
    for dropped in (words(""), _SAME):
        end = _without(parts, len(parts), dropped)
        for length in range(min(3, end), 1, -1):
            whole = tuple(parts[end - length : end])
            if whole in _WHOLE:
                return _WHOLE[whole]
    head = _head(parts[:end])
    if head is not None or end == 0 or parts[end - 1] in _ANOTHER:
        return head
    return _distant_head(parts[:end])


def _split(name: str) -> list[str]:
    spaced = _CAMEL.sub(" ", unicodedata.normalize("NFC", name))
    return [piece.casefold() for piece in _PIECE.findall(spaced)]


def _without(parts: Sequence[str], end: int, dropped: frozenset[str]) -> int:
    """Return where `parts` end once numbers and `dropped` are taken off their end."""
    while end > 0 and (parts[end - 1].isdigit() or (end > 1 and parts[end - 1] in dropped)):
        end -= 1
    return end


def _head(parts: Sequence[str]) -> Meaning | None:
    """Return what the last of `parts` means after those before it."""
    if not parts:
        return None
    word = _SINGULAR.get(parts[-1], parts[-1])
    before = next((word for word in reversed(parts[:-1]) if not word.isdigit()), "")
    if word in _SECOND_WORDS and before in _SECOND_WORDS[word][1]:
        return _SECOND_WORDS[word][0]
    if word == "key" and before:
        return None if before in _KEY_OF_ANOTHER_KIND else Meaning("secret", Test.RANDOM)
    if word in _SHORT:
        return _short(word, before)
    ending = _ENDING.search(word)
    if ending is not None:
        return _ENDINGS[next(end for end in _BY_LENGTH if ending.group().startswith(end))]
    glued = _GLUED.fullmatch(word)
    return None if glued is None else _short(glued.group(1), word)


def _short(word: str, before: str) -> Meaning:
    found = _SHORT[word]
    # db_pass is never the outcome of a test, as "pass" may be.
    return Meaning("password", Test.ANY) if before and found.kind == "password" else found


def _distant_head(parts: Sequence[str]) -> Meaning | None:
    """Return what a head means that parts follow which nobody foresaw: the value decides."""
    for end in range(len(parts) - 1, 0, -1):
        if parts[end] in _ANOTHER:
            return None
        if parts[end - 1] not in _SHORT:
            head = _head(parts[:end])
            if head is not None:
                return Meaning(head.kind, Test.RANDOM)
    return None
