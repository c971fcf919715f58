#!/usr/bin/env bash
# Prints the path of promtool, which checks rules and metrics: the one that is
# installed, or one that is unpacked into FOLDER. Installing Debian's package would
# start a server.
#   fetch_promtool.sh FOLDER
set -euo pipefail
folder=$1

if command -v promtool; then exit 0; fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [ ! -x "$folder/usr/bin/promtool" ]; then
  (cd "$folder" && apt-get -qq -o Acquire::Retries=3 \
    -o APT::Sandbox::User=root download prometheus) >&2
  dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb |
    tar -x -C "$folder" ./usr/bin/promtool
  rm -f "$folder"/prometheus_*.deb
fi
echo "$folder/usr/bin/promtool"
