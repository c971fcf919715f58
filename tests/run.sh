#!/usr/bin/env bash
# Installs what is needed, builds everything and runs every test.
#
#   tests/run.sh          all of it: AddressSanitizer and UBSan over the unit tests,
#                         ThreadSanitizer over the threaded ones, a minute of each
#                         fuzzer, then all tests of the release build (unit, per
#                         instruction set, rpc, end to end, lint, and virtual
#                         machines with several NUMA nodes)
#   tests/run.sh --quick  for a developer: the unit tests of the release build
#
# Stops at the first part that fails. The last lines are ctest's summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=false
case "${1:-}" in
  "") ;;
  --quick) quick=true ;;
  -h | --help) sed -n '2,11s/^# \{0,1\}//p' tests/run.sh; exit 0 ;;
  *) echo "tests/run.sh: unknown argument '$1' (try --help)." >&2; exit 2 ;;
esac

jobs=$(nproc)
part=start-up
trap 'status=$?; [ $status -eq 0 ] ||
  echo "tests/run.sh: FAILED in part: $part (exit status $status)." >&2' EXIT

begin() {
  part=$1
  printf '\n== %s (%d min %02d s) ==\n' "$1" $((SECONDS / 60)) $((SECONDS % 60))
}

# Configures a preset; its log only matters when it fails.
configure() {
  mkdir -p build
  cmake --preset "$@" >"build/configure-$1.log" 2>&1 ||
    { tail -n 30 "build/configure-$1.log" >&2; return 1; }
}

# The tests that ctest would run with these arguments; each unit test is also
# the name of the target that builds it.
names_of_tests() {
  ctest --test-dir "$1" -N "${@:2}" | sed -n 's/^ *Test *#[0-9]*: //p'
}

# build_and_run PRESET CTEST-SELECTION...: only the targets of these tests.
build_and_run() {
  local preset=$1 names
  shift
  mapfile -t names < <(names_of_tests "build/$preset" "$@")
  if [ ${#names[@]} -eq 0 ]; then
    echo "tests/run.sh: no test matches '$*' in build/$preset." >&2
    return 1
  fi
  cmake --build "build/$preset" --parallel "$jobs" --target "${names[@]}"
  ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
    --parallel "$jobs" "$@"
}

begin "Packages"
deploy/install_packages.sh --with-tests

begin "Release build"
configure release -DMLAD_BUILD_TESTS=ON -DMLAD_BUILD_BENCH=ON
if $quick; then
  build_and_run release -L '^unit$' -LE '^(per_isa|slow)$'
  exit
fi
cmake --build build/release --parallel "$jobs"

begin "Unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
configure asan-ubsan
build_and_run asan-ubsan -L '^unit$' -LE '^(per_isa|slow)$'

begin "Threaded tests under ThreadSanitizer"
configure tsan
build_and_run tsan -L '^threads$' -LE '^(per_isa|slow)$'

begin "Fuzzers, a minute each"
configure fuzz
build_and_run fuzz -L '^fuzz$'

begin "All tests of the release build"
ctest --test-dir build/release --output-on-failure --no-tests=error \
  --parallel "$jobs"
