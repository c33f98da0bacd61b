"""What docker, libvirt, VirtualBox and Vagrant above them say when there is no machine."""

from __future__ import annotations

from harness.base.sayings.row import Of, Row

_KILLED = "a run that was killed may have left it: `k0s-harness labs --clean` removes that"
_FIRMWARE = (
    "turn on VT-x, or AMD-V (SVM), in this host's firmware; if this host is a VM itself, nested"
    " virtualisation in the one below it"
)
_KVM = (
    f"{_FIRMWARE}; then `sudo modprobe kvm_intel || sudo modprobe kvm_amd`. Without it,"
    " K0S_HARNESS_DRIVER=qemu emulates, about 20 times slower"
)
_OFF = "is switched off in this host's firmware"

_NETWORKS = "add its network to /etc/vbox/networks.conf, a line such as `* 192.168.56.0/21`"

ROWS: tuple[Row, ...] = (
    Row(
        Of.DOCKER,
        r"(?i)permission denied while trying to connect to the docker (?:daemon socket|API)"
        r"(?: at (?:unix://)?(?P<socket>[^\s:]+))?",
        "this user may not talk to docker's daemon ({socket})",
        "`sudo usermod -aG docker $USER`, then log in again (members of that group are as powerful"
        " as root)",
    ),
    Row(
        Of.DOCKER,
        r"(?:Cannot connect to the Docker daemon at|failed to connect to the docker API at)"
        r" (?P<socket>[^\s;]+?)[.;]? ",
        "docker's daemon does not answer at {socket}",
        "`sudo systemctl start docker`; DOCKER_HOST and `docker context ls` say which one is meant",
    ),
    Row(
        Of.DOCKER,
        r"non-overlapping (?P<kind>IPv[46]) address pool|predefined address pools have been fully",
        "docker has no free subnet left for another network",
        "`docker network prune` removes the networks that nothing uses, `k0s-harness labs --clean`"
        " those of killed runs; if a VPN routes all private networks, end it or set"
        " default-address-pools",
    ),
    Row(
        Of.DOCKER,
        r"Pool overlaps with other one on this address space",
        "another docker network has a part of that subnet already",
        "`docker network ls` and `docker network inspect NAME` show which; " + _KILLED,
    ),
    Row(
        Of.DOCKER,
        r"The container name \"/?(?P<name>[^\"]+)\" is already in use",
        "there is a container {name} already",
        _KILLED,
    ),
    Row(
        Of.DOCKER,
        r"Bind for (?P<address>\S+) failed: port is already allocated"
        r"|(?P<address2>\S{1,100}): bind: address already in use",
        "another program has {address}{address2}",
        "`ss -ltnp` shows which; " + _KILLED,
    ),
    Row(
        Of.DOCKER,
        r"(?P<what>[^\n:]{1,200}): no space left on device",
        "docker's disk is full: {what}",
        "`docker system df` shows what fills it, `docker system prune` removes what nothing uses",
    ),
    Row(
        Of.DOCKER,
        r"Unable to find image '(?P<image>[^']+)' locally",
        "the image {image} is not here, and cannot be fetched: {why}",
        "bring it here by `docker load`, or let this host reach its registry",
        also=r"Error response from daemon: (?P<why>[^\n]+)",
    ),
    Row(
        Of.LIBVIRT,
        r"virtlogd-sock(?:-admin)?': (?P<why>[^\n.]+)",
        "libvirt's virtlogd, which keeps the machines' consoles, does not run: {why}",
        "sudo systemctl enable --now virtlogd.socket",
    ),
    Row(
        Of.LIBVIRT,
        r"'(?P<socket>\S{0,200}(?:libvirt|virtqemud|virtnetworkd|virtstoraged)-sock(?:-ro)?)':"
        r" Permission denied|authentication unavailable: no polkit agent"
        r"|access denied by policy|authentication failed: (?:access denied|polkit)",
        "this user may not talk to libvirt {socket}",
        "`sudo usermod -aG libvirt $USER`, then log in again (members of that group are as powerful"
        " as root)",
    ),
    Row(
        Of.LIBVIRT,
        r"'(?P<socket>\S{0,200}(?:libvirt|virtqemud|virtnetworkd|virtstoraged)-sock(?:-ro)?)':"
        r" (?P<why>[^\n.]+)",
        "libvirt does not run: {socket}: {why}",
        "`sudo systemctl start libvirtd`, or, where its parts are services of their own,"
        " `sudo systemctl start virtqemud.socket virtnetworkd.socket virtstoraged.socket`",
    ),
    Row(
        Of.LIBVIRT,
        r"(?i)could not open (?:disk image )?'?(?P<file>/[^':\n]+)'?: Permission denied"
        r"|Cannot access storage file '(?P<file2>[^']+)'(?: \([^)\n]*\))?: Permission denied",
        "the user that qemu runs as may not open {file}{file2}",
        "let it through each folder on that path (`namei -l` shows them; /var/lib/libvirt/images is"
        " fine), or look for AppArmor's or SELinux's denial in `journalctl -k`",
    ),
    Row(
        Of.LIBVIRT,
        r"Cannot access storage file '(?P<file>[^']+)'(?: \([^)\n]*\))?: (?P<why>[^\n]+)",
        "the machine's disk {file} cannot be opened: {why}",
        "a half made machine is left: `k0s-harness labs --clean`, then again",
    ),
    Row(
        Of.LIBVIRT,
        r"KVM_CREATE_VM\) failed: (?:16 )?Device or resource busy"
        r"|failed to initialize KVM: Device or resource busy",
        "KVM is taken by another hypervisor, most often VirtualBox",
        "end its machines, or `sudo modprobe -r vboxdrv`",
    ),
    Row(
        Of.LIBVIRT,
        r"Could not access KVM kernel module: Permission denied",
        "qemu may not open /dev/kvm",
        "sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm",
    ),
    Row(
        Of.LIBVIRT,
        r"could not get preferred machine for \S+ type=kvm|Domain requires KVM"
        r"|Could not access KVM kernel module|(?i:failed to initialize KVM)"
        r"|(?:invalid|unsupported|unknown).{0,40}(?:domain|virt) ?type '?kvm",
        "this host has no KVM that machines could run with",
        _KVM,
    ),
    Row(
        Of.LIBVIRT,
        r"Name `(?P<name>[^`]+)` of domain about to create is already taken"
        r"|domain '(?P<name2>[^']+)' (?:already exists|is already defined)",
        "there is a machine {name}{name2} in libvirt already",
        _KILLED,
    ),
    Row(
        Of.LIBVIRT,
        r"Volume for domain is already created|storage volume '(?P<name>[^']+)' exists already",
        "there is a disk of that name in libvirt already {name}",
        _KILLED,
    ),
    Row(
        Of.LIBVIRT,
        r"cannot set up guest memory [^\n]*",
        "this host has too little free memory for the machine",
        "free some: `k0s-harness labs --clean` ends kept labs; `free -h` shows what there is",
    ),
    Row(
        Of.LIBVIRT,
        r"No usable storage pool found|no storage pool with matching name '(?P<name>[^']+)'",
        "libvirt has no usable storage pool {name}",
        "k0s-harness doctor names the commands that make one",
    ),
    Row(
        Of.LIBVIRT,
        r"is already in use by interface (?P<nic>\S+)|network '(?P<net>[^']+)' is not active",
        "libvirt's network cannot be used: {nic}{net}",
        "`virsh net-list --all` and `ip -br addr` show who has that subnet; " + _KILLED,
    ),
    Row(
        Of.VIRTUALBOX,
        r"VERR_(?:VMX_MSR_ALL_VMX_DISABLED|VMX_MSR_VMX_DISABLED|VMX_MSR_VMXON_DISABLED|SVM_DISABLED"
        r")|(?P<what>VT-x|AMD-V) is disabled in the BIOS",
        f"hardware virtualisation (VT-x, AMD-V) {_OFF}",
        _FIRMWARE,
    ),
    Row(
        Of.VIRTUALBOX,
        r"VERR_(?:VMX_IN_VMX_ROOT_MODE|SVM_IN_USE)|can't operate in VMX root mode"
        r"|is being used by another hypervisor",
        "another hypervisor, most often KVM, has VT-x or AMD-V",
        "end its machines, or `sudo modprobe -r kvm_intel kvm_amd`",
    ),
    Row(
        Of.VIRTUALBOX,
        r"VERR_(?:VMX_NO_VMX|SVM_NO_SVM|NEM_NOT_AVAILABLE|NEM_VM_CREATE_FAILED)"
        r"|(?:VT-x|AMD-V) is not available",
        "this host shows VirtualBox no hardware virtualisation (VT-x, AMD-V)",
        f"{_FIRMWARE}; on Windows turn Hyper-V off",
    ),
    Row(
        Of.VIRTUALBOX,
        r"A VirtualBox machine with the name '(?P<name>[^'\n]+)' already exists"
        r"|another VM with that name already exists",
        "there is a machine {name} in VirtualBox already",
        _KILLED,
    ),
    Row(
        Of.VIRTUALBOX,
        r"VERR_VM_DRIVER_NOT_(?:INSTALLED|ACCESSIBLE)|kernel (?:module|driver)[^\n]{0,40} not"
        r"\s+loaded",
        "VirtualBox's kernel module is not loaded",
        "`sudo modprobe vboxdrv`, or build it by `sudo /sbin/vboxconfig`; with Secure Boot it has"
        " to be signed",
    ),
    Row(
        Of.VIRTUALBOX,
        r"not within the\s+allowed ranges",
        "VirtualBox may not use {address} for its host-only network",
        _NETWORKS,
        also=r"^\s*Address: (?P<address>[^\n]*)",
    ),
    Row(
        Of.VIRTUALBOX,
        r"\"hostonlyif\", \"ipconfig\".*\"--ip\", \"(?P<address>[^\"]+)\"",
        "VirtualBox may not use {address} for its host-only network",
        _NETWORKS,
        also=r"E_ACCESSDENIED",
    ),
    Row(
        Of.VIRTUALBOX,
        r"Machine settings file '(?P<file>[^']+)' already exists|VERR_ALREADY_EXISTS",
        "there is a machine of that name in VirtualBox already {file}",
        _KILLED,
    ),
    Row(
        Of.VAGRANT,
        r"Timed out while waiting for the machine to boot",
        "the machine did not answer on SSH in time",
        "its console says how far it came; on a slow host run fewer things at once",
    ),
    Row(
        Of.VAGRANT,
        r"can't use the requested machine because it is locked",
        "another Vagrant process is at work on that machine",
        "wait for it to end; " + _KILLED,
    ),
    Row(
        Of.VAGRANT,
        r"The provider '(?P<name>[^']+)' could not be found",
        "Vagrant has no provider {name}",
        "k0s-harness doctor names the command that installs its plugin",
    ),
    Row(
        Of.VAGRANT,
        r"The box '(?P<name>[^']+)' (?:could not be found|couldn't be found|does not exist|isn't"
        r" installed)",
        "the box {name} is not on this host",
        "make box",
    ),
)
