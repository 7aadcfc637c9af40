# state WHAT: what is installed here, a line each; with WHAT = vitals also how the machine is.
# Put behind booted.
if [ -r "$vcap/bosh/spec_digest" ]; then
  read -r spec <"$vcap/bosh/spec_digest" && echo "spec $spec"
fi
[ -e "$etc/started" ] && echo "started"
if [ -r "$etc/monit.user" ]; then
  read -r user <"$etc/monit.user" && echo "monit $user"
fi
ls -l "$vcap/jobs" "$vcap/packages" 2>/dev/null
for d in "$data"/jobs/*/* "$data"/packages/*/*; do
  [ -d "$d" ] && echo "have ${d#"$data"/}"
done
if [ -r "$etc/disk" ] && grep -q " $vcap/store " /proc/mounts; then
  read -r device <"$etc/disk" && echo "disk $device"
fi
[ -e "$etc/started" ] || grep -hi '^[[:space:]]*check[[:space:]]*process' \
  "$vcap"/monit/job/*.monitrc 2>/dev/null
[ "$1" = vitals ] || exit 0
# Machines that share a host all feel each process that is started here: the shell reads by itself.
echo "== meminfo"
cat /proc/meminfo
for f in loadavg uptime; do
  echo "== $f"
  read -r line <"/proc/$f" && echo "$line"
done
echo "== init"
read -r line </proc/1/stat && echo "$line"
# The share of the processor since the last time somebody asked; the first time, since boot.
echo "== cpu"
[ -r /run/director.cpu ] && read -r line </run/director.cpu && echo "$line"
read -r line </proc/stat && echo "$line"
[ -w /run ] && echo "$line" >/run/director.cpu
echo "== limits"
for f in memory.max memory.current memory/memory.limit_in_bytes memory/memory.usage_in_bytes; do
  [ -r "/sys/fs/cgroup/$f" ] && read -r v <"/sys/fs/cgroup/$f" && echo "$f $v"
done
disks="/ $data"
grep -q " $vcap/store " /proc/mounts && disks="$disks $vcap/store"
for kind in k i; do
  echo "== df$kind"
  # shellcheck disable=SC2086 # a list of words
  df -P"$kind" $disks 2>/dev/null | {
    read -r line
    for d in $disks; do
      read -r line && echo "$d $line"
    done
  }
done
exit 0
