# Put before every script here: what all of them agree on.
set -u
umask 022
# Stemcells of BOSH have their monit in a place of its own.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/var/vcap/bosh/bin
LC_ALL=C
export PATH LC_ALL
vcap=/var/vcap
data=$vcap/data
etc=$vcap/bosh/etc
die() {
  printf '%s\n' "$*" >&2
  exit 1
}
