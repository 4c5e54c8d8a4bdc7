#!/usr/bin/env bash
# Trains on a cluster of real processes while things go wrong; see README.md beside this file.
#   tests/chaos/run.sh --kills 10 --seed 1 --mode sync              processes are killed
#   tests/chaos/run.sh --faults all --count 20 --seed 1 --mode sync   kills, stalls, full disks, one-way cuts, clock jumps
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Faults of all kinds run the programs of a bundle
# (SAMOVAR_BUNDLE; unset: one is made of the build) with a clock that can be set (SAMOVAR_SETTABLE_CLOCK; unset: the build's).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
case " $* " in
  *" --faults"*) ;;
  *) exec python3 -B "$here/chaos.py" "$@" ;;
esac
build="$(dirname "$SAMOVAR_BIN_DIR")"
export SAMOVAR_SETTABLE_CLOCK="${SAMOVAR_SETTABLE_CLOCK:-$(find "$build" -name '*settable_clock.so' -print -quit)}"
if [ -n "${SAMOVAR_BUNDLE:-}" ]; then exec python3 -B "$here/storm.py" "$@"; fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
bash "$root/deploy/bundle/make_bundle.sh" "$build" 0.0.0 "$scratch" >/dev/null
SAMOVAR_BUNDLE="$(echo "$scratch"/*.tar.gz)" python3 -B "$here/storm.py" "$@"
