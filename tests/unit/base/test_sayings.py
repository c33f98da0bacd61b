"""What wrapped programs really said, of several versions, and the sentence that is made of it.

Where there is no issue beside a text it was recorded here on 2026-11-28: OpenSSH 9.2p1, sudo
1.9.13p3, docker 28.2.2 (engine 20.10.24), Vagrant 2.3.4; paths are rewritten.
"""

import time

import pytest

from harness.base.completed import CommandFailedError, Completed
from harness.base.sayings import told, told_by
from harness.base.sayings.row import Of
from harness.base.telling import plain, telling_lines, telling_sentence

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Someone could be eavesdropping on you right now (man-in-the-middle attack)!
It is also possible that a host key has just been changed.
The fingerprint for the ED25519 key sent by the remote host is
SHA256:Go6cRsFvmZKFc9xEszTLIXjJWj1rm9XLQIMETpWYiQ8.
Please contact your system administrator.
Add correct host key in /home/op/.ssh/known_hosts to get rid of this message.
Offending ED25519 key in /home/op/.ssh/known_hosts:3
  remove with:
  ssh-keygen -f "/home/op/.ssh/known_hosts" -R "[127.0.0.1]:22022"
Host key for [127.0.0.1]:22022 has changed and you have requested strict checking.\r
Host key verification failed.\r
"""
UNPROTECTED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Permissions 0644 for '/home/op/my key' are too open.
It is required that your private key files are NOT accessible by others.
This private key will be ignored.
Load key "/home/op/my key": bad permissions\r
op@127.0.0.1: Permission denied (publickey).\r
"""
REVOKED = """\
@       WARNING: REVOKED HOST KEY DETECTED!               @
The ED25519 host key for [127.0.0.1]:22022 is marked as revoked.
ED25519 host key for [127.0.0.1]:22022 was revoked and you have requested strict checking.\r
Host key verification failed.\r
"""
# Of a bastion: the way ends with it, and ssh itself says only that it ended.
BASTION = """\
No ED25519 host key is known for [127.0.0.1]:22022 and you have requested strict checking.\r
Host key verification failed.\r
kex_exchange_identification: Connection closed by remote host\r
Connection closed by UNKNOWN port 65535\r
"""
SSH = [
    (CHANGED, "known_hosts, line 3", "ssh-keygen -f /home/op/.ssh/known_hosts -R '[127.0.0.1]:220"),
    (UNPROTECTED, "/home/op/my key, whose mode is 0644", "chmod 600 '/home/op/my key'"),
    (REVOKED, "[127.0.0.1]:22022 is one that known_hosts has as revoked", "ask"),
    (BASTION, "the host key of [127.0.0.1]:22022 is not known here (ED25519)", "SSH_KNOWN_HOSTS"),
    ("Host key verification failed.\r\n", "key is not known here", "ssh-keygen -lf"),
    (
        (
            "Warning: Identity file /home/op/nokey not accessible: No such file or directory.\n"
            "op@127.0.0.1: Permission denied (publickey).\r\n"
        ),
        "the key /home/op/nokey cannot be read (No such file or directory)",
        "path",
    ),
    ("op@10.0.0.1: Permission denied (publickey).\n", "op@10.0.0.1", "ssh-add it first"),
    (
        'Load key "badkey": error in libcrypto\r\nop@10.0.0.1: Permission denied (publickey).\r\n',
        "the private key badkey cannot be used: error in libcrypto",
        ".pub",
    ),
    (
        (
            "Received disconnect from 127.0.0.1 port 22022:2: Too many authentication failures\r\n"
            "Disconnected from 127.0.0.1 port 22022\r\n"
        ),
        "too many keys",
        "IdentitiesOnly=yes",
    ),
    (
        (
            "unix_listener: path"
            ' "/var/folders/x/f75f2a13f85b03fde7977b4bbfa839f587cd59f6.qhiAsqOtX25"'
            " too long for Unix domain socket\r\n"
        ),
        "control socket is too long: /var/folders/x/f75",
        "TMPDIR",
    ),
    ("ControlPath too long ('/var/folders/x/f75f2a1' >= 108 bytes)\r\n", "/f75f2a1", "TMPDIR"),
    (
        "ssh: connect to host 127.0.0.1 port 9: Connection refused\r\n",
        "127.0.0.1 port 9: Connection refused",
        "sshd runs there",
    ),
    (
        "ssh: connect to host fd00::1 port 22: No route to host\r\n",
        "fd00::1 port 22 cannot be reached: No route to host",
        "firewall",
    ),
    (
        "ssh: Could not resolve hostname no-such-host.invalid: Name or service not known\r\n",
        "the name no-such-host.invalid is not known",
        "~/.ssh/config",
    ),
    (
        (
            "Unable to negotiate with 127.0.0.1 port 22022: no matching key exchange method found. "
            "Their offer: sntrup761x25519-sha512\r\n"
        ),
        "no key exchange method in common",
        "up to date",
    ),
    (
        (
            "badconf: line 1: Bad configuration option: nonsense\r\n"
            "badconf: terminating, 1 bad configuration options\r\n"
        ),
        "option nonsense (badconf, line 1)",
        "IgnoreUnknown nonsense",
    ),
    (
        "Can't open user config file /home/op/noconf: No such file or directory\r\n",
        "/home/op/noconf: No such file",
        "configPath",
    ),
]
SUDO = [
    (
        (
            "sudo: unable to resolve host 4da6e1c0e86a: Temporary failure in name resolution\n"
            "sudo: a password is required\n"
        ),
        "asks for a password",
        "NOPASSWD",
    ),
    ("sudo: sorry, you must have a tty to run sudo\n", "terminal", "!requiretty"),
    (
        "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n",
        "not setuid",
        "root",
    ),
    # trifectatechfoundation/sudo-rs#1668 and #1278, sudo 1.8, sudo 1.9.14.
    ("sudo: A terminal is required to authenticate\n", "asks for a password", "NOPASSWD"),
    ("sudo: interactive authentication is required\n", "asks for a password", "NOPASSWD"),
    ("sudo: no tty present and no askpass program specified\n", "asks for a password", "NOPASSWD"),
    ("op is not in the sudoers file.\n", "op may not use sudo", "NOPASSWD"),
    ("sh: 1: sudo: not found\n", "no sudo there", "root"),
    ("doas: Operation not permitted\n", "doas", "permit nopass"),
]
DENIED = """\
The provider 'docker' that was requested to back the machine
'worker0' is reporting that it isn't usable on this system. The
reason is shown below:

A Docker command executed by Vagrant didn't complete successfully!
The command run along with the output from the command is shown
below.

Command: ["docker", "version", {:notify=>[:stdout, :stderr]}]

Stderr: permission denied while trying to connect to the Docker daemon socket at \
unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/version": dial unix \
/var/run/docker.sock: connect: permission denied


Stdout: Client:
 Version:           28.2.2
"""
OVERLAP = """\
A Docker command executed by Vagrant didn't complete successfully!
The command run along with the output from the command is shown
below.

Command: ["docker", "network", "create", "vagrant_network_10.213.78.0/23"]

Stderr: Error response from daemon: Pool overlaps with other one on this address space


Stdout:
"""
LIBVIRT = "There was an error talking to Libvirt. The error message is shown\nbelow:\n\n"
# hashicorp/vagrant#12875 and #11325.
VBOX = """\
There was an error while executing `VBoxManage`, a CLI used by Vagrant
for controlling VirtualBox. The command and stderr is shown below.

Command: ["startvm", "6a0b8133-8804-4da6-8a88-0f28b6855eef", "--type", "headless"]

Stderr: VBoxManage.exe: error: """
RANGES = """\
The IP address configured for the host-only network is not within the
allowed ranges. Please update the address used to be within the allowed
ranges and run the command again.

  Address: 10.8.8.50
  Ranges: 192.168.56.0/21
"""
NO_POOL = (
    "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to"
    " the network"
)
NO_SOCKET = "Failed to connect socket to '/var/run/libvirt/{}': {}\n"
TAKEN = (
    "Name `fedora_default` of domain about to create is already taken. Please try to run\n"
    "`vagrant up` command again.\n"
)
VAGRANT = [
    (DENIED, "may not talk to docker's daemon (/var/run/docker.sock)", "log in again"),
    # docker before 24, and from 29 on.
    (DENIED.replace("permission", "Got permission", 1), "may not talk to docker", "log in again"),
    (DENIED.replace("Docker daemon socket", "docker API"), "may not talk to docker", "usermod"),
    (OVERLAP, "another docker network has a part of that subnet", "k0s-harness labs --clean"),
    # docker/for-linux#599; docker 27.
    (f"Stderr: Error response from daemon: {NO_POOL}\n", "no free subnet", "network prune"),
    (
        "Error response from daemon: all predefined address pools have been fully subnetted\n",
        "no free subnet",
        "network prune",
    ),
    # vagrant-libvirt#670, and as a stack that nobody caught, adrahon/vagrant-kvm#163.
    (
        LIBVIRT
        + "Call to virDomainCreateWithFlags failed: "
        + NO_SOCKET.format("virtlogd-sock", "No such file or directory"),
        "virtlogd",
        "virtlogd.socket",
    ),
    (
        LIBVIRT
        + "Call to virDomainCreateWithFlags failed: internal error process exited while connecting"
        " to monitor: W: kvm binary is deprecated\nchar device redirected to /dev/pts/8 (label"
        " charserial0)\nqemu-system-x86_64: -drive file=/media/k.img,if=none: could not open disk"
        " image /media/k.img: Permission denied\n",
        "qemu runs as may not open /media/k.img",
        "AppArmor",
    ),
    # dmacvicar/terraform-provider-libvirt#978: libvirt 8.
    (
        (
            "internal error: qemu unexpectedly closed the monitor: qemu-system-x86_64: -blockdev"
            ' {"driver":"file"}: Could not open \'/srv/w1\': Permission denied\n'
        ),
        "may not open /srv/w1",
        "namei",
    ),
    # vagrant-libvirt#911.
    (
        LIBVIRT + "Call to virDomainCreateWithFlags failed: Cannot access storage file"
        " '/var/lib/libvirt/images/vagrant_default.img' (as uid:0, gid:0): No such file or"
        " directory\n",
        "vagrant_default.img cannot be opened: No such file",
        "k0s-harness labs --clean",
    ),
    # vagrant-libvirt#1466, adrahon/vagrant-kvm#20, voidlinux/void-packages#1095.
    (
        (
            "Error while creating domain: Error saving the server: Call to virDomainDefineXML"
            " failed:"
            " invalid argument: could not get preferred machine for /usr/bin/qemu-system-x86_64"
            " type=kvm\n"
        ),
        "no KVM",
        "K0S_HARNESS_DRIVER=qemu",
    ),
    (
        (
            "unsupported configuration: Domain requires KVM, but it is not available. Check that"
            " virtualization is enabled in the host BIOS\n"
        ),
        "no KVM",
        "modprobe",
    ),
    (
        (
            "internal error: process exited while connecting to monitor: Could not access KVM"
            " kernel"
            " module: Permission denied\nfailed to initialize KVM: Permission denied\n"
        ),
        "may not open /dev/kvm",
        "chgrp kvm",
    ),
    # vagrant-libvirt#556.
    (
        (
            "ioctl(KVM_CREATE_VM) failed: 16 Device or resource busy\nfailed to initialize KVM:"
            " Device"
            " or resource busy\n"
        ),
        "taken by another hypervisor",
        "vboxdrv",
    ),
    # vagrant-libvirt#1073, #561, #1338.
    (TAKEN, "machine fedora_default in libvirt already", "k0s-harness labs --clean"),
    (
        TAKEN.replace("\n", " "),
        "machine fedora_default in libvirt already",
        "k0s-harness labs --clean",
    ),
    (
        "Volume for domain is already created. Please run 'vagrant destroy' first.\n",
        "disk",
        "k0s-harness labs --clean",
    ),
    (
        "Call to virStorageVolCreateXML failed: storage volume 'xxx_box.img' exists already\n",
        "xxx_box.img",
        "k0s-harness labs --clean",
    ),
    # tylert/packer-build#18; other sockets are libvirt's own since 5.6.
    (
        "Error while connecting to libvirt: Call to virConnectOpen failed: "
        + NO_SOCKET.format("libvirt-sock", "No such file or directory"),
        "libvirt does not run",
        "libvirtd",
    ),
    (
        NO_SOCKET.format("virtqemud-sock", "Connection refused"),
        "libvirt does not run",
        "virtqemud.socket",
    ),
    (
        NO_SOCKET.format("libvirt-sock", "Permission denied"),
        "may not talk to libvirt",
        "libvirt $USER",
    ),
    # redhatdemocentral/ocp-install-demo#35, vagrant-libvirt#1026.
    (
        "cannot set up guest memory 'pc.ram': Cannot allocate memory\n",
        "free memory",
        "k0s-harness labs --clean",
    ),
    (
        "No usable storage pool found! Please check if storage pool is\ncreated and available.\n",
        "no usable storage pool",
        "k0s-harness doctor",
    ),
    (
        VBOX + "Not in a hypervisor partition (HVP=0) (VERR_NEM_NOT_AVAILABLE).\nVBoxManage.exe:"
        " error: VT-x is disabled in the BIOS for all CPU modes (VERR_VMX_MSR_ALL_VMX_DISABLED)\n",
        "switched off in this host's firmware",
        "VT-x",
    ),
    # hashicorp/vagrant#9753, #12484.
    (VBOX + "VT-x is not available (VERR_VMX_NO_VMX)\n", "no hardware virtualisation", "firmware"),
    # rdbreak/rhcsa8env#62, NixOS/nixpkgs#52429, arturscheiner/kuberverse#7, rhcsa8env#71.
    (
        (
            "VirtualBox is complaining that the kernel module is not loaded. Please\nrun"
            " `VBoxManage"
            " --version`\n"
        ),
        "kernel module is not loaded",
        "vboxconfig",
    ),
    (
        (
            "The VirtualBox Linux kernel driver (vboxdrv) is either not loaded or there is a"
            " permission"
            " problem with /dev/vboxdrv.\n"
        ),
        "kernel module is not loaded",
        "modprobe vboxdrv",
    ),
    # Vagrant 2.3.4, templates/locales/en.yml.
    (
        (
            "A VirtualBox machine with the name 'k5-w0' already exists.\nPlease use another name or"
            " delete the machine with the existing\nname, and try again.\n"
        ),
        "machine k5-w0 in VirtualBox already",
        "k0s-harness labs --clean",
    ),
    (
        (
            "The name of your virtual machine couldn't be set because VirtualBox\nis reporting"
            " another VM with that name already exists. Most of the\ntime, this is because of an"
            " error\n"
        ),
        "in VirtualBox already",
        "k0s-harness labs --clean",
    ),
    (RANGES, "may not use 10.8.8.50", "/etc/vbox/networks.conf"),
    (
        (
            'Command: ["hostonlyif", "ipconfig", "vboxnet0", "--ip", "192.168.55.1", "--netmask",'
            ' "255.255.255.0"]\n\nStderr: VBoxManage: error: Code E_ACCESSDENIED (0x80070005) -'
            " Access"
            " denied\n"
        ),
        "may not use 192.168.55.1",
        "/etc/vbox/networks.conf",
    ),
]


