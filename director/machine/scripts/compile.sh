# compile NAME VERSION: runs the packaging script of the source that was sent before, and writes a
# gzipped tar of what it installed. After a failure: its last lines, on standard error.
name=$1 version=$2
work=$data/compile
trap 'rm -rf "$work/$name" "$work/$name.out" "$work/source.tgz" "$vcap/packages/$name"' EXIT
rm -rf "${work:?}/$name" "$work/$name.out" "$vcap/packages/$name"
mkdir -p "$work/$name" "$work/$name.out"
ln -s "$work/$name.out" "$vcap/packages/$name"
tar -xzf "$work/source.tgz" -C "$work/$name" --no-same-owner -p || die "its source does not unpack"
cd "$work/$name" || exit 1
[ -f packaging ] || die "its source has no packaging script"
command -v bash >/dev/null || die "the stemcell has no bash, which packaging scripts are run with"
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
  BOSH_COMPILE_TARGET="$work/$name" BOSH_INSTALL_TARGET="$vcap/packages/$name" \
  BOSH_PACKAGE_NAME="$name" BOSH_PACKAGE_VERSION="$version" \
  bash -x packaging </dev/null >"$work/$name.log" 2>&1 || {
  code=$?
  tail -n 30 "$work/$name.log" | tail -c 8000 >&2
  exit "$code"
}
cd / || exit 1
tar -czf - -C "$work/$name.out" . || die "what it installed cannot be packed"
