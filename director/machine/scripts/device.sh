# find_device HINT: puts into $device the first that exists of several paths, which stand with blanks
# between them and may hold stars. A whole disk comes before the partitions that a star also matches.
is_partition() {
  case $1 in *-part[0-9]*) return 0 ;; esac
  node=$(readlink -f "$1") && [ -e "/sys/class/block/${node##*/}/partition" ]
}
find_device() {
  device=
  # shellcheck disable=SC2086 # a list of patterns
  for found in $1; do
    [ -e "$found" ] || continue
    device=${device:-$found}
    case " $1 " in *" $found "*) ;; *) is_partition "$found" && continue ;; esac
    device=$found
    return 0
  done
  [ -n "$device" ]
}
wait_for_device() {
  tries=0
  until find_device "$1"; do
    tries=$((tries + 1))
    [ "$tries" -lt "${device_tries:-300}" ] || return 1
    sleep 0.1
  done
}