def refused(place):
    return (
        f"The connection to the server {place} was refused - did you specify the right host or"
        " port?\n"
    )


def unhandled(why):
    """What kubectl 1.32 writes for each of five tries, before what it ends with."""
    return (
        'E1128 23:02:30.757741   19384 memcache.go:265] "Unhandled Error" err="couldn\'t get'
        f' current server API group list: Get \\"https://x/api?timeout=32s\\": {why}"\n'
    )


def unconnected(why):
    return f"{unhandled(why)}Unable to connect to the server: {why}\n"


KUBECTL = [
    (
        (
            "The connection to the server localhost:8080 was refused - did you specify the right"
            " host"
            " or port?\n"
        ),
        "the kubeconfig names no API server",
        "k0s kubeconfig admin",
    ),
    (refused("10.0.0.1:6443"), "nothing listens at 10.0.0.1:6443", "k0scontroller"),
    (
        unhandled("proxyconnect tcp: dial tcp 127.0.0.1:9: connect: connection refused")
        + refused("192.0.2.77:6443"),
        "the proxy of this shell does not let kubectl through: dial tcp 127.0.0.1:9",
        "NO_PROXY",
    ),
    (
        unconnected("getting credentials: exec: executable aws failed with exit code 2"),
        "takes its user from did not give one: executable aws failed",
        "try that program",
    ),
    (
        unconnected("dial tcp: lookup k8s.invalid on 10.255.255.53:53: no such host"),
        "the name k8s.invalid of the API server is not known here: no such host",
        "the controller's address",
    ),
    (
        unconnected("http: server gave HTTP response to HTTPS client"),
        "what answers there is no API server: http: server gave",
        "HTTPS_PROXY",
    ),
    (unconnected("Forbidden"), "what answers there is no API server: Forbidden", "HTTPS_PROXY"),
    (
        (
            'error: error loading config file "bad.yaml": yaml: mapping values are not allowed'
            " in this context\n"
        ),
        "bad.yaml is no kubeconfig: yaml: mapping values",
        "k0s kubeconfig admin",
    ),
    (
        (
            "Error in configuration: \n* unable to read client-cert /nonexistent.crt for u due to"
            " open /nonexistent.crt: no such file or directory\n"
        ),
        "names what is not there: unable to read client-cert /nonexistent.crt",
        "k0s kubeconfig admin",
    ),
    (
        "Error in configuration: context was not found for specified context: gone\n",
        "names what is not there: gone",
        "k0s kubeconfig admin",
    ),
    (
        (
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate"
            " has expired or is not yet valid: current time 2026-11-28T23:03:56Z is after"
            " 2026-11-02T00:00:00Z\n"
        ),
        "is not valid now: current time",
        "`date`",
    ),
    (
        (
            'Error from server (Forbidden): nodes is forbidden: User "system:serviceaccount:m:look"'
            ' cannot list resource "nodes" in API group "" at the cluster scope\n'
        ),
        'User "system:serviceaccount:m:look" cannot list resource "nodes"',
        "RBAC",
    ),
]
# Of k0sctl v0.31.1: phase/validate_facts.go, validate_hosts.go, lock.go, gather_k0s_facts.go.
K0SCTL = [
    (
        "can't perform a downgrade: v1.33.1+k0s.0 > v1.32.3+k0s.0",
        "k0s v1.33.1+k0s.0 runs there, which is newer than v1.32.3+k0s.0",
        "v1.33.1+k0s.0 or a newer one",
    ),
    ("hostname is not unique: w0", "two machines have one hostname: w0", "hostnamectl"),
    (
        'privateAddress "10.0.0.5" is not unique: w1',
        'two machines have one privateAddress "10.0.0.5": w1',
        "privateAddress",
    ),
    ("machine id 3f2a is not unique: w1", "one machine id 3f2a: w1", "systemd-machine-id-setup"),
    (
        (
            "another instance of k0sctl is currently operating on the host, delete"
            " /run/lock/k0sctl or wait 30 seconds for it to expire"
        ),
        "another k0sctl works on a machine",
        "half a minute",
    ),
    (
        (
            "[ssh] 10.0.0.2:22: is configured as k0s worker but is already running as controller -"
            " role change is not supported"
        ),
        "runs k0s as controller already, and k0sctl makes no worker of it",
        "reset: true",
    ),
    (
        "failed to upload k0s binary: write /usr/local/bin/k0s.tmp: no space left on device",
        "a disk there is full: ",
        "df -h",
    ),
]
CASES = [
    *(
        (("k0sctl", "apply"), 1, f'level=fatal msg="apply failed: {text}"\n', *expected)
        for text, *expected in K0SCTL
    ),
    *((("ssh", "op@127.0.0.1"), 255, *case) for case in SSH),
    *((("ssh", "op@127.0.0.1", "sudo -n true"), 1, *case) for case in SUDO),
    *((("vagrant", "up"), 1, *case) for case in VAGRANT),
    *((("k0s", "kubectl", "get", "nodes"), 1, *case) for case in KUBECTL),
]


