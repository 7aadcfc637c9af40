# adopt USER [nopasswd]: as root, prepares a machine whose stemcell is not the director's own, so that
# USER needs no password to become root and nobody else supervises the jobs. Prints "root" as a sign
# that it runs at all. Exit code 73: the agent of BOSH still sets the machine up; ask again.
echo root
mark=$etc/adopted
mkdir -p "$etc"
if [ "${2-}" = nopasswd ]; then
  # sudo passes over files with a dot in their name, so it never sees half a rule.
  rules=/etc/sudoers.d
  (
    umask 0227
    rm -f "$rules/zz-director.new"
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$1" >"$rules/zz-director.new"
  ) && mv -f "$rules/zz-director.new" "$rules/zz-director" ||
    die "sudo's rule for '$1' cannot be written"
fi
[ ! -e "$mark" ] || exit 0

has_service() { [ -d "/etc/sv/$1" ] || [ -e "/etc/systemd/system/$2" ]; }
runs() { # NAME UNIT
  case $(sv status "$1" 2>/dev/null) in run:*) return 0 ;; esac
  systemctl -q is-active "$2" 2>/dev/null
}
take_down() { # NAME UNIT
  if [ -d "/etc/sv/$1" ]; then
    : >"/etc/sv/$1/down"
    sv stop "$1" >/dev/null 2>&1
  fi
  if [ -d /run/systemd/system ]; then systemctl -q mask --now "$2" 2>/dev/null; fi
}
# The agent starts monit as the last thing it does for a new machine. Before that it has not mounted
# its disk yet, which nobody would do in its place.
if has_service agent bosh-agent.service; then
  tries=0
  until runs monit monit.service; do
    tries=$((tries + 1))
    [ "$tries" -le 20 ] || exit 73
    sleep 0.1
  done
  take_down agent bosh-agent.service
  take_down monit monit.service
fi
# What the agent mounted it would mount again after a reboot. It is not there then.
remember() { # DEVICE FIELDS
  uuid=$(blkid -p -o value -s UUID "$1" 2>/dev/null) && [ -n "$uuid" ] || return 0
  grep -q "^UUID=$uuid " /etc/fstab 2>/dev/null || echo "UUID=$uuid $2" >>/etc/fstab
}
while read -r source place filesystem _; do
  [ "$place" != "$data" ] || remember "$source" \
    "$place $filesystem defaults,nofail,x-systemd.before=director-boot.service 0 2"
done </proc/mounts
while read -r source kind _; do
  [ "$kind" != partition ] || remember "$source" 'none swap sw,nofail 0 0'
done </proc/swaps
# BOSH's stemcells let only their agent speak to monit; the director does it through sshd.
nft flush chain inet filter monit_output 2>/dev/null
iptables -t mangle -S POSTROUTING 2>/dev/null | while read -r _ rule; do
  # shellcheck disable=SC2086 # a rule is a list of words
  case $rule in *'--dport 2822'*) iptables -t mangle -D $rule ;; esac
done
# Logging in as the user the jobs run as, and out again, must not take their shared memory away.
if [ -d /run/systemd/system ]; then
  mkdir -p /etc/systemd/logind.conf.d
  printf '[Login]\nRemoveIPC=no\nKillUserProcesses=no\n' >/etc/systemd/logind.conf.d/director.conf
  systemctl -q try-restart systemd-logind.service 2>/dev/null
fi
: >"$mark"
