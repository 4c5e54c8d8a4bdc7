#!/usr/bin/env bash
# Tests HDFS and YARN against real ones: Hadoop's daemons and client, which Maven fetches, on loopback.
#   bash tests/hadoop/run.sh [names of tests]      for example: HdfsTest.test_a_job_reads_and_writes_there_alone YarnServiceTest
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin; the tarball is made of them unless SAMOVAR_BUNDLE
# names one. Takes some twenty minutes, 5 GB of disk for a while, 3 GB of memory, Maven and Java 11 or 17, and for the row with
# Kerberos, which is skipped otherwise, Debian's krb5-kdc, krb5-admin-server and krb5-user; for
# that with pictures likewise dataset-fashion-mnist. Exit code 0 only if all rows hold; the last line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/hadoop"
# Another list of jars gets a directory of its own.
lib="$tools/lib-$(sha256sum "$here/pom.xml" | cut -c 1-12)"
mkdir -p "$tools"
if [ ! -e "$lib/complete" ]; then
  mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$lib"
  # Alone, since not every mirror of Maven Central has what its project file names.
  mvn --quiet --batch-mode dependency:copy -Dartifact=org.apache.hadoop:hadoop-yarn-services-api:3.3.5:jar "-DoutputDirectory=$lib"
  touch "$lib/complete"
fi
export SAMOVAR_HADOOP_LIB="$lib"
# Somebody else's reader of LMDBs.
export SAMOVAR_LMDB_PYTHON="$tools/lmdb/bin/python"
if ! "$SAMOVAR_LMDB_PYTHON" -c "import lmdb" 2>/dev/null; then
  python3 -m venv "$tools/lmdb"
  "$tools/lmdb/bin/pip" install --quiet lmdb
fi
# Tests are named by their classes: Hdfs..., Yarn...
hdfs=() yarn=()
for name in "$@"; do
  if [[ "$name" == Yarn* ]]; then yarn+=("$name"); else hdfs+=("$name"); fi
done
failed=()
if [ $# -eq 0 ] || [ ${#hdfs[@]} -gt 0 ]; then
  python3 -B "$here/hdfs_itest.py" "${hdfs[@]}" || failed+=(hdfs)
fi
if [ $# -eq 0 ] || [ ${#yarn[@]} -gt 0 ]; then
  build="$(dirname "$SAMOVAR_BIN_DIR")"
  if [ -z "${SAMOVAR_BUNDLE:-}" ]; then
    cmake --build "$build" --target bundle -- --quiet
    SAMOVAR_BUNDLE="$(ls "$build"/samovar-*-linux-x86_64.tar.gz)"
  fi
  export SAMOVAR_BUNDLE
  python3 -B "$here/yarn_itest.py" "${yarn[@]}" || failed+=(yarn)
fi
if [ ${#failed[@]} -eq 0 ]; then
  echo "tests/hadoop: all rows hold"
else
  echo "tests/hadoop: some rows do not hold (${failed[*]})"
  exit 1
fi
