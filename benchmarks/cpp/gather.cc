// Gathering a batch: rows of X in random order, from memory larger than a usual cache,
// converted to the type of the network.
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "bench.h"
#include "fastbp/train/rows.h"

namespace fastbp::bench {
namespace {

constexpr Index kRows = 16'384, kCols = 784;

std::vector<Index> shuffled_rows() {
  std::vector<Index> order(static_cast<std::size_t>(kRows));
  std::iota(order.begin(), order.end(), Index{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  return order;
}

// Calls gather(row) for one row after the other; bytes are those of one.
template <class Gather>
void gather_rows(benchmark::State& state, double bytes, const Gather& gather) {
  const auto order = shuffled_rows();
  std::size_t i = 0;
  for (auto _ : state) {
    gather(order[i++ % order.size()]);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations());
  count_bytes(state, bytes);
}

template <class T, class Source>
void gather_dense(benchmark::State& state, Element element, bool is_fortran) {
  constexpr auto kSize = static_cast<Index>(sizeof(Source));
  const auto data = random_buffer<Source>(kRows * kCols, 0, 100);
  const auto* bytes = reinterpret_cast<const char*>(data.data());
  const DenseArray array = is_fortran
                               ? DenseArray{bytes, kSize, kRows * kSize, element}
                               : DenseArray{bytes, kCols * kSize, kSize, element};
  const Rows rows(kRows, kCols, array);
  Buffer<T> out(kCols);
  gather_rows(state, static_cast<double>(kCols) * (sizeof(Source) + sizeof(T)),
              [&](Index row) { rows.gather(row, out.data()); });
}

// As many non-zeros in a row as the handwritten digits have: every fifth column.
template <class T>
void gather_csr(benchmark::State& state) {
  constexpr Index kEvery = 5, kPerRow = kCols / kEvery;
  std::vector<std::int32_t> indptr{0}, indices;
  for (Index r = 0; r < kRows; ++r) {
    for (Index k = 0; k < kPerRow; ++k) {
      indices.push_back(static_cast<std::int32_t>(k * kEvery + r % kEvery));
    }
    indptr.push_back(static_cast<std::int32_t>(indices.size()));
  }
  const auto data = random_buffer<float>(kRows * kPerRow);
  const Rows rows(kRows, kCols,
                  CsrArray{reinterpret_cast<const char*>(indptr.data()),
                           reinterpret_cast<const char*>(indices.data()),
                           reinterpret_cast<const char*>(data.data()), Element::kInt32,
                           Element::kInt32, Element::kFloat32});
  std::vector<Entry<T>> out(static_cast<std::size_t>(kPerRow));
  constexpr auto kBytes = sizeof(std::int32_t) + sizeof(float) + sizeof(Entry<T>);
  gather_rows(state, static_cast<double>(kPerRow) * kBytes,
              [&](Index row) { rows.gather(row, out.data()); });
}

template <class T>
void add_gather_to() {
  const auto add_row = [](const char* from, auto run) {
    const std::string name = std::string("gather/") + from + "/" + kTypeName<T>;
    benchmark::RegisterBenchmark(name.c_str(), run);
  };
  add_row("float32_C", [](benchmark::State& state) {
    gather_dense<T, float>(state, Element::kFloat32, false);
  });
  add_row("float32_F", [](benchmark::State& state) {
    gather_dense<T, float>(state, Element::kFloat32, true);
  });
  add_row("float64_C", [](benchmark::State& state) {
    gather_dense<T, double>(state, Element::kFloat64, false);
  });
  add_row("uint8_C", [](benchmark::State& state) {
    gather_dense<T, std::uint8_t>(state, Element::kUint8, false);
  });
  add_row("csr", [](benchmark::State& state) { gather_csr<T>(state); });
}

}  // namespace

void add_gather() {
  add_gather_to<float>();
  add_gather_to<double>();
}

}  // namespace fastbp::bench
