# users add USER (its public key on standard input), users list, or users remove USER...
homes=$vcap/bosh_ssh
add() {
  mkdir -p "$homes" && chmod 0755 "$homes"
  if ! id -u "$1" >/dev/null 2>&1; then
    groups=
    for group in vcap bosh_sudoers bosh_sshers; do
      getent group "$group" >/dev/null && groups=$groups${groups:+,}$group
    done
    # A password nobody has: '!' would lock out the key as well.
    useradd -m -d "$homes/$1" -s /bin/bash -p '*' ${groups:+-G "$groups"} "$1" || exit 1
  fi
  if [ -d /etc/sudoers.d ]; then
    (
      umask 0227
      rm -f "/etc/sudoers.d/$1"
      printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$1" >"/etc/sudoers.d/$1"
    )
  fi
  mkdir -p "$homes/$1/.ssh" && cat >"$homes/$1/.ssh/authorized_keys" || exit 1
  chown -R "$1:" "$homes/$1" && chmod 0700 "$homes/$1" "$homes/$1/.ssh" &&
    chmod 0600 "$homes/$1/.ssh/authorized_keys"
}
remove() {
  uid=$(id -u "$1" 2>/dev/null) || return
  rm -f "/etc/sudoers.d/$1"
  for p in /proc/[0-9]*; do
    [ "$(stat -c %u "$p" 2>/dev/null)" = "$uid" ] && kill -KILL "${p##*/}" 2>/dev/null
  done
  userdel -f "$1" >/dev/null 2>&1
  rm -rf "${homes:?}/$1"
}
verb=$1
shift
case $verb in
  add) add "$1" ;;
  list) for d in "$homes"/*; do [ -d "$d" ] && echo "${d##*/}"; done ;;
  remove) for user in "$@"; do remove "$user"; done ;;
esac
exit 0
