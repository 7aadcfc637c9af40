# disk mount|unmount|migrate|grow [HINT FILESYSTEM OPTIONS]: the persistent disk at /var/vcap/store.
# HINT says where the device is; see device. It is recorded as it is, and looked up at each boot.
# Put behind device and, so that the first boot never meets a disk with data, behind booted.
store=$vcap/store
is_mounted() { grep -q " $1 " /proc/mounts; }
recorded() {
  hint_recorded=
  [ -r "$etc/disk" ] && read -r hint_recorded <"$etc/disk"
}
# What is mounted at the store, as the kernel names it; a directory's name is not told.
mounted_device() {
  while read -r source place _; do
    [ "$place" != "$store" ] || readlink -f "$source"
  done </proc/mounts | tail -n 1
}
record() {
  mkdir -p "$etc" && printf '%s\n' "$1" "$2" "$3" >"$etc/disk.new" &&
    mv -f "$etc/disk.new" "$etc/disk"
}
wait_for() {
  wait_for_device "$1" || die "the device '$1' did not appear within 30 s"
}
# Makes a file system only where blkid, asked to look at the device itself, finds nothing at all.
format_if_blank() {
  [ -d "$1" ] && return
  [ -b "$1" ] || die "'$1' is neither a block device nor a directory"
  found=$(blkid -p -o export "$1" 2>&1)
  case $? in
    0)
      case "
$found" in
        *"
TYPE="*) return ;;
      esac
      die "the disk '$1' has no file system but something else, and is not formatted: $(echo $found)"
      ;;
    2) ;;
    *) die "the disk '$1' cannot be examined, and is not formatted: $found" ;;
  esac
  case $2 in
    ext4) said=$(mkfs.ext4 -q -E lazy_itable_init=1,lazy_journal_init=1,nodiscard "$1" 2>&1 </dev/null) ;;
    xfs) said=$(mkfs.xfs -q -K "$1" 2>&1 </dev/null) ;;
    *) die "'$2' is not a file system for persistent disks: use ext4 or xfs" ;;
  esac || die "making an $2 file system on '$1' failed: $said"
}
mount_at() {
  mkdir -p "$4"
  if [ -d "$1" ]; then
    said=$(mount --bind "$1" "$4" 2>&1)
  else
    said=$(mount -t "$2" ${3:+-o "$3"} "$1" "$4" 2>&1)
  fi || die "mounting '$1' at $4 failed: $said"
}
filesystem_of() {
  found=$(blkid -p -o value -s TYPE "$1" 2>/dev/null) && [ -n "$found" ] && echo "$found" && return
  echo "$2"
}
unmount() {
  is_mounted "$1" || return 0
  n=0
  until said=$(umount "$1" 2>&1); do
    n=$((n + 1))
    [ "$n" -lt 50 ] || die "unmounting $1 failed: $said$(users_of "$1")"
    sleep 0.1
  done
}
users_of() {
  for p in /proc/[0-9]*; do
    case $(readlink "$p/cwd" "$p/root" "$p"/fd/* 2>/dev/null) in
      *"$1"*) printf ' (in use by %s)' "$(tr '\0' ' ' <"$p/cmdline" | cut -c1-80)" ;;
    esac
  done
}
mount_disk() {
  recorded
  if is_mounted "$store"; then
    [ "$hint_recorded" = "$1" ] && return
    # The same disk may go by another name than when it was mounted.
    find_device "$1" && [ "$(readlink -f "$device")" = "$(mounted_device)" ] ||
      die "another disk, '$hint_recorded', is mounted at $store"
    record "$1" "$(filesystem_of "$device" "$2")" "$3"
    return
  fi
  wait_for "$1"
  format_if_blank "$device" "$2"
  filesystem=$(filesystem_of "$device" "$2")
  mount_at "$device" "$filesystem" "$3" "$store"
  [ -d "$device" ] || chmod 0755 "$store"
  record "$1" "$filesystem" "$3"
}
grow() {
  is_mounted "$store" || die "no persistent disk is mounted that could grow"
  recorded
  wait_for "$hint_recorded"
  [ -b "$device" ] || return 0
  case $(filesystem_of "$device" ext4) in
    ext*) said=$(resize2fs "$device" 2>&1) || grow_unmounted ;;
    xfs) said=$(xfs_growfs "$store" 2>&1) ;;
  esac || die "the file system of the persistent disk did not grow: $said"
}
# Not every kernel lets a mounted file system grow, and no container without the right to.
grow_unmounted() {
  {
    read -r _
    read -r filesystem
    read -r options
  } <"$etc/disk"
  unmount "$store"
  said=$(e2fsck -f -p "$device" 2>&1) || [ $? -le 1 ] && said=$(resize2fs "$device" 2>&1)
  grown=$?
  ( mount_at "$device" "$filesystem" "$options" "$store" ) || exit 1
  return "$grown"
}
migrate() {
  recorded
  [ "$hint_recorded" = "$1" ] && is_mounted "$store" && return
  is_mounted "$store" || die "no persistent disk is mounted that could be copied"
  bind=$(find_device "$hint_recorded" && [ -d "$device" ] && echo ,bind)
  target=$vcap/store_migration_target
  unmount "$target"
  wait_for "$1"
  format_if_blank "$device" "$2"
  filesystem=$(filesystem_of "$device" "$2")
  mount_at "$device" "$filesystem" "$3" "$target"
  # Only what an earlier, unfinished copy left may be cleared away; its mark tells.
  if [ -e "$target/.director-copy-unfinished" ]; then
    find "$target" -xdev -mindepth 1 ! -name .director-copy-unfinished ! -name lost+found -delete
  elif [ -n "$(find "$target" -mindepth 1 ! -name lost+found | head -n 1)" ]; then
    unmount "$target"
    die "the new disk '$1' holds files already, and is not written to"
  fi
  : >"$target/.director-copy-unfinished" || die "the new disk cannot be written to"
  said=$(mount -o "remount,ro$bind" "$store" 2>&1) || {
    unmount "$target"
    die "$store cannot be made read-only for copying: $said$(users_of "$store")"
  }
  said=$(cp -a "$store/." "$target/" 2>&1) || {
    mount -o "remount,rw$bind" "$store"
    unmount "$target"
    die "copying the persistent disk failed: $(printf '%s' "$said" | tail -n 3)"
  }
  rm -f "$target/.director-copy-unfinished"
  unmount "$target"
  unmount "$store"
  rmdir "$target" 2>/dev/null
  mount_at "$device" "$filesystem" "$3" "$store"
  record "$1" "$filesystem" "$3"
}
verb=$1
shift
case $verb in
  mount) mount_disk "$@" ;;
  unmount)
    unmount "$store"
    rm -f "$etc/disk"
    ;;
  migrate) migrate "$@" ;;
  grow) grow ;;
esac
