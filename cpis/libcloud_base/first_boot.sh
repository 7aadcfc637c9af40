# Makes what the director needs of a plain Debian or Ubuntu image. cloud-init runs it, as root, at
# every boot; it works at the first one, and once more where that was cut short. user_data.py puts
# "#!/bin/sh" and the values of swap_mb and toolchain before it. While /run/director/booting exists
# it is not done yet; what went wrong is in /run/director/failed, and on the console.
set -u
umask 022
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
vcap=/var/vcap
own=/var/lib/director
run=/run/director
needed='e2fsprogs iproute2 monit procps rsync sudo'
tools='gcc libc6-dev make patch pkg-config'

# -- users -----------------------------------------------------------------------------------------
# vcap is uid 1000 everywhere, so that a persistent disk keeps its owner from VM to VM. Whoever has
# that number in the image gets another one: of the image's own users nobody has data yet.
users() {
  getent group vcap >/dev/null || {
    other=$(getent group 1000 | cut -d: -f1)
    [ -z "$other" ] || groupmod -g "$(free_number group)" "$other"
    groupadd -g 1000 vcap
  }
  id -u vcap >/dev/null 2>&1 || {
    other=$(getent passwd 1000 | cut -d: -f1)
    [ -z "$other" ] || usermod -u "$(free_number passwd)" "$other"
    useradd -u 1000 -g vcap -d /home/vcap -m -s /bin/bash -c 'BOSH user' vcap
  }
  for group in bosh_sudoers bosh_sshers; do
    getent group "$group" >/dev/null || groupadd -r "$group"
    usermod -a -G "$group" vcap
  done
  echo '%bosh_sudoers ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/bosh_sudoers
  chmod 0440 /etc/sudoers.d/bosh_sudoers
  for user in root vcap; do
    # '*' is a password nobody has; '!' may also keep a key from logging in.
    case $(getent shadow "$user" | cut -d: -f2) in '' | '!'*) echo "$user:*" | chpasswd -e ;; esac
  done
  if [ -s "$own/passwords" ]; then
    chpasswd -e <"$own/passwords"
    rm -f "$own/passwords"
  fi
  home=$(getent passwd vcap | cut -d: -f6)
  install -d -m 0700 -o vcap -g vcap "$home/.ssh"
  install -m 0600 -o vcap -g vcap "$own/authorized_keys" "$home/.ssh/authorized_keys"
}
free_number() {
  n=1001
  while getent "$1" "$n" >/dev/null; do n=$((n + 1)); done
  echo "$n"
}

# -- packages --------------------------------------------------------------------------------------
packages() {
  [ "$toolchain" = no ] || needed="$needed $tools"
  [ "$swap_mb" = 0 ] || needed="$needed fdisk"
  missing=
  for name in $needed; do
    # A program that came by other means than its package is as good.
    case $name in monit | rsync | sudo | gcc | make | patch) command -v "$name" ;;
      fdisk) command -v sfdisk ;;
      iproute2) command -v ip ;;
      *) dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -x installed ;;
    esac >/dev/null || missing="$missing $name"
  done
  # The director starts monit with a configuration of its own.
  if [ -d /run/systemd/system ]; then systemctl -q mask --now monit.service; fi
  [ -n "$missing" ] || return 0
  echo "installing$missing"
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  tries=0
  # Other package managers may be at work at a first boot, and mirrors fail for a while.
  # shellcheck disable=SC2086 # a list of words
  until apt-get -q -o Acquire::Retries=3 update && apt-get -q -y -o Acquire::Retries=3 \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold --no-install-recommends \
    install $missing; do
    tries=$((tries + 1))
    [ "$tries" -lt 6 ] || {
      echo "the packages$missing cannot be installed"
      return 1
    }
    sleep $((tries * 5))
    dpkg --configure -a || :
  done
}

