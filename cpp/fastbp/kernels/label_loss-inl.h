// The softmax cross-entropy of class labels, in one go: for this pair the gradient with
// respect to the pre-activation is p - y; lecture 001 derives it, 002 and 000 drop the
// off-diagonal terms.
#pragma once

namespace fastbp {
namespace {

template <class T>
Vec<T> clip_probability(Vec<T> p) {
  constexpr T eps = Format<T>::kEpsilon;
  return min(max(p, Vec<T>(eps)), Vec<T>(1 - eps));
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
FASTBP_NOINLINE void narrow_softmax_cross_entropy(const LossBlock<T>& b) {
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
FASTBP_NOINLINE void softmax_cross_entropy(const LossBlock<T>& b) {
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

}  // namespace
}  // namespace fastbp
