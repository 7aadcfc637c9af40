# supervise COMMAND...: runs it in a session of its own, and ends that session (TERM, 10 s, KILL)
# when standard input ends before it does. Input ends when the director wants it, and also when
# the connection is lost: no script outlives the director's interest in it.
exec 3<&0 </dev/null
setsid "$@" 3<&- &
child=$!
(
  trap '' TERM HUP
  exec >/dev/null 2>&1
  while read -r _ <&3; do :; done
  # Input may end before setsid has made the session.
  n=0
  until kill -TERM "-$child"; do
    n=$((n + 1))
    [ "$n" -lt 100 ] || exit
    sleep 0.02
  done
  n=0
  while [ "$n" -lt 100 ] && kill -0 "-$child"; do
    sleep 0.1
    n=$((n + 1))
  done
  kill -KILL "-$child"
) &
watcher=$!
exec 3<&-
wait "$child"
code=$?
kill -KILL "$watcher" 2>/dev/null
# Ended by TERM: whatever of it did not listen goes too.
[ "$code" -ne 143 ] || kill -KILL "-$child" 2>/dev/null
exit "$code"
