"""What ssh says when it does not get in, and sudo and doas when they make nobody root."""

from __future__ import annotations

from harness.base.sayings.row import REINSTALLED, Of, Row

_KEYS = (
    "connect once by hand with `ssh` and compare the fingerprint that it shows with what"
    " `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` says on that host; or name a file that has"
    " the key in SSH_KNOWN_HOSTS"
)
_SUDO_ANSWER = (
    "allow it without one there (`USER ALL=(ALL) NOPASSWD: ALL`, by `visudo -f"
    " /etc/sudoers.d/USER`), or name root as the user"
)

ROWS: tuple[Row, ...] = (
    Row(
        Of.SSH,
        r"Offending (?:\S+ )?key in (?P<file>[^\n]+):(?P<line>\d+)$",
        "{host} shows another host key than the known one, which is in {file}, line {line}",
        REINSTALLED + "take the old one out: `ssh-keygen -f {file_} -R {host_}`",
        also=r"Host key for (?P<host>\S+) has changed",
    ),
    Row(
        Of.SSH,
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key for \S+ has changed",
        "the host shows another host key than the known one",
        REINSTALLED + "take the old one out of known_hosts: `ssh-keygen -R HOST`",
    ),
    Row(
        Of.SSH,
        r"host key for (?P<host>\S+) (?:is marked as|was) revoked",
        "the host key of {host} is one that known_hosts has as revoked",
        "ask whoever keeps that machine; a revoked key may be in a stranger's hands",
    ),
    Row(
        Of.SSH,
        r"No (?P<type>\S+) host key is known for (?P<host>\S+) and",
        "the host key of {host} is not known here ({type})",
        _KEYS,
    ),
    Row(Of.SSH, r"Host key verification failed", "the host's key is not known here", _KEYS),
    Row(
        Of.SSH,
        r"Permissions (?P<mode>\d+) for '(?P<key>[^\n]+)' are too open",
        "others may read the private key {key}, whose mode is {mode}, so ssh does not use it",
        "chmod 600 {key_}",
    ),
    Row(
        Of.SSH,
        r"UNPROTECTED PRIVATE KEY FILE",
        "others may read the private key, so ssh does not use it",
        "chmod 600 KEY",
    ),
    Row(
        Of.SSH,
        r"unix_listener: (?:path )?\"(?P<path>[^\"\n]+)\" too long"
        r"|ControlPath too long \('(?P<path2>[^'\n]+)'"
        r"|ControlPath \"(?P<path3>[^\"\n]+)\" too long",
        "the path of ssh's control socket is too long: {path}{path2}{path3}",
        "name a short folder in TMPDIR, such as /tmp",
    ),
    Row(
        Of.SSH,
        r"Too many authentication failures",
        "the host ended it after too many keys: the ssh-agent offers each of its own",
        "name the key as keyPath in k0sctl.yaml, and try `ssh -o IdentitiesOnly=yes -i KEY`",
    ),
    Row(
        Of.SSH,
        r"Identity file (?P<key>[^\n]+?) not accessible: (?P<why>[^\n.]+)",
        "the key {key} cannot be read ({why}), and the host takes no other that was offered",
        "correct the key's path: it is relative to the folder the command is started in",
        also=r"Permission denied",
    ),
    Row(
        Of.SSH,
        r"Load key \"(?P<key>[^\"\n]+)\": (?P<why>[^\n]+)",
        "the private key {key} cannot be used: {why}",
        "name the private key, not the .pub; one with a passphrase is added by `ssh-add` first",
        also=r"Permission denied",
    ),
    Row(
        Of.SSH,
        r"(?P<who>\S{1,300}): Permission denied \((?P<how>[^)\n]+)\)",
        "Permission denied: the host lets {who} in with no key that was offered (it takes {how})",
        "name the user and the key whose public half is in that user's authorized_keys; if it has a"
        " passphrase, ssh-add it first",
    ),
    Row(
        Of.SSH,
        r"ssh: connect to host (?P<host>\S+) port (?P<port>\d+): (?P<why>Connection refused)",
        "nothing answers for SSH at {host} port {port}: {why}",
        "look whether address and port are right and sshd runs there (`systemctl status ssh`)",
    ),
    Row(
        Of.SSH,
        r"ssh: connect to host (?P<host>\S+) port (?P<port>\d+): (?P<why>[^\n\r]+)",
        "{host} port {port} cannot be reached: {why}",
        "look whether the address is right, the machine is on, and no firewall or missing VPN is in"
        " between; behind a bastion k0sctl.yaml has to name that",
    ),
    Row(
        Of.SSH,
        r"Could not resolve hostname (?P<host>[^\s:]+): (?P<why>[^\n\r]+)",
        "the name {host} is not known here: {why}",
        "correct it, write the address instead, or have it as a Host in ~/.ssh/config",
    ),
    Row(
        Of.SSH,
        r"Unable to negotiate with (?P<host>\S+) port (?P<port>\d+): no matching (?P<what>[a-z ]+)"
        r" found",
        "this ssh and the sshd of {host} have no {what} in common",
        "bring the older of the two up to date, or allow in ~/.ssh/config what the host offers",
    ),
    Row(
        Of.SSH,
        r"^(?P<file>[^\n:]+?):? line (?P<line>\d+): Bad configuration option: (?P<name>\S+)",
        "ssh does not know the option {name} ({file}, line {line})",
        "take the line out, or put `IgnoreUnknown {name}` before it",
    ),
    Row(
        Of.SSH,
        r"Bad owner or permissions on (?P<file>[^\n\r]+)",
        "ssh reads no {file} that somebody else may write",
        "chmod 600 {file_}, and let it be yours",
    ),
    Row(
        Of.SSH,
        r"Can't open user config file (?P<file>[^\n]+?): (?P<why>[^\n\r]+)",
        "ssh cannot read its configuration {file}: {why}",
        "correct configPath",
    ),
    Row(
        Of.SSH,
        r"(?:kex_exchange_identification|banner exchange|ssh_exchange_identification):"
        r" (?P<why>[^\n\r]+)",
        "the host ended the connection before SSH began: {why}",
        "look whether it is sshd that listens there, and whether sshd has too many logins at once"
        " (MaxStartups) or a ban on this address (fail2ban)",
    ),
    Row(
        Of.SUDO,
        r"^(?:sudo|sudo-rs): .*?(?:a password is required|terminal is required"
        r"|interactive authentication is required|no tty present and no askpass)",
        "sudo asks for a password, and there is nobody to type it",
        _SUDO_ANSWER,
    ),
    Row(
        Of.SUDO,
        r"^sudo: sorry, you must have a tty",
        "sudo there wants a terminal (requiretty)",
        "`Defaults:USER !requiretty` by visudo there, or name root as the user",
    ),
    Row(
        Of.SUDO,
        r"^(?P<user>\S+) is not in the sudoers file|^Sorry, user (?P<user2>\S+) (?:is not allowed"
        r"|may not run)|^(?P<user3>\S+) is not allowed to run sudo|^sudo: I'm sorry (?P<user4>\w+)",
        "{user}{user2}{user3}{user4} may not use sudo there",
        _SUDO_ANSWER,
    ),
    Row(
        Of.SUDO,
        r"sudo: (?:command )?not found",
        "there is no sudo there",
        "name root as the user, or install sudo there",
    ),
    Row(
        Of.SUDO,
        r"^sudo: (?:.*must be owned by uid 0|effective uid is not 0|The \"no new privileges\")",
        "sudo there cannot become root: it is not setuid, or its file system is nosuid",
        "`chmod 4755 $(command -v sudo)` as root there, or name root as the user",
    ),
    Row(
        Of.SUDO,
        r"^doas: (?P<why>Operation not permitted|Authentication (?:required|failed)|a tty is"
        r" required)",
        "doas does not make the user root without a password: {why}",
        "`permit nopass USER` in /etc/doas.conf there, or name root as the user",
    ),
)
