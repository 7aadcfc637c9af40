#!/bin/sh
# The first process of a local machine. It starts sshd before anything else, then what the director
# put at /var/vcap/bosh/boot; it reaps every orphan at once, because it always stands in wait; and
# it takes the machine down when it is told to (SIGTERM or SIGPWR), processes first.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022
stopping=
trap 'stopping=1' TERM INT PWR

mkdir -p /run/sshd
start_sshd() {
  /usr/sbin/sshd -D -e -h /etc/director/ssh_host_key &
  sshd=$!
}
start_sshd
mkdir -p /run/lock

if [ -x /var/vcap/bosh/boot ]; then
  /var/vcap/bosh/boot </dev/null &
fi

while [ -z "$stopping" ]; do
  wait "$sshd"
  if [ -z "$stopping" ] && ! kill -0 "$sshd" 2>/dev/null; then
    echo "sshd ended and is started again"
    sleep 1
    start_sshd
  fi
done

echo "stopping"
kill -TERM -1 2>/dev/null
tries=0
while [ "$tries" -lt 50 ] && kill -0 -1 2>/dev/null; do
  sleep 0.1
  tries=$((tries + 1))
done
kill -KILL -1 2>/dev/null
sync
exit 0
