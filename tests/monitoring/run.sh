#!/usr/bin/env bash
# Tests what monitors see: a real Prometheus, promtool, grpcurl with reflection, gRPC's health service, and the diagnosis of faults.
#   bash tests/monitoring/run.sh [names of tests]       for example: DiagnosisTest
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Takes some three minutes, root for the row with a full
# disk, Debian's prometheus, and Go for grpcurl, which it fetches once; rows that lack theirs fail. Exit code 0 only if all rows hold; the last
# line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/go"
mkdir -p "$tools"
if [ ! -x "$tools/grpcurl" ]; then
  GOBIN="$tools" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.9
fi
export SAMOVAR_GRPCURL="$tools/grpcurl"

begun=$SECONDS
if python3 -B "$here/monitoring_itest.py" --verbose "$@"; then
  echo "tests/monitoring: all rows hold, in $((SECONDS - begun)) s"
else
  echo "tests/monitoring: some rows do not hold"
  exit 1
fi
