# halt: ends monit at once; what it supervises runs on.
# monit is restarted rather than reloaded: a fresh monit has no memory of what it was told before,
# starts everything at once and answers at once, where a reload takes up to its cycle's length and
# leaves what was stopped unmonitored. The processes are not monit's children and do not notice.
dir=$vcap/monit
halt() {
  pid=
  [ -r "$dir/monit.pid" ] && read -r pid <"$dir/monit.pid"
  case $pid in '' | *[!0-9]*) pid= ;; esac
  comm=
  [ -n "$pid" ] && [ -r "/proc/$pid/comm" ] && read -r comm <"/proc/$pid/comm"
  if [ "$comm" = monit ]; then
    kill -KILL "$pid"
    n=0
    # A zombie has no executable any more, and no port.
    while [ -e "/proc/$pid/exe" ] && [ "$n" -lt 200 ]; do
      sleep 0.01
      n=$((n + 1))
    done
  fi
  rm -f "$dir/monit.pid" "$dir/state"
}
