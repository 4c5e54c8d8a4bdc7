#!/usr/bin/env bash
# Tests HDFS against a real one: Hadoop's daemons and client, which Maven fetches, on loopback.
#   bash tests/hadoop/run.sh [names of tests]      for example: HdfsTest.test_a_job_reads_and_writes_there_alone
# SAMOVAR_BIN_DIR names the directory of the programs; unset: build/release/bin. Takes some four minutes, 5 GB of disk for a
# while, 1 GB of memory, Maven and Java 11 or 17. Exit code 0 only if all rows hold; the last line is the summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/hadoop"
mkdir -p "$tools"
if [ ! -e "$tools/complete" ]; then
  mvn --quiet --batch-mode --file "$here/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$tools/lib"
  touch "$tools/complete"
fi
export SAMOVAR_HADOOP_LIB="$tools/lib"
if python3 -B "$here/hdfs_itest.py" "$@"; then
  echo "tests/hadoop: all rows hold"
else
  echo "tests/hadoop: some rows do not hold"
  exit 1
fi
