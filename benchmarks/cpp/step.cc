// The optimizer step without the product before it, and the mirror after it.
#include "bench.h"

namespace fastbp::bench {
namespace {

constexpr struct {
  const char* name;
  Rule kind;
  int n_passed;   // arrays read and written: weights and moments
  double l1 = 0;  // and decay
} kRules[] = {{"sgd", Rule::kSgd, 1},           {"momentum", Rule::kMomentum, 2},
              {"nesterov", Rule::kNesterov, 2}, {"rmsprop", Rule::kRmsprop, 2},
              {"lion", Rule::kLion, 2},         {"adam", Rule::kAdam, 3},
              {"nadam", Rule::kNadam, 3},       {"adam_l1", Rule::kAdam, 3, 1e-4}};

// Two panels of rows: a parameter task's tile, which stays in the L1 or L2 cache, and
// more than caches usually hold.
constexpr struct {
  const char* name;
  Index n_rows;
} kTiles[] = {{"tile", kMaxTileHeight}, {"stream", 256 * 1024}};

// The gradient of all rows is that of the first, and stays in the L1 cache.
template <class T>
void step(benchmark::State& state, const Kernels<T>& kernels, Rule rule, int n_passed,
          double l1, Index n_rows) {
  constexpr Index kWidth = kMaxTilePanels * kPanel<T>;
  const Index size = n_rows * kWidth;
  const auto gradient = random_buffer<T>(kWidth);
  auto weights = random_buffer<T>(size);
  auto moment_1 = random_buffer<T>(size), moment_2 = random_buffer<T>(size, 0, 1);
  const SummedTile<T> tile{n_rows, kMaxTilePanels,     gradient.data(),
                           0,      n_rows * kPanel<T>, kPanel<T>};
  auto update = standing_update<T>(rule, 1);
  update.l1 = static_cast<T>(l1);
  update.decay = update.rate * update.l1;
  for (auto _ : state) {
    kernels.step(tile, update, {weights.data(), moment_1.data(), moment_2.data()});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * size);
  count_bytes(state, 2.0 * n_passed * static_cast<double>(size) * sizeof(T));
}

// The blocks of a panel of a parameter task's tile.
template <class T>
void transpose(benchmark::State& state, const Kernels<T>& kernels) {
  constexpr Index kRows = kMaxTileHeight, kBlock = kPanel<T> * kPanel<T>;
  const auto panel = random_buffer<T>(kRows * kPanel<T>);
  Buffer<T> mirror(panel.size());
  for (auto _ : state) {
    for (Index at = 0; at < panel.size(); at += kBlock) {
      kernels.transpose(panel.data() + at, kPanel<T>, mirror.data() + at);
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * panel.size());
  count_bytes(state, 2.0 * static_cast<double>(panel.size()) * sizeof(T));
}

}  // namespace

void add_step() {
  for (const auto& rule : kRules) {
    for (const auto& tile : kTiles) {
      add(std::string("step/") + rule.name + "/" + tile.name,
          [=](auto& state, const auto& kernels) {
            step(state, kernels, rule.kind, rule.n_passed, rule.l1, tile.n_rows);
          });
    }
  }
  add("transpose", [](auto& state, const auto& kernels) { transpose(state, kernels); });
}

}  // namespace fastbp::bench