# -- the ephemeral disk ----------------------------------------------------------------------------
ephemeral_disk() {
  ! grep -q " $vcap/data " /proc/mounts || return 0
  # What an earlier first boot began is gone on with.
  data=$(blkid -t PARTLABEL=director-data -o device || blkid -t LABEL=director-data -o device || :)
  swap=$(blkid -t PARTLABEL=director-swap -o device || :)
  if [ -z "$data" ]; then
    disk=$(blank_disk)
    if [ -n "$disk" ]; then
      divide "$disk"
    else
      # OpenStack gives a flavour's ephemeral disk with a file system; no other has this label.
      data=$(blkid -t LABEL=ephemeral0 -o device | head -n 1 || :)
      [ -n "$data" ] && is_empty "$data" || data=
    fi
  fi
  [ -n "$data" ] || {
    echo "no disk is blank: $vcap/data stays on the root disk"
    return 0
  }
  [ -n "$(blkid -p -o value -s TYPE "$data")" ] ||
    mkfs.ext4 -q -L director-data -E lazy_itable_init=1,lazy_journal_init=1 "$data"
  mkdir -p "$vcap/data"
  filesystem=$(blkid -p -o value -s TYPE "$data")
  mount -t "$filesystem" "$data" "$vcap/data"
  remember "$data" "$vcap/data $filesystem defaults,nofail,x-systemd.before=director-boot.service 0 2"
  if [ -n "$swap" ]; then
    [ "$(blkid -p -o value -s TYPE "$swap")" = swap ] || mkswap -L director-swap "$swap"
    grep -q "^$swap " /proc/swaps || swapon "$swap"
    remember "$swap" 'none swap sw,nofail 0 0'
  fi
}
# Names of devices change from boot to boot, UUIDs do not.
remember() {
  uuid=$(blkid -p -o value -s UUID "$1")
  grep -q "^UUID=$uuid " /etc/fstab || echo "UUID=$uuid $2" >>/etc/fstab
}
# Prints the largest whole disk that was there before anybody could log in and that is blank; local
# disks of the host come after others, because they are there only with some instance types.
blank_disk() {
  for disk in /dev/nvme[0-9]*n[0-9]* /dev/xvd[a-z]* /dev/vd[a-z]* /dev/sd[a-z]*; do
    is_blank "$disk" || continue
    rank=1
    read -r model 2>/dev/null <"$(sys "$disk")/device/model" || model=
    case $model in *'Instance Storage'*) rank=0 ;; esac
    echo "$rank $(blockdev --getsize64 "$disk") $disk"
  done | sort -k1,1nr -k2,2nr -s | head -n 1 | cut -d' ' -f3
}
is_blank() {
  [ -b "$1" ] && grep -qx "${1#/dev/}" "$run/devices" || return 1
  at=$(sys "$1")
  [ -d "$at" ] && [ ! -e "$at/partition" ] && ! grep -q "^$1" /proc/mounts /proc/swaps || return 1
  [ "$(blockdev --getro "$1")" = 0 ] && [ -z "$(ls "$at/holders")" ] || return 1
  for part in "$at"/*/partition; do [ ! -e "$part" ] || return 1; done
  # Zeros at both ends, so that what blkid does not know is safe as well.
  size=$(blockdev --getsize64 "$1") && [ "$size" -ge 67108864 ] || return 1
  head -c 1048576 "$1" | cmp -s -n 1048576 - /dev/zero || return 1
  tail -c 1048576 "$1" | cmp -s -n 1048576 - /dev/zero || return 1
  found=0
  blkid -p "$1" >/dev/null 2>&1 || found=$?
  [ "$found" -eq 2 ]
}
is_empty() {
  ! grep -q "^$1 " /proc/mounts || return 1
  mkdir -p "$run/look" && mount -o ro "$1" "$run/look" || return 1
  inside=$(find "$run/look" -mindepth 1 ! -name lost+found | head -n 1)
  umount "$run/look"
  [ -z "$inside" ]
}
sys() { printf '/sys/dev/block/%d:%d' "0x$(stat -L -c %t "$1")" "0x$(stat -L -c %T "$1")"; }
# Sets data and swap to what it makes of a blank disk: swap of the wanted size, or as much as there
# is memory, at most half the disk; without swap the disk needs no partitions.
divide() {
  half_mb=$(($(blockdev --getsize64 "$1") / 2097152))
  [ -n "$swap_mb" ] || swap_mb=$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) / 1024))
  [ "$swap_mb" -le "$half_mb" ] || swap_mb=$half_mb
  data=$1 swap=
  [ "$swap_mb" -gt 0 ] || return 0
  sfdisk -q --wipe always --wipe-partitions always "$1" <<PARTS
label: gpt
size=${swap_mb}MiB, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F, name=director-swap
type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=director-data
PARTS
  case $1 in *[0-9]) between=p ;; *) between= ;; esac
  swap=$1${between}1 data=$1${between}2
  tries=0
  until [ -b "$swap" ] && [ -b "$data" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || {
      echo "the partitions of $1 did not appear"
      return 1
    }
    sleep 0.1
  done
}

# -- BOSH's directories ----------------------------------------------------------------------------
layout() {
  for d in bosh bosh/etc data data/jobs data/packages data/sys data/sys/log data/sys/run data/tmp \
    data/compile instance jobs monit monit/job packages store; do
    [ -d "$vcap/$d" ] || mkdir -p "$vcap/$d"
  done
  [ -e "$vcap/sys" ] || ln -s data/sys "$vcap/sys"
  # Never what is on a persistent disk: that has owners already.
  find "$vcap" -path "$vcap/store/*" -prune -o -exec chown -h root:vcap {} +
  chmod 0755 "$vcap" "$vcap/jobs" "$vcap/packages" "$vcap/data"
  chmod 0700 "$vcap/bosh" "$vcap/bosh/etc" "$vcap/monit"
  chmod 0770 "$vcap/data/tmp"
}

case ${1-} in
  work)
    set -e
    packages
    users
    ephemeral_disk
    layout
    ;;
  '')
    [ ! -e "$own/done" ] || exit 0
    umask 077
    if sh "$0" work </dev/null >"$own/first-boot.log" 2>&1; then
      : >"$own/done"
      rm -f "$run/failed"
      echo 'the machine is ready for the director'
    else
      tail -n 12 "$own/first-boot.log" >"$run/failed.new" && mv -f "$run/failed.new" "$run/failed"
      echo 'preparing the machine for the director failed:'
      cat "$run/failed"
    fi
    rm -f "$run/booting"
    ;;
esac