@pytest.mark.parametrize(("argv", "status", "text", "happened", "remedy"), CASES)
def test_what_a_program_says_becomes_what_is_wrong_and_what_to_do(
    argv, status, text, happened, remedy
):
    found = told_by(argv, status, text)
    assert found is not None
    assert happened in found.happened
    assert remedy in found.remedy
    # One sentence; what a group did not find leaves no hole.
    assert "\n" not in found.happened
    assert "''" not in found.remedy


def test_a_failed_program_is_told_by_its_sentence_with_status_command_and_words_behind():
    done = Completed(("docker", "ps"), 1, "", DENIED.split("Stderr: ")[1], 0.1)
    text = CommandFailedError("Listing containers", done).text()
    assert text.startswith("Listing containers: this user may not talk to docker's daemon")
    assert "    exit status 1: docker ps\n" in text
    assert "connect: permission denied" in text
    assert "  -> `sudo usermod -aG docker $USER`" in text


def test_a_program_that_was_stopped_is_told_as_stopped_whatever_it_said_before():
    done = Completed(("ssh", "a"), -2, "", "a: Permission denied (publickey).\n", 9.0)
    error = CommandFailedError("Reaching a", done, timed_out=True)
    assert error.happened.startswith("no end after 9s")


def test_the_words_of_a_command_on_a_machine_are_not_taken_for_those_of_ssh():
    assert told_by(("ssh", "a", "cat x"), 1, "cat: x: Permission denied\n") is None
    assert told_by(("ssh", "a", "ssh b"), 1, "Host key verification failed.\n") is None
    assert told_by(("cat", "log"), 1, "panic: no space left on device\n") is None


