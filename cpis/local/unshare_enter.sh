#!/bin/sh
# Runs as the first process in a machine's new namespaces: builds its root, waits until the network
# and the disks are there (one line on standard input), and becomes the machine's own first process.
# Arguments: the machine's directory, its unpacked image, its host name.
set -e
directory=$1
image=$2
root=$directory/root

hostname "$3"
mount --make-rprivate /
mount -t overlay overlay \
  -o "lowerdir=$image,upperdir=$directory/upper,workdir=$directory/work" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
for path in sys sysrq-trigger; do
  [ -e "$root/proc/$path" ] || continue
  mount --bind "$root/proc/$path" "$root/proc/$path"
  mount -o remount,bind,ro "$root/proc/$path"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"
mount -t tmpfs -o nosuid,mode=755,size=512k tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/director"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
# Nodes are bound, not made: the right to make any is given up before this script runs.
for node in null zero full random urandom tty; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done

: > "$directory/built"
read -r _

cd "$root"
pivot_root . .
umount -l .
cd /
exec /etc/director/init < /dev/null
