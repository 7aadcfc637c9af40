# install MODE: unpacks the tar on standard input and puts its parts where they belong.
#   prepare  only what can lie beside what runs: jobs and packages, by digest
#   compile  also the links to packages, and the source to be compiled
#   apply    everything, and removes what the plan does not name
# The plan, a file in the tar, has a line for each thing the machine shall have in the end.
# Exit code 75: something the plan names was neither sent nor there.
set -e
mode=$1
for d in bosh bosh/etc data data/jobs data/packages data/sys data/compile data/tmp jobs packages \
  monit monit/job store instance; do
  [ -d "$vcap/$d" ] || mkdir -p "$vcap/$d"
done
[ -e "$vcap/sys" ] || ln -s data/sys "$vcap/sys"
for d in sys/log sys/run; do
  [ -d "$vcap/$d" ] || mkdir -p "$vcap/$d"
done
# Ask libc about the name: a user database need not be a file.
if ! id -g vcap >/dev/null 2>&1; then
  groupadd -f vcap && useradd -g vcap -m -s /bin/sh vcap
fi
rm -rf "$data"/incoming.*
incoming=$data/incoming.$$
mkdir -m 0700 "$incoming"
trap 'rm -rf "$incoming"' EXIT
tar -xmf - -C "$incoming" --no-same-owner -p
cat >/dev/null
cd "$incoming"
[ -e end ] || die "what was sent did not arrive completely"

if [ "$mode" = apply ] && [ -e "$vcap/bosh/spec_digest" ]; then
  cmp -s spec_digest "$vcap/bosh/spec_digest" || rm -f "$vcap/bosh/spec_digest"
fi
for d in jobs/*/*; do
  [ -d "$d" ] || continue
  chown -R root:vcap "$d"
  mkdir -p "$data/${d%/*}"
  rm -rf "${data:?}/$d"
  mv "$d" "$data/$d"
done
for t in packages/*/*.tgz; do
  [ -e "$t" ] || continue
  d=${t%.tgz}
  mkdir "$d"
  tar -xzf "$t" -C "$d" --no-same-owner -p || die "package '${d#*/}' does not unpack"
  chmod 0755 "$d"
  rm -f "$t"
  mkdir -p "$data/${d%/*}"
  rm -rf "${data:?}/$d"
  mv "$d" "$data/$d"
done
[ "$mode" != prepare ] || exit 0

# -- links: exactly those the plan names -----------------------------------------------------------
jobs=' ' packages=' ' kept=' ' dirs=
while read -r kind name digest; do
  case $kind in
    job) jobs="$jobs$name " ;;
    package) packages="$packages$name " ;;
    *) continue ;;
  esac
  target=$data/${kind}s/$name/$digest link=$vcap/${kind}s/$name
  [ -d "$target" ] || {
    echo "missing $kind $name $digest" >&2
    exit 75
  }
  kept="$kept${kind}s/$name/$digest "
  [ "$link" -ef "$target" ] && continue
  rm -rf "$link"
  ln -s "$target" "$link"
done <plan
for link in "$vcap"/packages/*; do
  case $packages in *" ${link##*/} "*) ;; *) rm -rf "$link" ;; esac
done
if [ "$mode" = compile ]; then
  rm -rf "${data:?}"/compile/*
  mv source.tgz "$data/compile/source.tgz"
  exit 0
fi
for link in "$vcap"/jobs/*; do
  case $jobs in *" ${link##*/} "*) ;; *) rm -rf "$link" ;; esac
done
for d in "$data"/jobs/*/* "$data"/packages/*/*; do
  case $kept in *" ${d#"$data"/} "*) ;; *) rm -rf "$d" ;; esac
done
rmdir "$data"/jobs/* "$data"/packages/* 2>/dev/null || :

# -- what jobs may write to --------------------------------------------------------------------------
for job in $jobs; do
  dirs="$dirs $vcap/sys/log/$job $vcap/sys/run/$job"
  case $job in jobs | packages | sys | compile | tmp | incoming.*) ;; *) dirs="$dirs $data/$job" ;; esac
done
if [ -n "$dirs" ]; then
  # Names are checked by the director: letters, digits, dot, dash and underscore.
  # shellcheck disable=SC2086
  mkdir -p $dirs && chown root:vcap $dirs && chmod 0770 $dirs
fi

# -- the machine's own files ---------------------------------------------------------------------------
for f in instance/*; do
  [ -e "$f" ] && mv -f "$f" "$vcap/$f"
done
mv -f boot "$vcap/bosh/boot"
mv -f jobs.order "$etc/jobs"
if ! head -n 1 "$etc/monitrc" 2>/dev/null | cmp -s - monitrc.head; then
  mv -f monit.user "$etc/monit.user"
  mv -f monitrc "$etc/monitrc"
fi
unit=/etc/systemd/system/director-boot.service
if [ -d /run/systemd/system ] && ! cmp -s director-boot.service "$unit"; then
  # The distribution's own monit knows nothing of the jobs and would hold its port and its files.
  systemctl -q mask --now monit.service 2>/dev/null || :
  mv -f director-boot.service "$unit"
  systemctl daemon-reload && systemctl -q enable director-boot.service || {
    rm -f "$unit"
    die "the unit that starts jobs at boot could not be enabled"
  }
fi
mv -f spec_digest "$vcap/bosh/spec_digest"
