# Waits for a machine that is still at its first boot, but not for long: the director asks again.
# Exit codes: 73, it is still at it; 74, it failed, and standard error says why.
n=0
while [ -e /run/director/booting ] && [ ! -e /run/director/failed ]; do
  n=$((n + 1))
  [ "$n" -le 20 ] || exit 73
  sleep 0.1
done
if [ -e /run/director/failed ]; then
  tail -n 20 /run/director/failed | tail -c 4000 >&2
  exit 74
fi
