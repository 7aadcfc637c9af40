# errand JOB: runs bin/run of a job.
path=$vcap/jobs/$1/bin/run
[ -x "$path" ] || {
  echo "the machine has no errand '$1'" >&2
  exit 127
}
cd / || exit 1
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$path"
