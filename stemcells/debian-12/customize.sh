#!/bin/sh
# Turns the bare Debian tree in $1 into a stemcell. Runs once, as mmdebstrap's customize hook.
set -eu
root=$1

# -- users ---------------------------------------------------------------------------------------
# vcap is uid 1000 everywhere, so that a persistent disk keeps its owner across stemcells.
chroot "$root" groupadd --gid 1000 vcap
chroot "$root" useradd --uid 1000 --gid vcap --create-home --shell /bin/bash vcap
chroot "$root" groupadd --system bosh_sudoers
chroot "$root" groupadd --system bosh_sshers
chroot "$root" usermod --append --groups bosh_sudoers,bosh_sshers vcap
# '*' is a password nobody has; '!' would also lock out logging in with a key.
chroot "$root" usermod --password '*' root
chroot "$root" usermod --password '*' vcap
echo '%bosh_sudoers ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/bosh_sudoers"
chmod 0440 "$root/etc/sudoers.d/bosh_sudoers"

# -- layout --------------------------------------------------------------------------------------
for directory in bosh bosh/etc data data/jobs data/packages data/sys data/sys/log data/sys/run \
    data/tmp data/compile instance jobs monit monit/job packages store; do
    mkdir -p "$root/var/vcap/$directory"
done
ln -s data/sys "$root/var/vcap/sys"
chroot "$root" chown -R root:vcap /var/vcap
chmod 0755 "$root/var/vcap" "$root/var/vcap/jobs" "$root/var/vcap/packages" "$root/var/vcap/data"
chmod 0700 "$root/var/vcap/bosh" "$root/var/vcap/bosh/etc" "$root/var/vcap/monit"
chmod 0770 "$root/var/vcap/data/tmp"

# -- sshd ----------------------------------------------------------------------------------------
# Keys only. Without PAM and DNS look-ups a login takes half the time; the limits let a director
# open many channels at once.
cat >"$root/etc/ssh/sshd_config" <<'SSHD'
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
UsePAM no
UseDNS no
GSSAPIAuthentication no
X11Forwarding no
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
LoginGraceTime 30
MaxSessions 100
MaxStartups 200
ClientAliveInterval 60
ClientAliveCountMax 5
Subsystem sftp internal-sftp
SSHD
mkdir -p "$root/run/sshd" "$root/root/.ssh" "$root/home/vcap/.ssh"
chmod 0700 "$root/root/.ssh" "$root/home/vcap/.ssh"
chroot "$root" chown 1000:1000 /home/vcap/.ssh

# -- nothing of one machine in the image of all ----------------------------------------------------
# Host keys are injected when a machine is made; two machines must never share one.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/motd" "$root/etc/hostname" "$root/etc/resolv.conf"
: >"$root/etc/machine-id"
: >"$root/etc/hostname"
: >"$root/etc/resolv.conf"
# monit is started by the director's own boot script with its own configuration.
rm -rf "$root"/etc/init.d/monit "$root"/etc/rc?.d/*monit "$root/etc/monit/monitrc"
# The sources of the host that built the image may be reachable only from there.
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/lib/apt/lists/* "$root"/var/log/*.log \
    "$root"/var/log/apt "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/*
