# SPDX-License-Identifier: Apache-2.0
# Shared by scripts/run, scripts/test and scripts/dev; sourced, never run.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n== %s\n' "$*"; }

# One compiler per core, as long as each has 1.5 GB of memory.
build_jobs() {
  local cores memory_kb by_memory
  cores=$(nproc)
  memory_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  by_memory=$((memory_kb / 1500000))
  [ "$by_memory" -ge 1 ] || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# configure PRESET [cmake arguments]: quiet unless it fails.
configure() {
  local preset=$1 output
  shift
  output=$(cmake --preset "$preset" "$@" 2>&1) || { printf '%s\n' "$output" >&2; return 1; }
}

# build PRESET [targets]: Ninja's own progress line on a terminal, a line now and then elsewhere.
build() {
  local preset=$1 targets=()
  shift
  [ $# -eq 0 ] || targets=(--target "$@")
  if [ -t 1 ]; then
    cmake --build --preset "$preset" -j "$(build_jobs)" "${targets[@]}"
  else
    cmake --build --preset "$preset" -j "$(build_jobs)" "${targets[@]}" 2>&1 |
      awk '!/^\[[0-9]+\/[0-9]+\]/ || NR % 25 == 0 { print; fflush() }'
    return "${PIPESTATUS[0]}"
  fi
}
