// Which kernel each task of batch normalization calls.
#include "fastbp/nn/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fastbp {
template <class T>
BatchNorm<T>::BatchNorm(const Kernels<T>& kernels, Index n_units,
                        OutputActivation<T> activation, T* parameters, Index offset,
                        T* running)
    : Norm<T>(kernels, n_units, activation, parameters, offset), running_(running) {
  std::fill_n(running_variance(), n_units, T{1});
}

template <class T>
Normalized<T> BatchNorm<T>::normalized(MatrixView<const T> x,
                                       const Memory<T>& memory) const {
  return {x.rows,   this->n_in(),        x.data,
          x.stride, memory.columns.data, memory.columns.stride};
}

template <class T>
void BatchNorm<T>::forward(const Input<T>& x, MatrixView<T> y,
                           const Memory<T>& memory) const {
  apply(x, y, this->output_activation().kind, memory);
}

template <class T>
void BatchNorm<T>::pre_activations(const Input<T>& x, MatrixView<T> z,
                                   const Memory<T>& memory) const {
  apply(x, z, Activation::kIdentity, memory);
}

template <class T>
void BatchNorm<T>::apply(const Input<T>& x, MatrixView<T> y, Activation kind,
                         const Memory<T>& memory) const {
  if (!memory.is_kept()) return predict(x, y, kind);
  NormForward<T> f = this->forward_block(normalized(x.dense, memory), y, memory);
  f.activation = kind;
  this->kernels_.batch_norm(f);
}

template <class T>
void BatchNorm<T>::running_statistics(Index first, T* mean, T* scale) const {
  for (Index j = 0; j < kPanel<T>; ++j) {
    mean[j] = running_mean()[first + j];
    const T variance = running_variance()[first + j];
    scale[j] = 1 / std::sqrt(variance + static_cast<T>(kNormEpsilon));
  }
}

template <class T>
void BatchNorm<T>::predict(const Input<T>& x, MatrixView<T> y, Activation kind) const {
  constexpr Index kWidth = kPanel<T>;
  // A panel at a time: mean and scale are made of the running averages on the stack.
  for (Index panel = 0; panel < this->n_panels(); ++panel) {
    const Index at = panel * kWidth;
    alignas(kCacheLine) T statistics[static_cast<std::size_t>(2 * kWidth)];
    running_statistics(at, statistics, statistics + kWidth);
    auto f =
        this->forward_block({y.rows, std::min(kWidth, this->n_in() - at),
                             x.dense.data + at, x.dense.stride, statistics, kWidth},
                            y, {});
    f.activation = kind;
    f.gain += at;
    f.bias += at;
    f.y += at;
    this->kernels_.batch_norm(f);
  }
}

template <class T>
void BatchNorm<T>::backward(const Trace<T>& trace, const Below<T>& below,
                            MatrixView<T> dx) const {
  const MatrixView<T>& columns = trace.memory.columns;
  NormBackward<T> b = this->backward_block(trace, dx);
  b.sums = columns.row(2);
  b.sums_stride = columns.stride;
  b.row_weights = trace.memory.weights;
  // Running averages are not made of these rows: none has a share in them.
  b.total_weight = trace.memory.is_training()
                       ? static_cast<T>(trace.memory.step->weight)
                       : std::numeric_limits<T>::infinity();
  this->kernels_.batch_norm_backward(b);
  chain(this->kernels_, below, dx);
}

template <class T>
void BatchNorm<T>::take_statistics(Index panel, const Trace<T>& batch,
                                   bool keeps) const {
  const Index at = panel * kPanel<T>;
  const MatrixView<const T> x = batch.x.dense;
  const Memory<T>& memory = batch.memory;
  T *mean = memory.columns.row(0) + at, *scale = memory.columns.row(1) + at;
  if (!memory.is_training()) return running_statistics(at, mean, scale);
  PanelStatistics<T> p{x.rows,
                       x.data + at,
                       x.stride,
                       memory.weights,
                       static_cast<T>(memory.step->weight),
                       mean,
                       scale,
                       nullptr,
                       nullptr,
                       1};
  // The weighted variance becomes an unbiased estimate by 1 / (1 - sum(w^2) /
  // sum(w)^2), which is n / (n - 1) for n equal weights. Of a single row it is none.
  const StepFacts& step = *memory.step;
  const double single = step.squared_weights / (step.weight * step.weight);
  if (keeps && single < 1) {
    p.running_mean = running_mean() + at;
    p.running_variance = running_variance() + at;
    p.correction = static_cast<T>(1 / (1 - single));
  }
  this->kernels_.column_statistics(p);
}

template <class T>
void BatchNorm<T>::sum_gradients(Index panel, const Trace<T>& batch) const {
  const Index at = panel * kPanel<T>;
  const MatrixView<T>& columns = batch.memory.columns;
  this->kernels_.batch_norm_sums(this->backward_block(batch, {}), panel,
                                 columns.row(2) + at, columns.row(3) + at);
}

template <class T>
void BatchNorm<T>::sums(Index panel, const Trace<T>& batch, T* dz_sums,
                        T* dzn_sums) const {
  const MatrixView<T>& columns = batch.memory.columns;
  std::copy_n(columns.row(2) + panel * kPanel<T>, kPanel<T>, dz_sums);
  std::copy_n(columns.row(3) + panel * kPanel<T>, kPanel<T>, dzn_sums);
}

template class BatchNorm<float>;
template class BatchNorm<double>;

}  // namespace fastbp