PANIC = "panic: assignment to entry in nil map\n\n" + "".join(
    f"goroutine {number} [running]:\nmain.run(0xc0001)\n\t/src/main.go:{number} +0x1d\n\n"
    for number in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (PANIC + "exit status 2\n", "panic: assignment to entry in nil map"),
        # vagrant-libvirt#472 has this one; no row knows it.
        (
            LIBVIRT + "Call to virDomainShutdown failed:\nno such thing\n",
            "Call to virDomainShutdow",
        ),
        (
            "Error: unknown flag: --x\nUsage:\n  run [flags]\n  -h help\n",
            "Error: unknown flag: --x",
        ),
        ("one\nerror: two\nthree\n", "error: two"),
        ("\x1b[31mfatal: not a repository\x1b[0m\r\n", "fatal: not a repository"),
        ("exit status 2\n", ""),
        ("", ""),
    ],
)
def test_of_unknown_words_the_most_telling_are_told_and_never_a_heading(text, sentence):
    assert telling_sentence(text).startswith(sentence)
    assert bool(telling_sentence(text)) is bool(sentence)


def test_what_tells_more_is_quoted_before_the_last_lines():
    quoted = telling_lines(PANIC + "exit status 2\n").splitlines()
    assert quoted[0] == "panic: assignment to entry in nil map"
    assert quoted[-1] == "exit status 2"
    assert len(quoted) <= 15
    assert telling_lines("short\nas it is\n") == "short\nas it is"


@pytest.mark.parametrize("unit", ["x", "(", "'", "sudo: ", "Offending key in f:1 ", "\x1b[", ": "])
def test_hostile_words_are_read_in_little_time(unit):
    text = unit * 200_000
    began = time.monotonic()
    told(text, *Of)
    telling_sentence(text)
    telling_lines(text)
    # 0.1 s on an idle host; patterns that look across lines took minutes.
    assert time.monotonic() - began < 5.0


def test_colours_are_no_part_of_what_is_said():
    assert plain("\x1b[36mINFO\x1b[0m x\r\n") == "INFO x\n"
