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

template <class T>
void softmax_cross_entropy(const LossBlock<T>& b) {
  using V = Vec<T>;
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
  elementwise(b.n_rows, b.loss, b.loss,
              [](V p) { return V(0) - log(clip_probability(p)); });
  for (Index r = 0; r < b.n_rows; ++r) b.loss[r] *= b.row_weights[r];
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
void output(Loss kind, const OutputBlock<T>& b) {
  using V = Vec<T>;
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
