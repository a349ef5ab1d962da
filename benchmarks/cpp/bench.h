// What the microbenchmarks share: how a benchmark is registered for both types and
// every instruction set, random arrays, and the two rates.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "fastbp/base/buffer.h"
#include "fastbp/kernels/dispatch.h"

namespace fastbp::bench {

// Each file registers its own.
void add_products();
void add_sparse();
void add_elementwise();
void add_step();
void add_norm();
void add_gather();
void add_team();

template <class T>
inline constexpr const char* kTypeName = sizeof(T) == sizeof(float) ? "float32"
                                                                    : "float64";

// <name>/<type>/<isa> for each instruction set that this processor can run:
// run(state, kernels).
template <class T, class Run>
void add_for(const std::string& name, const Run& run) {
  for (const auto& isa : available_isas()) {
    const Kernels<T>& table = kernels<T>(kernel_table(isa));
    benchmark::RegisterBenchmark(
        (name + "/" + kTypeName<T> + "/" + isa).c_str(),
        [run, &table](benchmark::State& state) { run(state, table); });
  }
}

template <class Run>
void add(const std::string& name, const Run& run) {
  add_for<float>(name, run);
  add_for<double>(name, run);
}

// "3x4x5"
inline std::string shape_name(std::initializer_list<Index> sizes) {
  std::string name;
  for (const Index n : sizes) {
    if (!name.empty()) name += 'x';
    name += std::to_string(n);
  }
  return name;
}

// Numbers in [low, high), the same in every run: a linear congruential generator
// (Knuth's MMIX).
template <class T>
Buffer<T> random_buffer(Index size, double low = -1, double high = 1) {
  Buffer<T> buffer(size);
  std::uint64_t state = 1;
  for (Index i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    buffer[i] =
        static_cast<T>(low + (high - low) * 0x1p-31 * static_cast<double>(state >> 33));
  }
  return buffer;
}

// Panels that n columns take.
template <class T>
constexpr Index n_panels(Index n) {
  return ceil_div(n, kPanel<T>);
}

// A step of the given rule with so small a rate that the weights stay where they are,
// however often it is made; not 0, or the velocity would decay to denormals, which take
// longer.
template <class T>
Update<T> standing_update(Rule rule, Index n_batch) {
  const T scale = T(1) / static_cast<T>(n_batch);
  return {rule,   scale,    T(1e-4), T(1e-20), T(0.9),
          T(0.9), T(0.999), T(1e-8), T(0.1),   T(0.001)};
}

// The counters of a row, as rates: operations, and bytes read and written, of one
// iteration.
inline void count_flop(benchmark::State& state, double flop) {
  using benchmark::Counter;
  state.counters["FLOP"] = Counter(flop, Counter::kIsIterationInvariantRate);
}
inline void count_bytes(benchmark::State& state, double bytes) {
  using benchmark::Counter;
  state.counters["B"] = Counter(bytes, Counter::kIsIterationInvariantRate);
}

}  // namespace fastbp::bench
