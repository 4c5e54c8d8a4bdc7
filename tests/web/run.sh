#!/usr/bin/env bash
# Tests the dashboard: types, unit tests, whether the bundle is that of its source, and the page in a headless Chromium: live jobs, a
# coordinator that is started again, a fault each with the time until it is named, 200 workers, keys, a phone.
#   bash tests/web/run.sh [names of tests]       for example: FaultsTest.test_a_killed_worker
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Takes some three minutes, root for the rows with a full
# disk and a hidden path, Chromium, and npm, which fetches TypeScript, esbuild and uPlot once. Screenshots go to SAMOVAR_SCREENSHOTS; unset:
# build/web-screenshots. Exit code 0 only if all rows hold, none left out; the last line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
export SAMOVAR_SCREENSHOTS="${SAMOVAR_SCREENSHOTS:-$root/build/web-screenshots}"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
begun=$SECONDS
failed=()

row() {
  local name="$1"
  shift
  if "$@"; then echo "ok: $name"; else
    echo "NOT ok: $name"
    failed+=("$name")
  fi
}

cd "$root/server/dashboard"
npm ci --silent
unit_tests() { npm test --silent >"$scratch/unit" 2>&1 || { cat "$scratch/unit"; return 1; }; grep -E '^# (tests|pass|fail)' "$scratch/unit"; }
same_bundle() { node build.mjs bundle "$scratch/bundle" && diff -r bundle "$scratch/bundle"; }
no_registry() { ! grep -n 'resolved\|https\?:' package-lock.json; }
# Whoever has no Chromium has not seen the page: rows that are left out do not hold.
in_browser() {
  python3 -B "$here/dashboard_itest.py" --verbose "$@" 2>&1 | tee "$scratch/browser"
  local code="${PIPESTATUS[0]}"
  [ "$code" = 0 ] && ! grep -q 'skipped=' "$scratch/browser"
}
row "types" npm run --silent types
row "unit tests" unit_tests
row "the bundle is of its source, by digests" python3 -B "$root/tests/house/bundle_check.py"
row "the bundle is of its source, made anew" same_bundle
row "the lock names no registry" no_registry
row "in the browser" in_browser "$@"

if [ "${#failed[@]}" = 0 ]; then
  echo "tests/web: all rows hold, in $((SECONDS - begun)) s"
else
  echo "tests/web: ${#failed[@]} rows do not hold: ${failed[*]}"
  exit 1
fi
