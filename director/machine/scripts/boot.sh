# Run once at every boot of this machine; written by the director. Mounts the persistent disk and
# starts monit, if the jobs were started before. Put behind device.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/var/vcap/bosh/bin
export PATH
umask 022
vcap=/var/vcap
etc=$vcap/bosh/etc
exec </dev/null >>"$vcap/bosh/boot.log" 2>&1

# Process ids in files from before the boot belong to somebody else now.
find "$vcap/sys/run/" -mindepth 1 ! -type d -exec rm -f {} +
rm -f "$vcap/monit/state" "$vcap/monit/monit.pid"
for job in "$vcap"/jobs/*; do
  [ -e "$job" ] || continue
  dir=$vcap/sys/run/${job##*/}
  mkdir -p "$dir" && chown root:vcap "$dir" && chmod 0770 "$dir"
done

if [ -r "$etc/disk" ] && ! grep -q " $vcap/store " /proc/mounts; then
  {
    read -r hint
    read -r filesystem
    read -r options
  } <"$etc/disk"
  if ! wait_for_device "$hint"; then
    false
  elif [ -d "$device" ]; then
    mount --bind "$device" "$vcap/store"
  else
    mount -t "$filesystem" ${options:+-o "$options"} "$device" "$vcap/store"
  fi || {
    # Jobs that do not find their data must not begin anew beside it.
    echo "the persistent disk '$hint' was not mounted; no job is started"
    exit 1
  }
fi
if [ -e "$etc/started" ]; then
  exec env -i PATH="$PATH" monit -c "$etc/monitrc"
fi
