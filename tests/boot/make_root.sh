#!/usr/bin/env bash
# make_root.sh ROOT PACKAGE.deb: a minimal Debian 12 with systemd in the folder ROOT, with
# the packages that PACKAGE.deb depends on downloaded and not installed: so that apt
# installs it without a network. Does nothing where ROOT is there already for the same
# dependencies. Needs root and a network.
set -euo pipefail

root=$1
package=$2
depends=$(dpkg-deb --field "$package" Depends)

if [ "$(cat "$root.depends" 2>/dev/null)" = "$depends" ] && [ -d "$root" ]; then
  echo "The root in $root is there already."
  exit 0
fi
rm -rf --one-file-system "$root" "$root.depends"
mkdir -p "$(dirname "$root")"
# --skip=cleanup/apt: the lists and the downloaded packages stay.
mmdebstrap --quiet --variant=apt --skip=cleanup/apt \
  --include=systemd,systemd-sysv,dbus \
  --customize-hook='copy-in '"$package"' /tmp' \
  --customize-hook='chroot "$1" apt-get -qq install --download-only --no-install-recommends --yes /tmp/'"$(basename "$package")" \
  --customize-hook='rm "$1"/tmp/*.deb' \
  bookworm "$root"
echo "$depends" > "$root.depends"
