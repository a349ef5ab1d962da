// The products of the first layer when X is sparse, at the shape of the job `sparse`.
// Operations with zeros do not count.
#include <algorithm>
#include <vector>

#include "bench.h"
#include "fastbp/base/matrix_view.h"

namespace fastbp::bench {
namespace {

constexpr Index kBatch = 200, kIn = 50'000, kOut = 64, kPerRow = 100;
constexpr double kFlop = 2.0 * static_cast<double>(kBatch * kPerRow * kOut);

// Rows of kPerRow non-zeros: one at a random place in each of as many equal strips.
template <class T>
class SparseBatch {
 public:
  SparseBatch() {
    const auto places = random_buffer<double>(kBatch * kPerRow, 0, 1);
    constexpr Index kStrip = kIn / kPerRow;
    for (Index r = 0; r < kBatch; ++r) {
      first_.push_back(r * kPerRow);
      last_.push_back((r + 1) * kPerRow);
      for (Index k = 0; k < kPerRow; ++k) {
        const double place = places[r * kPerRow + k] * static_cast<double>(kStrip);
        entries_.push_back({k * kStrip + static_cast<Index>(place), T(0.1)});
      }
    }
  }

  SparseRows<T> view() const { return {entries_.data(), first_.data(), last_.data()}; }

 private:
  std::vector<Entry<T>> entries_;
  std::vector<Index> first_, last_;
};

template <class T>
constexpr Index kStride = padded_stride<T>(kOut);

template <class T>
void forward(benchmark::State& state, const Kernels<T>& kernels) {
  const SparseBatch<T> x;
  const auto weights = random_buffer<T>(kIn * kOut), bias = random_buffer<T>(kOut);
  Buffer<T> y(kBatch * kStride<T>);
  const Forward<T> f{
      kBatch,         kIn,         n_panels<T>(kOut),     nullptr, 0,
      weights.data(), bias.data(), Activation::kIdentity, T{0},    y.data(),
      kStride<T>};
  for (auto _ : state) {
    kernels.sparse_forward(f, x.view());
    benchmark::ClobberMemory();
  }
  count_flop(state, kFlop);
}

// Calls use(tile, its offset in the weights) for each parameter task.
template <class T, class Use>
void for_tiles(const SparseBatch<T>& x, const Buffer<T>& dz, const Use& use) {
  constexpr Index kPanelSize = kIn * kPanel<T>;
  for (Index panel = 0; panel < n_panels<T>(kOut); panel += kMaxTilePanels) {
    for (Index first = 0; first < kIn; first += kSparseTileRows) {
      const SparseGradientTile<T> tile{
          kBatch,         first,     std::min(kSparseTileRows, kIn - first),
          kMaxTilePanels, x.view(),  dz.data() + panel * kPanel<T>,
          kStride<T>,     kPanelSize};
      use(tile, panel * kPanelSize + first * kPanel<T>);
    }
  }
}

template <class T>
void gradient(benchmark::State& state, const Kernels<T>& kernels) {
  const SparseBatch<T> x;
  const auto dz = random_buffer<T>(kBatch * kStride<T>);
  Buffer<T> out(kIn * kOut);
  for (auto _ : state) {
    for_tiles(x, dz, [&](const SparseGradientTile<T>& tile, Index at) {
      kernels.sparse_gradient(tile, out.data() + at, false);
    });
    benchmark::ClobberMemory();
  }
  count_flop(state, kFlop);
}

template <class T>
void update(benchmark::State& state, const Kernels<T>& kernels) {
  const SparseBatch<T> x;
  const auto dz = random_buffer<T>(kBatch * kStride<T>);
  auto weights = random_buffer<T>(kIn * kOut);
  auto moment_1 = random_buffer<T>(kIn * kOut),
       moment_2 = random_buffer<T>(kIn * kOut, 0, 1);
  const auto adam = standing_update<T>(Rule::kAdam, kBatch);
  for (auto _ : state) {
    for_tiles(x, dz, [&](const SparseGradientTile<T>& tile, Index at) {
      kernels.sparse_update(
          tile, adam,
          {weights.data() + at, moment_1.data() + at, moment_2.data() + at});
    });
    benchmark::ClobberMemory();
  }
  count_flop(state, kFlop);
}

}  // namespace

void add_sparse() {
  const std::string shape = shape_name({kBatch, kIn, kOut});
  add("sparse_forward/" + shape,
      [](auto& state, const auto& kernels) { forward(state, kernels); });
  add("sparse_gradient/" + shape,
      [](auto& state, const auto& kernels) { gradient(state, kernels); });
  add("sparse_update/" + shape,
      [](auto& state, const auto& kernels) { update(state, kernels); });
}

}  // namespace fastbp::bench
