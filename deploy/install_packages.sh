#!/usr/bin/env bash
# Installs the Debian packages of deploy/packages.txt that are missing.
#
#   deploy/install_packages.sh               what is needed to build and run
#   deploy/install_packages.sh --with-tests  and what the tests need
#   deploy/install_packages.sh --list        only says what is missing
#
# Does nothing, and needs no rights, where everything is installed already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() { sed -n '2,8s/^# \{0,1\}//p' "$(basename "${BASH_SOURCE[0]}")"; }

groups=build
list_only=false
for argument in "$@"; do
  case "$argument" in
    --with-tests) groups="build test" ;;
    --list) list_only=true ;;
    -h | --help) usage; exit 0 ;;
    *) echo "install_packages.sh: unknown argument '$argument' (try --help)." >&2
       exit 2 ;;
  esac
done

packages_of() {
  awk -v wanted="$1" '
    /^\[/ { group = substr($0, 2, index($0, "]") - 2); next }
    /^[^#]/ && NF && group == wanted { print $1 }' packages.txt
}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# True where a Node.js from elsewhere does the work of Debian's packages.
has_node() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)'
}

if ! command -v dpkg-query >/dev/null; then
  echo "install_packages.sh: this is not a Debian system; install the" \
    "counterparts of the packages in deploy/packages.txt yourself." >&2
  exit 1
fi

missing=()
for group in $groups; do
  for package in $(packages_of "$group"); do
    case "$package" in
      nodejs | npm) ! has_node || continue ;;
    esac
    installed "$package" || missing+=("$package")
  done
done

if [ ${#missing[@]} -eq 0 ]; then
  echo "Debian packages ($groups): all installed."
  exit 0
fi
echo "Debian packages ($groups): ${#missing[@]} missing, named in deploy/packages.txt:"
printf '%s\n' "${missing[@]}" | fmt -w 76 | sed 's/^/  /'
if $list_only; then exit 0; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install_packages.sh: installing packages needs root and there is no" \
      "sudo; run 'deploy/install_packages.sh $*' as root once." >&2
    exit 1
  fi
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq \
    -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@"
}
echo "Installing them with apt-get."
# The package lists of a fresh machine are empty, those of an old one stale.
apt update
apt install -y --no-install-recommends "${missing[@]}" >/dev/null
echo "Debian packages ($groups): installed."
