# The limits of this machine: functions for other scripts, which source this file.
# shellcheck shell=bash

# A compiler at work on gRPC's headers with a precompiled header needs about so much.
compiler_kib=$((1200 * 1024))

# Compilers to run at a time: one for each processor, and no more than memory has room for.
build_jobs() {
  local processors memory_kib jobs
  processors="$(nproc)"
  memory_kib="$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)"
  memory_kib="$(least "${memory_kib:-$compiler_kib}" "$(container_kib)")"
  jobs=$((memory_kib / compiler_kib))
  ((jobs >= 1)) || jobs=1
  least "$jobs" "$processors"
}

# The memory that the container, if this is one, has left.
container_kib() {
  local limit used
  limit="$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)"
  used="$(cat /sys/fs/cgroup/memory.current 2>/dev/null || echo 0)"
  if [[ "$limit" =~ ^[0-9]+$ ]] && ((limit > used)); then
    echo $(((limit - used) / 1024))
  else
    echo $((1 << 40))
  fi
}

least() { echo $(($1 < $2 ? $1 : $2)); }

# The highest instruction-set level that this CPU has, of those that the compute engine is compiled for.
cpu_level() {
  local flags level=x86-64-v2
  flags=" $(awk -F: '/^flags/ {print $2; exit}' /proc/cpuinfo) "
  ! has_all avx2 fma bmi1 bmi2 f16c movbe abm || level=x86-64-v3
  [[ "$level" == x86-64-v2 ]] || ! has_all avx512f avx512bw avx512cd avx512dq avx512vl || level=x86-64-v4
  echo "$level"
}

# has_all FLAG...: whether all are among the caller's $flags.
has_all() {
  local needed
  for needed in "$@"; do
    [[ "$flags" == *" $needed "* ]] || return 1
  done
}
