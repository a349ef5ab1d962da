// What a parallel region costs beside the work in it, for 1, 2, 4 ... threads up to the
// default number. All in real time.
#include "fastbp/base/team.h"

#include <algorithm>

#include "bench.h"

namespace fastbp::bench {
namespace {

// To open a region and close it.
void region(benchmark::State& state) {
  const auto n_threads = static_cast<int>(state.range(0));
  for (auto _ : state) run_team(n_threads, {}, [](Member&) {});
}

// A phase of n_tasks empty tasks, and the barrier at its end, without the region.
void phases(benchmark::State& state, Index n_tasks) {
  constexpr int kPhases = 1000;
  const auto n_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    run_team(n_threads, {}, [n_tasks](Member& member) {
      for (int i = 0; i < kPhases; ++i) {
        member.for_each(n_tasks, [](Index task) { benchmark::DoNotOptimize(task); });
      }
    });
  }
  using benchmark::Counter;
  state.counters["phase"] =
      Counter(kPhases, Counter::kIsIterationInvariantRate | Counter::kInvert);
}

void add_for_threads(const char* name, void (*run)(benchmark::State&)) {
  auto* row = benchmark::RegisterBenchmark(name, run);
  row->ArgName("threads")->UseRealTime();
  for (int n = 1; n < max_threads(); n *= 2) row->Arg(n);
  row->Arg(max_threads());
}

}  // namespace

void add_team() {
  add_for_threads("team/region", region);
  add_for_threads("team/barrier", [](benchmark::State& s) { phases(s, 0); });
  add_for_threads("team/barrier_and_64_tasks",
                  [](benchmark::State& s) { phases(s, 64); });
}

}  // namespace fastbp::bench
