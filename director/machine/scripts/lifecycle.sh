# lifecycle SCRIPT [NAME=VALUE...]: runs bin/SCRIPT of every job that has it, side by side.
# Prints "JOB EXITCODE" for each, and after a failure the last lines it wrote, behind a bar. Behind
# the first script of a start or a stop, "+SCRIPT" for each later one that any job has.
script=$1
shift
run_one() {
  job=$1
  shift
  logs=$vcap/sys/log/$job
  out=$logs/$script.stdout.log err=$logs/$script.stderr.log
  [ -d "$logs" ] || {
    mkdir -p "$logs"
    chown root:vcap "$logs"
    chmod 0750 "$logs"
  }
  (
    umask 027
    : >>"$out" && : >>"$err"
  ) || {
    echo "$job 1
|cannot write to $logs"
    return
  }
  before=$(wc -c <"$err")
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" nice -n 5 "$vcap/jobs/$job/bin/$script" \
    </dev/null >>"$out" 2>>"$err"
  code=$?
  said=
  [ "$code" -eq 0 ] ||
    said=$(tail -c "+$((before + 1))" "$err" | tail -n 12 | tail -c 2500 | sed 's/^/|/')
  # One write below the size of a pipe's buffer: answers of several jobs never mix.
  printf '%s\n' "$job $code${said:+
$said}"
}
if [ "$script" = pre-start ] && [ -x "$vcap/jobs/bpm/bin/$script" ]; then
  run_one bpm "$@"
fi
for path in "$vcap"/jobs/*/bin/"$script"; do
  [ -x "$path" ] || continue
  job=${path%/bin/*}
  job=${job##*/}
  [ "$job$script" = bpmpre-start ] || run_one "$job" "$@" &
done
wait
case $script in
  pre-start) later=post-start ;;
  pre-stop) later='drain post-stop' ;;
  *) later= ;;
esac
for next in $later; do
  for path in "$vcap"/jobs/*/bin/"$next"; do
    [ -x "$path" ] && echo "+$next" && break
  done
done
exit 0
