// Losses and output activations, row by row (lectures 000, 001 and 002: loss functions
// and softmax). For each of these pairs the gradient with respect to the pre-activation
// is p - y; lecture 001 derives it for the softmax, 002 and 000 drop the off-diagonal
// terms.
#pragma once

namespace fastbp {
namespace {

template <class T>
Vec<T> clip_probability(Vec<T> p) {
  constexpr T eps = Format<T>::kEpsilon;
  return min(max(p, Vec<T>(eps)), Vec<T>(1 - eps));
}

// out = exp(z - max z) over n columns, zero in the padding; returns the sum. `out`
// holds whole panels and may be z.
template <class T>
T shifted_exp(const T* z, Index n, T* out) {
  using V = Vec<T>;
  const V lowest(from_word<T>(~kMantissaMask<T>));  // minus infinity
  alignas(kCacheLine) T lanes[kPanel<T>];
  for (Index i = 0; i < kPanel<T>; ++i) lanes[i] = z[0];
  for (Index first = 0; first < n; first += kPanel<T>) {
    const T* inside = lanes_below<T>(n - first);
    FASTBP_UNROLL
    for (int c = 0; c < kVecs<T>; ++c) {
      const Index lane = c * V::kLanes;
      const auto in = less(V(0), V::load(inside + lane));
      const V value = select(in, V::load(z + first + lane), lowest);
      max(V::load(lanes + lane), value).store(lanes + lane);
    }
  }
  const V largest(largest_lane(lanes));
  for (T& lane : lanes) lane = 0;
  for (Index first = 0; first < n; first += kPanel<T>) {
    const T* inside = lanes_below<T>(n - first);
    FASTBP_UNROLL
    for (int c = 0; c < kVecs<T>; ++c) {
      const Index lane = c * V::kLanes;
      const auto in = less(V(0), V::load(inside + lane));
      const V e = select(in, exp(V::load(z + first + lane) - largest), V(0));
      e.store(out + first + lane);
      (V::load(lanes + lane) + e).store(lanes + lane);
    }
  }
  return add_lanes(lanes);
}

// With so few outputs, kPanel rows go through the softmax together, one in each lane:
// no sum or maximum runs across lanes, and exp has no idle ones.
constexpr Index kNarrow = 16;
template <class T>
constexpr Index kBlock = kPanel<T>* kPanel<T>;

// p(i, r) = softmax(z row r) at output i, at columns[i * kPanel + r], for n_rows <=
// kPanel rows; further columns repeat the last.
template <class T>
void softmax_columns(const T* z, Index stride, Index n_rows, Index n_outputs,
                     T* columns) {
  using V = Vec<T>;
  alignas(kCacheLine) T rows[kBlock<T>];
  for (Index panel = 0; panel < n_outputs; panel += kPanel<T>) {
    for (Index r = 0; r < kPanel<T>; ++r) {
      const T* row = z + (r < n_rows ? r : n_rows - 1) * stride + panel;
      for (Index i = 0; i < kPanel<T>; i += V::kLanes)
        V::load(row + i).store(rows + r * kPanel<T> + i);
    }
    transpose_whole_block(rows, columns + panel * kPanel<T>);
  }
  for (Index lane = 0; lane < kPanel<T>; lane += V::kLanes) {
    T* column = columns + lane;
    V largest = V::load(column), sum(0);
    for (Index i = 1; i < n_outputs; ++i)
      largest = max(largest, V::load(column + i * kPanel<T>));
    for (Index i = 0; i < n_outputs; ++i) {
      const V e = exp(V::load(column + i * kPanel<T>) - largest);
      e.store(column + i * kPanel<T>);
      sum = sum + e;
    }
    for (Index i = 0; i < n_outputs; ++i)
      (V::load(column + i * kPanel<T>) / sum).store(column + i * kPanel<T>);
  }
}

// Calls use(first row, n_rows, columns) for the softmax of each kPanel rows.
template <class T, class Use>
void for_softmax_columns(const T* z, Index stride, Index n_rows, Index n_outputs,
                         Use use) {
  alignas(kCacheLine) T columns[kNarrow * kPanel<T>];
  for (Index first = 0; first < n_rows; first += kPanel<T>) {
    const Index n = n_rows - first < kPanel<T> ? n_rows - first : kPanel<T>;
    softmax_columns(z + first * stride, stride, n, n_outputs, columns);
    use(first, n, columns);
  }
}

// loss holds the probabilities of the labels; the loss takes their place.
template <class T>
void log_loss(const LossBlock<T>& b) {
  using V = Vec<T>;
  elementwise(b.n_rows, b.loss, b.loss,
              [](V p) { return V(0) - log(clip_probability(p)); });
  for (Index r = 0; r < b.n_rows; ++r) b.loss[r] *= b.row_weights[r];
}

template <class T>
void narrow_softmax_cross_entropy(const LossBlock<T>& b) {
  using V = Vec<T>;
  alignas(kCacheLine) T rows[kBlock<T>];
  for_softmax_columns(
      b.z, b.z_stride, b.n_rows, b.n_outputs, [&](Index first, Index n, T* columns) {
        for (Index r = 0; r < n; ++r) {
          T& p = columns[b.labels[first + r] * kPanel<T> + r];
          b.loss[first + r] = p;
          p -= 1;
        }
        for (Index i = b.n_outputs * kPanel<T>; i < kNarrow * kPanel<T>; ++i)
          columns[i] = 0;
        for (Index panel = 0; panel < b.n_outputs; panel += kPanel<T>) {
          transpose_whole_block(columns + panel * kPanel<T>, rows);
          for (Index r = 0; r < n; ++r) {
            const V weight(b.row_weights[first + r]);
            T* dz = b.dz + (first + r) * b.dz_stride + panel;
            for (Index i = 0; i < kPanel<T>; i += V::kLanes)
              (V::load(rows + r * kPanel<T> + i) * weight).store(dz + i);
          }
        }
      });
  log_loss(b);
}

template <class T>
void softmax_cross_entropy(const LossBlock<T>& b) {
  using V = Vec<T>;
  if (b.n_outputs <= kNarrow) return narrow_softmax_cross_entropy(b);
  for (Index r = 0; r < b.n_rows; ++r) {
    T* dz = b.dz + r * b.dz_stride;
    const V sum(shifted_exp(b.z + r * b.z_stride, b.n_outputs, dz));
    const V weight(b.row_weights[r]);
    for (Index i = 0; i < b.n_outputs; i += V::kLanes)
      (V::load(dz + i) / sum).store(dz + i);
    b.loss[r] = dz[b.labels[r]];
    dz[b.labels[r]] -= 1;
    for (Index i = 0; i < b.n_outputs; i += V::kLanes)
      (V::load(dz + i) * weight).store(dz + i);
  }
  log_loss(b);
}

// A loss that is a sum over outputs: point(z, y) gives output p and the loss of each
// lane.
template <class T>
struct PointLoss {
  Vec<T> p, loss;
};

template <class T, class Point>
void sum_of_points(const LossBlock<T>& b, Point point) {
  using V = Vec<T>;
  for (Index r = 0; r < b.n_rows; ++r) {
    const T weight = b.row_weights[r];
    alignas(kCacheLine) T lanes[kPanel<T>] = {};
    for (Index first = 0; first < b.n_outputs; first += kPanel<T>) {
      const T* inside = lanes_below<T>(b.n_outputs - first);
      FASTBP_UNROLL
      for (int c = 0; c < kVecs<T>; ++c) {
        const Index lane = c * V::kLanes;
        const auto in = less(V(0), V::load(inside + lane));
        const V y = V::load(b.y + r * b.y_stride + first + lane);
        const PointLoss<T> at = point(V::load(b.z + r * b.z_stride + first + lane), y);
        select(in, (at.p - y) * V(weight), V(0))
            .store(b.dz + r * b.dz_stride + first + lane);
        (V::load(lanes + lane) + select(in, at.loss, V(0))).store(lanes + lane);
      }
    }
    b.loss[r] = add_lanes(lanes) * weight;
  }
}

template <class T>
void loss(Loss kind, const LossBlock<T>& b) {
  using V = Vec<T>;
  switch (kind) {
    case Loss::kSoftmaxCrossEntropy:
      return softmax_cross_entropy(b);
    case Loss::kBinaryCrossEntropy:
      return sum_of_points(b, [](V z, V y) -> PointLoss<T> {
        const V p = logistic(z);
        const V q = clip_probability(p);
        return {p, V(0) - (y * log(q) + (V(1) - y) * log(V(1) - q))};
      });
    case Loss::kSquaredError:
      return sum_of_points(b, [](V z, V y) -> PointLoss<T> {
        const V d = y - z;
        return {z, V(T(0.5)) * (d * d)};
      });
    case Loss::kPoisson:
      return sum_of_points(b, [](V z, V y) -> PointLoss<T> {
        const V p = exp(z);
        const V y_log_ratio = select(less(V(0), y), y * (log(y) - z), V(0));
        return {p, y_log_ratio - y + p};
      });
  }
}

template <class T>
void narrow_softmax(const OutputBlock<T>& b) {
  for_softmax_columns(b.z, b.z_stride, b.n_rows, b.n_outputs,
                      [&](Index first, Index n, const T* columns) {
                        for (Index r = 0; r < n; ++r) {
                          T* p = b.p + (first + r) * b.p_stride;
                          for (Index i = 0; i < b.n_outputs; ++i)
                            p[i] = columns[i * kPanel<T> + r];
                        }
                      });
}

template <class T>
void output(Loss kind, const OutputBlock<T>& b) {
  using V = Vec<T>;
  if (kind == Loss::kSoftmaxCrossEntropy && b.n_outputs <= kNarrow)
    return narrow_softmax(b);
  for (Index r = 0; r < b.n_rows; ++r) {
    T* z = b.z + r * b.z_stride;
    T* p = b.p + r * b.p_stride;
    switch (kind) {
      case Loss::kSoftmaxCrossEntropy: {
        const V sum(shifted_exp(z, b.n_outputs, z));
        elementwise(b.n_outputs, z, p, [sum](V e) { return e / sum; });
        break;
      }
      case Loss::kBinaryCrossEntropy:
        elementwise(b.n_outputs, z, p, [](V x) { return logistic(x); });
        break;
      case Loss::kSquaredError:
        for (Index i = 0; i < b.n_outputs; ++i) p[i] = z[i];
        break;
      case Loss::kPoisson:
        elementwise(b.n_outputs, z, p, [](V x) { return exp(x); });
        break;
    }
  }
}

}  // namespace
}  // namespace fastbp
