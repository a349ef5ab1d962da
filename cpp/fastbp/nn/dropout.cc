// Dropout forward and backward: the same numbers, drawn twice.
#include "fastbp/nn/dropout.h"

#include <algorithm>
#include <cmath>

namespace fastbp {

template <class T>
DropoutLayer<T>::DropoutLayer(const Kernels<T>& kernels, Index n_units, double rate,
                              Index number)
    : kernels_(kernels),
      n_units_(n_units),
      threshold_(static_cast<T>(
          std::min(std::round(rate * kDropoutSteps), kDropoutSteps - 1))),
      number_(number) {}

template <class T>
Dropout<T> DropoutLayer<T>::block(MatrixView<const T> x, MatrixView<T> y,
                                  const Noise& noise) const {
  const auto word = [](auto number) { return static_cast<Word32>(number); };
  constexpr T kSteps = static_cast<T>(kDropoutSteps);
  return {y.rows,
          ceil_div(n_units_, kPanel<T>),
          x.data,
          x.stride,
          y.data,
          y.stride,
          {word(noise.first_row), word(noise.step), word(number_), word(noise.seed),
           word(noise.seed >> 32)},
          threshold_,
          kSteps / (kSteps - threshold_)};
}

template <class T>
void DropoutLayer<T>::forward(const Input<T>& x, MatrixView<T> y,
                              const Memory<T>& memory) const {
  kernels_.dropout(block(x.dense, y, memory.noise));
}

template <class T>
void DropoutLayer<T>::pre_activations(const Input<T>& x, MatrixView<T> z) const {
  for (Index i = 0; i < z.rows; ++i) std::copy_n(x.dense.row(i), n_units_, z.row(i));
}

template <class T>
void DropoutLayer<T>::backward(const Trace<T>& trace, const Below<T>& below,
                               MatrixView<T> dx) const {
  kernels_.dropout(block(trace.dz, dx, trace.memory.noise));
  if (below.activation.kind == Activation::kIdentity) return;
  kernels_.chain({dx.rows, 0, ceil_div(n_units_, kPanel<T>), nullptr, 0, nullptr, 0,
                  below.activation.kind, below.activation.slope, below.x.data,
                  below.x.stride, dx.data, dx.stride});
}

template <class T>
void DropoutLayer<T>::drop_entries(Entry<T>* entries, const Index* first,
                                   const Index* last, Index n_rows,
                                   const Noise& noise) const {
  kernels_.sparse_dropout(block({}, {nullptr, n_rows, 0, 0}, noise), entries, first,
                          last);
}

template class DropoutLayer<float>;
template class DropoutLayer<double>;

}  // namespace fastbp
