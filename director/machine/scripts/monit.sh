# monit VERB: launch or stop; put behind halt.
verb=$1
need_monit() {
  command -v monit >/dev/null || die "monit is not installed on the machine"
}
launch() {
  need_monit
  [ -r "$etc/monitrc" ] || die "nothing is installed on the machine"
  rm -rf "$dir/job.new"
  umask 077
  mkdir "$dir/job.new" || exit 1
  n=0
  while read -r job; do
    for f in "$vcap/jobs/$job/monit" "$vcap/jobs/$job"/*.monit; do
      [ -s "$f" ] || continue
      label=${f##*/}
      label=${label%.monit}
      name=$(printf '%04d_%s' "$n" "$job")
      [ "$label" = monit ] || name=${name}_$label
      cp "$f" "$dir/job.new/$name.monitrc" || exit 1
      chmod 0600 "$dir/job.new/$name.monitrc"
    done
    n=$((n + 1))
  done <"$etc/jobs"
  # Checked where it lies first: a monit that does not come up helps nobody.
  sed "s|^include .*|include $dir/job.new/*.monitrc|" "$etc/monitrc" >"$etc/monitrc.check"
  said=$(monit -t -c "$etc/monitrc.check" 2>&1) || {
    printf '%s\n' "$said" >&2
    exit 65
  }
  halt
  rm -rf "$dir/job"
  mv "$dir/job.new" "$dir/job" || exit 1
  : >"$etc/started" || exit 1
  umask 022
  env -i PATH="$PATH" monit -c "$etc/monitrc" </dev/null >/dev/null || exit 1
  cat "$etc/monit.user"
}
case $verb in
  launch) launch ;;
  stop)
    halt
    # With no monit running this one does the stopping itself, and returns when all is done.
    if [ -r "$etc/monitrc" ] && ls "$dir"/job/*.monitrc >/dev/null 2>&1; then
      need_monit
      said=$(env -i PATH="$PATH" monit -c "$etc/monitrc" -g vcap stop all 2>&1)
      code=$?
      case $said in *"not found"*) code=0 ;; esac
      [ "$code" -eq 0 ] || die "$said"
    fi
    rm -f "$dir/state" "$etc/started"
    ;;
esac
