// SPDX-License-Identifier: Apache-2.0
// The gate's workloads against the clock: bench_workloads --benchmark_filter=commit
#include <benchmark/benchmark.h>

#include <string>

#include "storage/base/log.h"

#include "tests/bench/workload.h"

namespace {

constexpr std::uint64_t kOperations = 1000;

void run(benchmark::State& state, const warren::bench::WorkloadKind& kind) {
  auto workload = kind.make();
  std::uint64_t done = 0;
  for (auto _ : state) {
    if (kind.name == "read-from-disk") {
      state.PauseTiming();
      workload = kind.make();
      state.ResumeTiming();
    }
    done += workload->run(kOperations);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
}

}  // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::warn);
  for (const auto& kind : warren::bench::workload_kinds()) {
    benchmark::RegisterBenchmark(std::string(kind.name).c_str(),
                                 [&kind](benchmark::State& state) { run(state, kind); });
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
