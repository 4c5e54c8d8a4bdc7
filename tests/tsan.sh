#!/usr/bin/env bash
# Builds the tests of the data plane with ThreadSanitizer and runs them, more at a time than there are processors, so that threads
# are stopped anywhere. The last lines are ctest's summary; a race fails the test that it was seen in.
#
#   bash tests/tsan.sh [flags for ctest]
#
# Environment: SAMOVAR_FAULT_SEEDS (10), schedules of each kind on a bad wire; JOBS, compilers at a time.
# ThreadSanitizer's rules for the system's libraries, which are not instrumented: tests/support/tsan/.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=deploy/machine.sh
source deploy/machine.sh
programs=(common_parameters_test server_store_test server_snapshot_test server_coordinator_test server_test
          server_exactness_test server_exactness_points_test)

cmake --preset tsan -DSAMOVAR_TESTS=ON
cmake --build --preset tsan --parallel "${JOBS:-$(build_jobs)}" --target "${programs[@]}" -- --quiet
export SAMOVAR_FAULT_SEEDS="${SAMOVAR_FAULT_SEEDS:-10}"
exec ctest --test-dir build/tsan --output-on-failure --parallel "$((2 * $(nproc)))" \
  --tests-regex "^($(IFS='|'; echo "${programs[*]}")):" "$@"
