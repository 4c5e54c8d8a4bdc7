#!/usr/bin/env bash
# Tests what monitors see: a real Prometheus, promtool, grpcurl with reflection, gRPC's health service, TensorBoard's own reader of event
# files, and the diagnosis of faults.
#   bash tests/monitoring/run.sh [names of tests]       for example: DiagnosisTest
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Takes some three minutes, root for the row with a full
# disk, Debian's prometheus, Go for grpcurl and Python's venv for tensorboard, which it fetches once; rows that lack theirs fail. Exit code 0 only if all rows hold; the last
# line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}"
mkdir -p "$tools/go"
if [ ! -x "$tools/go/grpcurl" ]; then
  GOBIN="$tools/go" go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.9
fi
export SAMOVAR_GRPCURL="$tools/go/grpcurl"
if ! "$tools/tensorboard/bin/python" -c "import tensorboard" 2>/dev/null; then
  python3 -m venv "$tools/tensorboard"
  # TensorBoard imports pkg_resources, which later setuptools lack.
  "$tools/tensorboard/bin/pip" install --quiet "tensorboard>=2.18" "setuptools<80"
fi
export SAMOVAR_TENSORBOARD="$tools/tensorboard/bin/python"

begun=$SECONDS
if python3 -B "$here/monitoring_itest.py" --verbose "$@"; then
  echo "tests/monitoring: all rows hold, in $((SECONDS - begun)) s"
else
  echo "tests/monitoring: some rows do not hold"
  exit 1
fi
