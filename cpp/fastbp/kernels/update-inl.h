// What becomes of a gradient tile: it is stored, or the optimizer step is made with it
// at once, while parameters and their state pass through the cache once.
#pragma once

namespace fastbp {
namespace {

// The rules of kernels.h for one vector: new w from the scaled gradient g and the state
// at m, v.
template <class T>
struct SgdStep {
  using V = Vec<T>;
  V rate;
  explicit SgdStep(const Update<T>& u) : rate(u.rate) {}
  V operator()(V w, V g, T*, T*) const { return w - rate * g; }
};

template <class T, bool kNesterov>
struct MomentumStep {
  using V = Vec<T>;
  V rate, momentum;
  explicit MomentumStep(const Update<T>& u) : rate(u.rate), momentum(u.momentum) {}
  V operator()(V w, V g, T* m, T*) const {
    const V step = rate * g;
    const V velocity = momentum * V::load(m) - step;
    velocity.store(m);
    return w + (kNesterov ? momentum * velocity - step : velocity);
  }
};

template <class T>
struct AdamStep {
  using V = Vec<T>;
  V rate, beta_1, beta_2, rest_1, rest_2, epsilon;
  explicit AdamStep(const Update<T>& u)
      : rate(u.rate),
        beta_1(u.beta_1),
        beta_2(u.beta_2),
        rest_1(u.rest_1),
        rest_2(u.rest_2),
        epsilon(u.epsilon) {}
  V operator()(V w, V g, T* m, T* v) const {
    const V mean = beta_1 * V::load(m) + rest_1 * g;
    const V square = beta_2 * V::load(v) + rest_2 * (g * g);
    mean.store(m);
    square.store(v);
    return w - rate * mean / (sqrt(square) + epsilon);
  }
};

template <class T, class Use>
void with_rule(const Update<T>& u, Use use) {
  switch (u.rule) {
    case Rule::kSgd:
      return use(SgdStep<T>(u));
    case Rule::kMomentum:
      return use(MomentumStep<T, false>(u));
    case Rule::kNesterov:
      return use(MomentumStep<T, true>(u));
    case Rule::kAdam:
      return use(AdamStep<T>(u));
  }
}

// Elements from a row of a panel to the next in the arrays that a tile goes to.
template <class T>
constexpr Index row_stride(const GradientTile<T>&) {
  return kPanel<T>;
}
template <class Tile>
Index row_stride(const Tile& g) {
  return g.row_stride;
}

// A tile that is summed already, row by row.
template <class T, class Soon, class Use>
void for_gradient_tiles(const SummedTile<T>& g, Soon, Use use) {
  for (Index i = 0; i < g.n_in; ++i) {
    use(g.gradient + i * g.gradient_stride, i, 1, Index{0},
        static_cast<int>(g.n_panels));
  }
}

template <class T, class Tile>
void store_gradient(const Tile& g, T* out, bool add) {
  using V = Vec<T>;
  for_gradient_tiles(
      g, [](Index, int, Index, int) {},
      [&](const T* tile, Index row, int n_rows, Index panel, int n_panels) {
        T* to = out + panel * g.panel_size + row * row_stride(g);
        for_tile_vectors<T>(n_rows, n_panels, g.panel_size, row_stride(g),
                            [&](Index i, Index at) {
                              const V sum = V::load(tile + i);
                              (add ? V::load(to + at) + sum : sum).store(to + at);
                            });
      });
}

template <class T, class Tile>
double update(const Tile& g, const Update<T>& u, const Parameters<T>& parameters) {
  using V = Vec<T>;
  const V scale(u.scale), penalty(u.penalty);
  // Squared weights, by panel and lane in the order of rows: the same on all
  // instruction sets.
  alignas(kCacheLine) T squares[kMaxTilePanels * kPanel<T>] = {};
  // The parameters arrive while the product is computed.
  const auto prefetch_tile = [&](Index row, int n_rows, Index panel, int n_panels) {
    const Index n_bytes = n_rows * kCacheLine;
    for (int p = 0; p < n_panels; ++p) {
      const Index at = (panel + p) * g.panel_size + row * kPanel<T>;
      prefetch(parameters.weights + at, n_bytes);
      if (u.rule != Rule::kSgd) prefetch(parameters.moment_1 + at, n_bytes);
      if (u.rule == Rule::kAdam) prefetch(parameters.moment_2 + at, n_bytes);
    }
  };
  for_gradient_tiles(
      g, prefetch_tile,
      [&](const T* tile, Index row, int n_rows, Index panel, int n_panels) {
        const Index first = panel * g.panel_size + row * row_stride(g);
        with_rule<T>(u, [&](auto step) {
          for (int p = 0; p < n_panels; ++p) {
            FASTBP_UNROLL
            for (int c = 0; c < kVecs<T>; ++c) {
              const Index lane = c * V::kLanes;
              T* lane_squares = squares + (panel + p) * kPanel<T> + lane;
              V sum = V::load(lane_squares);
              for (int r = 0; r < n_rows; ++r) {
                const Index at = first + p * g.panel_size + r * row_stride(g) + lane;
                const V total = V::load(tile + (r * n_panels + p) * kPanel<T> + lane);
                const V w = V::load(parameters.weights + at);
                sum = fma(w, w, sum);
                step(w, fma(penalty, w, total) * scale, parameters.moment_1 + at,
                     parameters.moment_2 + at)
                    .store(parameters.weights + at);
              }
              sum.store(lane_squares);
            }
          }
        });
      });
  if (u.penalty == 0) return 0;
  double sum[4] = {};  // independent additions, in the same order everywhere
  for (Index i = 0; i < g.n_panels * kPanel<T>; i += 4) {
    for (int j = 0; j < 4; ++j) sum[j] += static_cast<double>(squares[i + j]);
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class T>
void transpose(const T* panel_rows, Index n_rows, T* mirror_block) {
  if (n_rows == kPanel<T>) return transpose_whole_block(panel_rows, mirror_block);
  for (Index j = 0; j < kPanel<T>; ++j) {
    for (Index i = 0; i < n_rows; ++i) {
      mirror_block[j * kPanel<T> + i] = panel_rows[i * kPanel<T> + j];
    }
  }
}

}  // namespace
}  // namespace fastbp
