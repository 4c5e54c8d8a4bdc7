#!/usr/bin/env bash
# Builds everything and runs all tests. The last lines are ctest's summary, the exit code is ctest's.
#
#   bash tests/run.sh [flags for ctest]          for example: -R "^ledger", -L integration, -LE integration
#
# Environment: PRESET (release; debug, asan-ubsan, tsan, clang: see CMakePresets.json), JOBS (compilers at a time).
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=deploy/machine.sh
source deploy/machine.sh
preset="${PRESET:-release}"

bash deploy/install_packages.sh
bash deploy/install_packages.sh tests/packages.txt
cmake --preset "$preset" -DSAMOVAR_TESTS=ON -DSAMOVAR_BENCHMARKS=ON
# One line for each file would bury what matters; a failure's messages are shown in any case.
cmake --build --preset "$preset" --parallel "${JOBS:-$(build_jobs)}" -- --quiet
# Tests that drive several processes wait for deadlines half of the time: one more than there are processors keeps those busy.
exec ctest --test-dir "build/$preset" --output-on-failure --parallel "$(($(nproc) + 1))" "$@"
