// What becomes of a gradient tile: it is stored, or the optimizer step is made with it
// at once, while parameters and their state pass through the cache once.
#pragma once

namespace fastbp {
namespace {

// -1, 0 or 1; NaN of NaN, so that a rule that takes signs does not hide it.
template <class T>
Vec<T> sign(Vec<T> x) {
  using V = Vec<T>;
  return select(less(x, V(0)), V(-1), select(less(V(0), x), V(1), x));
}

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

// Adagrad is rmsprop with a sum in place of the moving average.
template <class T>
struct RmspropStep {
  using V = Vec<T>;
  V rate, kept, rest, epsilon;
  explicit RmspropStep(const Update<T>& u)
      : rate(u.rate),
        kept(u.rule == Rule::kAdagrad ? T{1} : u.beta_2),
        rest(u.rule == Rule::kAdagrad ? T{1} : u.rest_2),
        epsilon(u.epsilon) {}
  V operator()(V w, V g, T* v, T*) const {
    const V square = kept * V::load(v) + rest * (g * g);
    square.store(v);
    return w - rate * g / (sqrt(square) + epsilon);
  }
};

template <class T>
struct LionStep {
  using V = Vec<T>;
  V rate, beta_1, beta_2, rest_1, rest_2;
  explicit LionStep(const Update<T>& u)
      : rate(u.rate),
        beta_1(u.beta_1),
        beta_2(u.beta_2),
        rest_1(u.rest_1),
        rest_2(u.rest_2) {}
  V operator()(V w, V g, T* m, T*) const {
    const V mean = V::load(m);
    (beta_2 * mean + rest_2 * g).store(m);
    return w - rate * sign(beta_1 * mean + rest_1 * g);
  }
};

template <class T, bool kNesterov>
struct AdamStep {
  using V = Vec<T>;
  V rate, gradient_rate, beta_1, beta_2, rest_1, rest_2, epsilon;
  explicit AdamStep(const Update<T>& u)
      : rate(u.rate),
        gradient_rate(u.gradient_rate),
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
    const V step = kNesterov ? rate * mean + gradient_rate * g : rate * mean;
    return w - step / (sqrt(square) + epsilon);
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
    case Rule::kRmsprop:
    case Rule::kAdagrad:
      return use(RmspropStep<T>(u));
    case Rule::kLion:
      return use(LionStep<T>(u));
    case Rule::kAdam:
      return use(AdamStep<T, false>(u));
    case Rule::kNadam:
      return use(AdamStep<T, true>(u));
  }
}

// What the size of a weight w adds to the sum of its gradient, and what of it is left
// before the step.
template <class T>
struct L2Penalty {
  using V = Vec<T>;
  V penalty;
  V gradient(V sum, V w) const { return fma(penalty, w, sum); }
  V decayed(V w) const { return w; }
  V add_magnitude(V sum, V) const { return sum; }
};

template <class T>
struct AllPenalties {
  using V = Vec<T>;
  V penalty, l1, decay;
  V gradient(V sum, V w) const { return fma(penalty, w, sum) + l1 * sign(w); }
  V decayed(V w) const { return w - decay * w; }
  V add_magnitude(V sum, V w) const { return sum + abs(w); }
};

// All of them cost time, so most steps are made without.
template <class T, class Use>
void with_penalties(T penalty, T l1, T decay, Use use) {
  if (l1 == 0 && decay == 0) return use(L2Penalty<T>{penalty});
  use(AllPenalties<T>{penalty, l1, decay});
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

// A tile that is summed already.
template <class T, class Soon, class Use>
void for_gradient_sums(const SummedTile<T>& g, Soon, Use use) {
  use(g.gradient, g.gradient_stride, Index{0}, static_cast<int>(g.n_panels));
}

template <class T, class Tile>
void store_gradient(const Tile& g, T* out, bool add) {
  using V = Vec<T>;
  for_gradient_sums(
      g, [](Index, int, Index, int) {},
      [&](const T* sums, Index stride, Index panel, int n_panels) {
        for (int p = 0; p < n_panels; ++p) {
          T* first = out + (panel + p) * g.panel_size;
          for (Index r = 0; r < g.n_in; ++r) {
            FASTBP_UNROLL
            for (Index lane = 0; lane < kPanel<T>; lane += V::kLanes) {
              const V sum = V::load(sums + r * stride + p * kPanel<T> + lane);
              T* to = first + r * row_stride(g) + lane;
              (add ? V::load(to) + sum : sum).store(to);
            }
          }
        }
      });
}

// Sum of n_panels * kPanel numbers.
template <class T>
double add_panels(Index n_panels, const T* numbers) {
  double sum[4] = {};  // independent additions, in the same order everywhere
  for (Index i = 0; i < n_panels * kPanel<T>; i += 4) {
    for (int j = 0; j < 4; ++j) sum[j] += static_cast<double>(numbers[i + j]);
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class T, class Tile>
PenaltySums update(const Tile& g, const Update<T>& u, const Parameters<T>& parameters) {
  using V = Vec<T>;
  const V scale(u.scale);
  // Squared weights and magnitudes, by panel and lane in the order of rows: the same on
  // all instruction sets.
  alignas(kCacheLine) T squares[kMaxTilePanels * kPanel<T>];
  alignas(kCacheLine) T magnitudes[kMaxTilePanels * kPanel<T>];
  // The parameters arrive while the product is computed.
  const auto prefetch_tile = [&](Index row, int n_rows, Index panel, int n_panels) {
    const Index n_bytes = n_rows * kCacheLine;
    for (int p = 0; p < n_panels; ++p) {
      const Index at = (panel + p) * g.panel_size + row * kPanel<T>;
      prefetch(parameters.weights + at, n_bytes);
      if (u.rule >= Rule::kMomentum) prefetch(parameters.moment_1 + at, n_bytes);
      if (u.rule >= Rule::kAdam) prefetch(parameters.moment_2 + at, n_bytes);
    }
  };
  for_gradient_sums(
      g, prefetch_tile, [&](const T* sums, Index stride, Index panel, int n_panels) {
        const auto step_all = [&](auto penalties, auto step) {
          const auto [weights, moment_1, moment_2] = parameters;
          const Index n_in = g.n_in, panel_size = g.panel_size,
                      row_size = row_stride(g);
          for (int p = 0; p < n_panels; ++p) {
            V square[kVecs<T>], magnitude[kVecs<T>];
            FASTBP_UNROLL
            for (int c = 0; c < kVecs<T>; ++c) square[c] = magnitude[c] = V(0);
            for (Index r = 0; r < n_in; ++r) {
              FASTBP_UNROLL
              for (int c = 0; c < kVecs<T>; ++c) {
                const Index lane = c * V::kLanes;
                const Index at = (panel + p) * panel_size + r * row_size + lane;
                const V sum = V::load(sums + r * stride + p * kPanel<T> + lane);
                const V w = V::load(weights + at);
                square[c] = fma(w, w, square[c]);
                magnitude[c] = penalties.add_magnitude(magnitude[c], w);
                step(penalties.decayed(w), penalties.gradient(sum, w) * scale,
                     moment_1 + at, moment_2 + at)
                    .store(weights + at);
              }
            }
            FASTBP_UNROLL
            for (int c = 0; c < kVecs<T>; ++c) {
              const Index at = (panel + p) * kPanel<T> + c * V::kLanes;
              square[c].store(squares + at);
              magnitude[c].store(magnitudes + at);
            }
          }
        };
        with_penalties(u.penalty, u.l1, u.decay, [&](auto penalties) {
          with_rule<T>(u, [&](auto step) { step_all(penalties, step); });
        });
      });
  PenaltySums sums;
  if (u.penalty != 0) sums.squares = add_panels(g.n_panels, squares);
  if (u.l1 != 0) sums.magnitudes = add_panels(g.n_panels, magnitudes);
  return sums;
}

template <class T>
void column_squares(const GradientPanel<T>& g, T* sums) {
  using V = Vec<T>;
  with_penalties(g.penalty, g.l1, T{0}, [&](auto penalties) {
    for (Index lane = 0; lane < kPanel<T>; lane += V::kLanes) {
      V total(0);
      for (Index first = 0; first < g.n_rows; first += kSumChunk) {
        const Index last = g.n_rows < first + kSumChunk ? g.n_rows : first + kSumChunk;
        V sum(0);
        for (Index i = first; i < last; ++i) {
          const Index at = i * g.row_stride + lane;
          const V element =
              penalties.gradient(V::load(g.gradient + at), V::load(g.weights + at));
          sum = fma(element, element, sum);
        }
        total = total + sum;
      }
      total.store(sums + lane);
    }
  });
}

template <class T>
void scale_columns(Index n_rows, Index row_stride, const T* factors, T* weights) {
  using V = Vec<T>;
  for (Index i = 0; i < n_rows; ++i) {
    for (Index lane = 0; lane < kPanel<T>; lane += V::kLanes) {
      T* w = weights + i * row_stride + lane;
      (V::load(w) * V::load(factors + lane)).store(w);
    }
  }
}

template <class T>
void average(Index n, T rate, const T* weights, T* average) {
  using V = Vec<T>;
  const V rates(rate);
  for (Index i = 0; i < n; i += V::kLanes) {
    const V former = V::load(average + i);
    fma(rates, V::load(weights + i) - former, former).store(average + i);
  }
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
