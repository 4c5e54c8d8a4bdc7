#!/usr/bin/env bash
# Trains on a cluster of real processes while some of them are killed; see README.md beside this file.
#   tests/chaos/run.sh --kills 10 --seed 1 --mode sync
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$here/../../build/release/bin}"
exec python3 -B "$here/chaos.py" "$@"
