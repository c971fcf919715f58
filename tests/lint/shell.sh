#!/usr/bin/env bash
# Every shell script parses, is executable and stops at the first error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
failed=0
complain() { echo "$1" >&2; failed=1; }
while IFS= read -r -d '' script; do
  bash -n "$script" || complain "$script does not parse."
  [ -x "$script" ] || complain "$script is not executable."
  grep -qE '^set -[a-z]*e|^exec ' "$script" ||
    complain "$script does not stop at errors (set -euo pipefail)."
done < <(find .ci deploy tests bench -name node_modules -prune -o \
  \( -name '*.sh' -o -path .ci/run \) -type f -print0)
exit "$failed"
