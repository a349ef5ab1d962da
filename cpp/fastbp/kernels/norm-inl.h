// Layer and batch normalization: the same arithmetic with a mean and a scale for each
// row, or for each column.
#pragma once

namespace fastbp {
namespace {

// What is normalised by rows has one mean and scale in all columns.
template <class T>
struct RowStatistics {
  using V = Vec<T>;
  const Normalized<T>& x;

  struct Row {
    const T* x;
    V mean, scale;
    V operator()(Index at) const { return (V::load(x + at) - mean) * scale; }
    V scale_at(Index) const { return scale; }
  };
  Row row(Index r) const {
    const T* s = x.statistics + r * x.statistics_stride;
    return {x.x + r * x.x_stride, V(s[0]), V(s[1])};
  }
};

template <class T>
struct ColumnStatistics {
  using V = Vec<T>;
  const Normalized<T>& x;

  struct Row {
    const T *x, *mean, *scale;
    V operator()(Index at) const {
      return (V::load(x + at) - V::load(mean + at)) * scale_at(at);
    }
    V scale_at(Index at) const { return V::load(scale + at); }
  };
  Row row(Index r) const {
    return {x.x + r * x.x_stride, x.statistics, x.statistics + x.statistics_stride};
  }
};

template <class T>
Vec<T> norm_scale(Vec<T> variance) {
  using V = Vec<T>;
  return V(1) / sqrt(variance + V(static_cast<T>(kNormEpsilon)));
}

template <class T>
void row_statistics(const T* x, Index n, T* statistics) {
  using V = Vec<T>;
  Lanes<T> sum(0), squares(0);
  for_row_vectors<T>(n, [&](int c, Index at, auto inside) {
    sum.at[c] = sum.at[c] + select(inside, V::load(x + at), V(0));
  });
  const T mean = sum.sum() / static_cast<T>(n);
  for_row_vectors<T>(n, [&](int c, Index at, auto inside) {
    const V d = select(inside, V::load(x + at) - V(mean), V(0));
    squares.at[c] = fma(d, d, squares.at[c]);
  });
  alignas(kCacheLine) T scale[V::kLanes];
  norm_scale(V(squares.sum() / static_cast<T>(n))).store(scale);
  statistics[0] = mean;
  statistics[1] = scale[0];
}

// y of row r from its normalised x.
template <class T, class Activation, class Row>
void finish_norm(const NormForward<T>& f, const Activation& activation, Index r,
                 const Row& normalised) {
  using V = Vec<T>;
  T* y = f.y + r * f.y_stride;
  const auto z = [&](Index at) {
    return fma(V::load(f.gain + at), normalised(at), V::load(f.bias + at));
  };
  if constexpr (requires(V v) { activation.both(v); }) {
    if (f.derivative != nullptr) {
      T* derivative = f.derivative + r * f.derivative_stride;
      return for_row_vectors<T>(f.x.n_cols, [&](int, Index at, auto) {
        const Smooth<T> both = activation.both(z(at));
        both.value.store(y + at);
        both.derivative.store(derivative + at);
      });
    }
  }
  for_row_vectors<T>(
      f.x.n_cols, [&](int, Index at, auto) { activation.value(z(at)).store(y + at); });
}

template <class T>
void layer_norm(const NormForward<T>& f) {
  const Normalized<T>& x = f.x;
  with_activation<T>(f.activation, f.slope, [&](auto activation) {
    for (Index r = 0; r < x.n_rows; ++r) {
      row_statistics(x.x + r * x.x_stride, x.n_cols,
                     x.statistics + r * x.statistics_stride);
      finish_norm(f, activation, r, RowStatistics<T>{x}.row(r));
    }
  });
}

template <class T>
void batch_norm(const NormForward<T>& f) {
  with_activation<T>(f.activation, f.slope, [&](auto activation) {
    for (Index r = 0; r < f.x.n_rows; ++r) {
      finish_norm(f, activation, r, ColumnStatistics<T>{f.x}.row(r));
    }
  });
}

// With dn = gain * dz and means over the row:
//   dx = scale * (dn - mean(dn) - n * mean(dn * n)).
template <class T>
void layer_norm_backward(const NormBackward<T>& b) {
  using V = Vec<T>;
  const auto n_cols = static_cast<T>(b.x.n_cols);
  for (Index r = 0; r < b.x.n_rows; ++r) {
    const auto n = RowStatistics<T>{b.x}.row(r);
    const T* dz = b.dz + r * b.dz_stride;
    T* dx = b.dx + r * b.dx_stride;
    Lanes<T> dn_sum(0), dnn_sum(0);
    for_row_vectors<T>(b.x.n_cols, [&](int c, Index at, auto) {
      const V dn = V::load(b.gain + at) * V::load(dz + at);
      dn_sum.at[c] = dn_sum.at[c] + dn;
      dnn_sum.at[c] = fma(dn, n(at), dnn_sum.at[c]);
    });
    const V dn_mean(dn_sum.sum() / n_cols), dnn_mean(dnn_sum.sum() / n_cols);
    for_row_vectors<T>(b.x.n_cols, [&](int, Index at, auto inside) {
      const V dn = V::load(b.gain + at) * V::load(dz + at);
      const V d = n.scale * (dn - dn_mean - n(at) * dnn_mean);
      select(inside, d, V(0)).store(dx + at);
    });
  }
}

// With p the share of the row and sums over the batch:
//   dx = gain * scale * (dz - p * (sum(dz) + n * sum(dz * n))).
template <class T>
void batch_norm_backward(const NormBackward<T>& b) {
  using V = Vec<T>;
  for (Index r = 0; r < b.x.n_rows; ++r) {
    const auto n = ColumnStatistics<T>{b.x}.row(r);
    const T* dz = b.dz + r * b.dz_stride;
    T* dx = b.dx + r * b.dx_stride;
    const V share(b.row_weights[r] / b.total_weight);
    for_row_vectors<T>(b.x.n_cols, [&](int, Index at, auto) {
      const V sum =
          fma(n(at), V::load(b.sums + b.sums_stride + at), V::load(b.sums + at));
      const V factor = V::load(b.gain + at) * n.scale_at(at);
      (factor * (V::load(dz + at) - share * sum)).store(dx + at);
    });
  }
}

// Sums over n rows of one panel in pieces of kSumChunk: add(r, c, sums) adds row r of
// its c-th vector to kSums of them, use(c, sums) receives what they come to.
template <class T, int kSums, class Add, class Use>
FASTBP_INLINE void sum_panel_rows(Index n, Add add, Use use) {
  using V = Vec<T>;
  for (int c = 0; c < kVecs<T>; ++c) {
    V totals[kSums];
    for (V& total : totals) total = V(0);
    for (Index first = 0; first < n; first += kSumChunk) {
      const Index last = n < first + kSumChunk ? n : first + kSumChunk;
      V sums[kSums];
      for (V& sum : sums) sum = V(0);
      for (Index r = first; r < last; ++r) add(r, c, sums);
      for (int i = 0; i < kSums; ++i) totals[i] = totals[i] + sums[i];
    }
    use(c, totals);
  }
}

template <class T>
void column_statistics(const PanelStatistics<T>& p) {
  using V = Vec<T>;
  const V total(p.total_weight);
  const auto x = [&](Index r, int c) {
    return V::load(p.x + r * p.x_stride + c * V::kLanes);
  };
  sum_panel_rows<T, 1>(
      p.n_rows,
      [&](Index r, int c, V* sum) { *sum = fma(V(p.row_weights[r]), x(r, c), *sum); },
      [&](int c, const V* sum) { (*sum / total).store(p.mean + c * V::kLanes); });
  const auto average = [](T* running, V now) {
    if (running == nullptr) return;
    constexpr auto kNew = static_cast<T>(kNormMomentum);
    fma(V(kNew), now, V(T(1 - kNormMomentum)) * V::load(running)).store(running);
  };
  sum_panel_rows<T, 1>(
      p.n_rows,
      [&](Index r, int c, V* sum) {
        const V d = x(r, c) - V::load(p.mean + c * V::kLanes);
        *sum = fma(V(p.row_weights[r]) * d, d, *sum);
      },
      [&](int c, const V* sum) {
        const Index lane = c * V::kLanes;
        const V variance = *sum / total;
        norm_scale(variance).store(p.scale + lane);
        if (p.running_mean == nullptr) return;
        average(p.running_mean + lane, V::load(p.mean + lane));
        average(p.running_variance + lane, variance * V(p.correction));
      });
}

template <class T, class Statistics>
void norm_sums(const NormBackward<T>& b, Index panel, T* dz_sums, T* dzn_sums) {
  using V = Vec<T>;
  const Index first = panel * kPanel<T>;
  sum_panel_rows<T, 2>(
      b.x.n_rows,
      [&](Index r, int c, V* sums) {
        const Index at = first + c * V::kLanes;
        const V dz = V::load(b.dz + r * b.dz_stride + at);
        sums[0] = sums[0] + dz;
        sums[1] = fma(dz, Statistics{b.x}.row(r)(at), sums[1]);
      },
      [&](int c, const V* sums) {
        sums[0].store(dz_sums + c * V::kLanes);
        sums[1].store(dzn_sums + c * V::kLanes);
      });
}

}  // namespace
}  // namespace fastbp
