#!/usr/bin/env bash
# From a clean checkout to a trained model: installs packages, builds, imports Fashion-MNIST, checks and trains LeNet.
#
#   bash deploy/quickstart.sh [flags for "samovar train"]
#
# From any directory, again and again: steps that are done are not done again, and a run that was interrupted is continued
# from its last snapshot. Everything is written below the checkout: build/, data/ and output/.
# Environment: JOBS (compilers at a time), SERVERS and WORKERS (processes, 2 each).
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$root"
# shellcheck source=deploy/machine.sh
source deploy/machine.sh

bin=build/release/bin
logs=build/quickstart-logs
solver=config/models/lenet/lenet_solver.prototxt
idx=/usr/share/datasets/fashion-mnist
prefix=output/lenet
tail_lines=25

say() { printf '\n==> %s\n' "$*"; }

fail() {
  printf '\nquickstart: error: %s\n' "$*" >&2
  exit 1
}

# On a terminal, the newest line of the input; elsewhere nothing.
show_progress() {
  local line
  while IFS= read -r line; do
    [[ ! -t 1 ]] || printf '\r\033[K%s' "${line:0:${COLUMNS:-79}}"
  done
  [[ ! -t 1 ]] || printf '\r\033[K'
}

# logged NAME COMMAND...: the output goes to a file; its end is shown if the command fails.
logged() {
  local log="$logs/$1.log" status=0
  shift
  "$@" 2>&1 </dev/null | tee "$log" | show_progress || status=$?
  ((status == 0)) && return 0
  printf '... the end of %s:\n' "$log" >&2
  tail -n "$tail_lines" "$log" >&2
  return "$status"
}

build() {
  local jobs
  jobs="${JOBS:-$(build_jobs)}"
  say "Building with $jobs compilers at a time (minutes, the first time; log: $logs/build.log)"
  logged configure cmake --preset release -DSAMOVAR_ENGINE_LEVELS="$(cpu_level)" || fail "cmake could not configure the build; see above"
  logged build cmake --build --preset release --parallel "$jobs" --target samovar samovar-server samovar-worker \
    || fail "the build failed; see above. If a compiler was killed, memory ran out: try again with JOBS=1"
  "$bin/samovar" version
}

# import NAME FILES: an LMDB that is there already was written whole, since the import puts it in place when it is done.
import() {
  local lmdb="data/fashion_mnist_$1_lmdb" files="$idx/$2"
  if [[ -d "$lmdb" ]]; then
    echo "$lmdb is there"
    return
  fi
  [[ -r "$files-images-idx3-ubyte.gz" ]] || fail "$files-images-idx3-ubyte.gz is missing: the package dataset-fashion-mnist brings it"
  mkdir -p data
  "$bin/samovar" data import idx --images "$files-images-idx3-ubyte.gz" --labels "$files-labels-idx1-ubyte.gz" --output "$lmdb" \
    || fail "the import of $files-* failed; see above"
}

# "--resume" if the last run left a snapshot and no end (cli/run/run_directory.h has the record's format).
resume_flag() {
  local record="${prefix}_state/run"
  [[ -r "$record" ]] || return 0
  if grep -q '^finished: no$' "$record" && grep -q '^snapshot: [1-9]' "$record"; then echo --resume; fi
}

train() {
  local status=0 flags=(--servers "${SERVERS:-2}" --workers "${WORKERS:-2}")
  local resume
  resume="$(resume_flag)"
  [[ -z "$resume" ]] || { flags+=("$resume"); echo "an earlier run was interrupted: continuing it"; }
  "$bin/samovar" train --solver "$solver" "${flags[@]}" "$@" || status=$?
  ((status == 0)) && return 0
  # Interrupted by the user: the command has said all there is.
  ((status > 128)) && exit "$status"
  local log
  if ((status == 1)); then
    for log in "${prefix}"_state/logs/*.log; do
      [[ -s "$log" ]] || continue
      printf '... the end of %s:\n' "$log" >&2
      tail -n 5 "$log" >&2
    done
  fi
  fail "training ended with exit code $status; the reason is above"
}

newest_model() {
  local file newest=
  for file in "${prefix}"_iter_*.caffemodel; do
    if [[ -f "$file" && (-z "$newest" || "$file" -nt "$newest") ]]; then newest="$file"; fi
  done
  printf '%s' "$newest"
}

mkdir -p "$logs" || fail "cannot write below $root"

say "Packages"
bash deploy/install_packages.sh || fail "the packages could not be installed; see above"

build

say "Data"
import train train
import test t10k

say "Check"
"$bin/samovar" check "$solver" || fail "$solver does not pass; see above"

say "Training"
train "$@"

model="$(newest_model)"
[[ -n "$model" ]] || fail "training said it was done, but there is no ${prefix}_iter_*.caffemodel"
say "Done"
cat <<END
model:               $root/$model
snapshots and logs:  $root/${prefix}_state
again:               $root/$bin/samovar train --solver $solver   (in $root)
END
