#!/bin/sh
# Read by the customize hooks of the node image and the box: what all machines have in common.
# `root` is the new file system, `common` this folder.
# shellcheck disable=SC2154  # they are set by whoever reads this

# Copies a folder of files over the new file system; they belong to root, whoever builds.
copy_files() {
    (cd "$1" && find . -type f) | while read -r file; do
        mode=0644
        if [ -x "$1/$file" ]; then mode=0755; fi
        install -D --owner=root --group=root --mode="$mode" "$1/$file" "$root/$file"
    done
}

# Vagrant's user: no password, only a key; which one is the provider's matter.
make_user() {
    chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 vagrant
    copy_files "$common/files"
    chmod 0440 "$root/etc/sudoers.d/vagrant"
}

# Identities are made at first boot, one per machine.
remove_identities() {
    rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
    : >"$root/etc/machine-id"
}

# Units that nobody needs in a machine that lives for minutes: upkeep, consoles, debugging.
mask_idle_units() {
    chroot "$root" systemctl mask --quiet \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
        fstrim.timer systemd-tmpfiles-clean.timer systemd-timesyncd.service \
        systemd-resolved.service systemd-logind.service systemd-networkd-wait-online.service \
        getty@.service sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
        sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount
    chroot "$root" systemctl set-default --quiet multi-user.target
    chroot "$root" systemctl enable --quiet ssh.service
}

# What packages and mmdebstrap leave behind: no machine reads it, and it tells about the host. Not
# /tmp: mmdebstrap has its settings for apt there. Without them it would go on and empty the package
# lists of the host.
remove_leavings() {
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old \
        "$root"/var/log/* "$root"/var/tmp/* "$root"/etc/*- "$root"/var/lib/dpkg/*-old \
        "$root"/etc/apt/sources.list "$root"/etc/apt/apt.conf.d/99mmdebstrap \
        "$root"/etc/apt/preferences.d/* "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap
    mkdir -p "$root/var/log/journal"
}
