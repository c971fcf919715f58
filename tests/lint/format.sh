#!/usr/bin/env bash
# Every C++ file is formatted as .clang-format says.
#   format.sh CLANG-FORMAT [-i]   (with -i: formats instead of checking)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mode=(--dry-run -Werror)
if [ "${2:-}" = -i ]; then mode=(-i); fi
find attention base bench ctl daemon engine kernels model moe numa quant rpc \
  tests -name node_modules -prune -o \( -name '*.cc' -o -name '*.h' \) -print0 |
  xargs -0 -r "$1" "${mode[@]}"
