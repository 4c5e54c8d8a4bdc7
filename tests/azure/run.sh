#!/usr/bin/env bash
# Tests Azure's storage against Azurite, which npm installs, and Azure's own Python client, which pip installs.
#   bash tests/azure/run.sh [names of tests]       for example: AzureTest.test_a_job_reads_and_writes_there_alone
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Takes some six minutes, 3 GB of disk for a
# while, npm and Python's venv; Debian's dataset-fashion-mnist for the row with pictures, which is skipped otherwise. Exit code 0 only if all rows hold; the last line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/azure"
mkdir -p "$tools"
if [ ! -x "$tools/node_modules/.bin/azurite-blob" ]; then
  # The last version for Node 20.
  npm install --silent --no-fund --no-audit --prefix "$tools" azurite@3.35.0
fi
if [ ! -x "$tools/venv/bin/python" ] || ! "$tools/venv/bin/python" -c "import azure.storage.blob" 2>/dev/null; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet azure-storage-blob
fi
# Somebody else's reader of LMDBs.
export SAMOVAR_LMDB_PYTHON="$tools/lmdb/bin/python"
if ! "$SAMOVAR_LMDB_PYTHON" -c "import lmdb" 2>/dev/null; then
  python3 -m venv "$tools/lmdb"
  "$tools/lmdb/bin/pip" install --quiet lmdb
fi

scratch="$(mktemp -d)"
service=""
finish() {
  if [ -n "$service" ]; then kill "$service" 2>/dev/null || true; wait "$service" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT
export AZURITE_ACCOUNT=samovartest
AZURITE_KEY="$(head -c 64 /dev/urandom | base64 -w0)"
export AZURITE_KEY
AZURITE_ACCOUNTS="$AZURITE_ACCOUNT:$AZURITE_KEY" "$tools/node_modules/.bin/azurite-blob" --silent --location "$scratch" \
  --blobHost 127.0.0.1 --blobPort 0 --disableTelemetry >"$scratch/log" 2>&1 &
service=$!
for _ in $(seq 100); do
  url="$(sed -n 's/.*successfully listen[a-z]* on \(http:[^ ]*\).*/\1/p' "$scratch/log" | head -n 1)"
  [ -n "$url" ] && break
  sleep 0.1
done
[ -n "$url" ] || { cat "$scratch/log"; echo "tests/azure: Azurite did not start"; exit 1; }
export AZURITE_URL="$url/$AZURITE_ACCOUNT"
if "$tools/venv/bin/python" -B "$here/azure_itest.py" "$@"; then
  echo "tests/azure: all rows hold"
else
  echo "tests/azure: some rows do not hold"
  exit 1
fi
