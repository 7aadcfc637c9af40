# logs list DIRECTORY...: prints the files below, each ended by a zero byte.
# logs pack BASE: writes a gzipped tar of the files (relative to BASE) named on standard input.
verb=$1
shift
case $verb in
  list) for d in "$@"; do [ -d "$d" ] && find "$d/" -type f -print0; done ;;
  pack)
    tar -czf - -C "$1" --null --no-recursion --ignore-failed-read --verbatim-files-from -T -
    # 1: a file changed while it was read, as logs do.
    [ $? -le 1 ] || exit 1
    ;;
esac
exit 0
