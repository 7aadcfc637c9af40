# drain STATE NEXT PACKAGES CHANGED KIND: runs bin/drain of every job that has it, side by side, as
# often as it asks for. KIND is update or shutdown, CHANGED the jobs that change (":all" for a
# machine that shows no spec), both lists of names with a space around each. Prints like lifecycle.
# Put behind halt: while a job drains, nobody starts again what it ends.
state=$1 next=$2 packages=$3 changed=$4 kind=$5
report() {
  printf '%s\n' "$1 $2${3:+
$(printf '%s\n' "$3" | tail -n 12 | tail -c 2500 | sed 's/^/|/')}"
}
drain_one() {
  job=$1
  if [ "$kind" = shutdown ]; then
    what=job_shutdown hash=hash_unchanged updated=
  else
    updated=$packages
    case $changed in
      ' :all ') what=job_new hash=hash_new ;;
      *" $job "*) what=job_changed hash=hash_changed ;;
      '  ' | '') what=job_unchanged hash=hash_unchanged ;;
      *) what=job_unchanged hash=hash_changed ;;
    esac
  fi
  set -- "BOSH_JOB_STATE=$state" "BOSH_JOB_NEXT_STATE=$next"
  # What it says on standard error is told after a failure only.
  said=$data/tmp/drain.$job.err
  while :; do
    # shellcheck disable=SC2086
    answer=$(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" nice -n 5 "$vcap/jobs/$job/bin/drain" \
      "$what" "$hash" $updated 2>"$said" </dev/null)
    code=$?
    if [ "$code" -ne 0 ]; then
      report "$job" "$code" "$(tail -c 2500 "$said")"
      break
    fi
    number=$(printf '%s' "$answer" | tr -d ' \t\r\n')
    case ${number#-} in
      '' | *[!0-9]* | ?????????*)
        report "$job" 1 "drain must print one whole number, and printed '$(
          printf '%.100s' "$answer"
        )'"
        break
        ;;
    esac
    sleep "${number#-}"
    case $number in -*) ;; *)
      report "$job" 0 ''
      break
      ;;
    esac
    what=job_check_status hash=hash_unchanged updated=
    set -- "BOSH_JOB_STATE=$state"
  done
  rm -f "$said"
}
halt
[ -d "$data/tmp" ] || mkdir -p "$data/tmp"
for path in "$vcap"/jobs/*/bin/drain; do
  [ -x "$path" ] || continue
  job=${path%/bin/drain}
  drain_one "${job##*/}" &
done
wait
exit 0
