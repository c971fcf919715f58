#!/usr/bin/env bash
# From a fresh checkout to a streamed answer, on Debian 12.
#
#   deploy/quickstart.sh          installs packages, builds, starts the daemon on the
#                                 demo model, streams a story, shows statistics, stops
#   deploy/quickstart.sh --keep   leaves the daemon running
#
# May be run again at any time: what is done already is not done twice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

keep=false
case "${1:-}" in
  "") ;;
  --keep) keep=true ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' deploy/quickstart.sh; exit 0 ;;
  *) echo "quickstart.sh: unknown argument '$1' (try --help)." >&2; exit 2 ;;
esac

say() { printf '\n== %s\n' "$*"; }

say "1. Packages"
deploy/install_packages.sh

say "2. Build (a few minutes the first time)"
if [ ! -f build/release/build.ninja ]; then
  mkdir -p build
  cmake --preset release -DMLAD_BUILD_TESTS=OFF -DMLAD_BUILD_BENCH=OFF \
    >build/configure-release.log 2>&1 ||
    { tail -n 30 build/configure-release.log >&2; exit 1; }
fi
programs=(mlad mla-ctl mla-bench mla-synth)
cmake --build build/release --parallel "$(nproc)" --target "${programs[@]}"
bin=build/release/bin

say "3. The daemon, on the demo model"
run=$(mktemp -d)
address=unix:$run/mlad.sock
"$bin/mlad" serve --listen "$address" --listen 127.0.0.1:0 2>"$run/log" &
daemon=$!
stop() {
  if kill -0 "$daemon" 2>/dev/null; then
    kill -TERM "$daemon"
    wait "$daemon" || true
  fi
  rm -rf "$run"
}
trap stop EXIT
for _ in $(seq 300); do
  if "$bin/mla-ctl" --address "$address" health >/dev/null 2>&1; then break; fi
  if ! kill -0 "$daemon" 2>/dev/null; then
    echo "quickstart.sh: the daemon ended before it served:" >&2
    cat "$run/log" >&2
    exit 1
  fi
  sleep 0.1
done
cat "$run/log"

say "4. A story, sampled (temperature 0.7, top-p 0.9)"
prompt="In the beginning"
printf '%s' "$prompt"
"$bin/mla-ctl" --address "$address" generate "$prompt" \
  --temperature 0.7 --top-p 0.9 --seed 7 -n 160
echo

say "5. What each node holds and did"
"$bin/mla-ctl" --address "$address" stats

if $keep; then
  trap - EXIT
  say "The daemon runs on as process $daemon"
  echo "  $bin/mla-ctl --address $address generate \"Call me\""
  echo "  kill $daemon"
else
  say "Now it is yours"
  echo "  $bin/mlad serve &                   # or --model YOUR.gguf --kv q8_kv --context 65536"
  echo "  $bin/mla-ctl generate \"Call me\""
  echo "  $bin/mla-ctl chat \"What is a whale?\""
  echo "  $bin/mlad plan --topology \"pack:2 [numa] core:96 pu:1\""
fi
