#!/usr/bin/env bash
# Unpacks the kernel that the guests boot; does nothing where that is done.
#   fetch_kernel.sh FOLDER
#
# The packages of the group [unpacked] of deploy/packages.txt, and of those they
# depend on the kernel itself, are downloaded by apt-get and unpacked, not
# installed: a kernel package asks for an initramfs generator, a boot loader and
# root, changes what the machine boots next, and fails in many containers.
set -euo pipefail
folder=$1
packages_file=$(dirname "${BASH_SOURCE[0]}")/../../deploy/packages.txt

complain() { echo "fetch_kernel.sh: $1" >&2; exit 1; }

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
exec 9>"$folder/.lock"
flock 9
[ ! -e "$folder/complete" ] || exit 0
rm -rf "$folder/download" "$folder/boot" "$folder/lib"
mkdir -p "$folder/download" "$folder/lists/partial" "$folder/archives/partial"

# apt-get with the machine's package lists or, given --fresh, with lists of our
# own, which need no root and are not stale.
apt_options=()
use_own_lists() {
  apt_options=(-o "Dir::State::Lists=$folder/lists"
    -o "Dir::Cache=$folder" -o "Dir::Cache::Archives=$folder/archives")
  apt-get -qq -o Acquire::Retries=3 "${apt_options[@]}" update
}

# A metapackage names the newest kernel.
kernel_packages() {
  local package
  for package in $(awk '
      /^\[/ { ours = ($1 == "[unpacked]"); next }
      ours && NF && !/^#/ { print $1 }' "$packages_file"); do
    apt-cache "${apt_options[@]}" depends "$package" |
      awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2 }'
  done
}

download() {
  local packages
  packages=$(kernel_packages 2>/dev/null) && [ -n "$packages" ] || return 1
  # shellcheck disable=SC2086  # several names
  (cd "$folder/download" && apt-get -qq -o Acquire::Retries=3 \
    -o APT::Sandbox::User=root "${apt_options[@]}" download $packages)
}

if ! download 2>"$folder/first_try.log"; then
  use_own_lists || complain "apt-get cannot update its package lists."
  download || complain "apt-get cannot download a kernel; see above."
fi
for package in "$folder"/download/*.deb; do
  # All that tests/guest/linux_kernel.py may ask for.
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$folder" --wildcards './boot/vmlinuz-*' \
      '*/kernel/fs/9p/*' '*/kernel/fs/netfs/*' '*/kernel/fs/fscache/*' \
      '*/kernel/net/9p/*' '*/kernel/drivers/virtio/*'
done
rm -rf "$folder/download" "$folder/lists" "$folder/archives" \
  "$folder"/*pkgcache.bin
touch "$folder/complete"
