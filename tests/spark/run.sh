#!/usr/bin/env bash
# Tests the Python package with a real Spark: PySpark 3.5 of PyPI, with executors that are processes of their own (local-cluster).
#   bash tests/spark/run.sh [names of tests]       for example: SparkTest.test_the_example_runs
# Takes five to eight minutes, a Java from 8 to 17, Python's venv, and once a few hundred MB of downloads. SAMOVAR_BUNDLE names the tarball;
# unset: it is made of build/release. SAMOVAR_TEST_TOOLS keeps the downloads. Exit code 0 only if all rows hold; the last line is the
# summary.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
tools="${SAMOVAR_TEST_TOOLS:-$root/build/test-tools}/spark"
python="$tools/venv/bin/python"
mkdir -p "$tools"
if [ ! -x "$python" ] || ! "$python" -c "import pyspark, lmdb, numpy, grpc, google.protobuf" 2>/dev/null; then
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet 'pyspark==3.5.*' lmdb numpy grpcio protobuf setuptools wheel
fi
if [ -z "${JAVA_HOME:-}" ]; then
  for java in /usr/lib/jvm/java-17-openjdk-* /usr/lib/jvm/java-11-openjdk-* /usr/lib/jvm/java-8-openjdk-*; do
    [ -x "$java/bin/java" ] && export JAVA_HOME="$java" && break
  done
fi
export SAMOVAR_BIN_DIR="${SAMOVAR_BIN_DIR:-$root/build/release/bin}"
if [ -z "${SAMOVAR_BUNDLE:-}" ]; then
  cmake --build "$root/build/release" --parallel 2 --target samovar samovar-server samovar-worker samovar_descriptors -- --quiet
  version="$(sed -n 's/.*project(samovar VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")"
  bash "$root/deploy/bundle/make_bundle.sh" "$root/build/release" "$version" "$tools/bundle"
  SAMOVAR_BUNDLE="$tools/bundle/samovar-$version-linux-x86_64.tar.gz"
fi
export SAMOVAR_BUNDLE
export PYSPARK_PYTHON="$python" PYSPARK_DRIVER_PYTHON="$python"

begun=$SECONDS
if "$python" -B "$here/spark_itest.py" "$@"; then
  echo "tests/spark: all rows hold, in $((SECONDS - begun)) s"
else
  echo "tests/spark: some rows do not hold"
  exit 1
fi
