#!/usr/bin/env bash
# Installs the npm packages of a package.json, unless they are there.
#   install.sh [FOLDER [NPM-FLAG...]]   (default: the folder of this script)
set -euo pipefail
cd "${1:-$(dirname "${BASH_SOURCE[0]}")}"

command -v npm >/dev/null || {
  echo "tests/oracles/install.sh: npm is missing; install it with deploy/install_packages.sh --with-tests." >&2
  exit 1
}
mkdir -p node_modules
exec 9>node_modules/.install.lock
flock 9
if [ node_modules/.installed -nt package.json ]; then
  exit 0
fi
npm install --no-package-lock --no-audit --no-fund --ignore-scripts \
  --loglevel=error "${@:2}"
touch node_modules/.installed
