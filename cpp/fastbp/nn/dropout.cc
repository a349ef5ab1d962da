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
                                  const Memory<T>& memory) const {
  const StepFacts& step = *memory.step;
  const auto word = [](auto number) { return static_cast<Word32>(number); };
  constexpr T kSteps = static_cast<T>(kDropoutSteps);
  return {y.rows,
          ceil_div(n_units_, kPanel<T>),
          x.data,
          x.stride,
          y.data,
          y.stride,
          {word(memory.first_row), word(step.number), word(number_), word(step.seed),
           word(step.seed >> 32)},
          threshold_,
          kSteps / (kSteps - threshold_)};
}

template <class T>
void DropoutLayer<T>::drop(MatrixView<const T> x, MatrixView<T> y,
                           const Memory<T>& memory) const {
  if (memory.is_training()) return kernels_.dropout(block(x, y, memory));
  if (x.data == y.data) return;
  for (Index i = 0; i < y.rows; ++i) std::copy_n(x.row(i), n_units_, y.row(i));
}

template <class T>
void DropoutLayer<T>::forward(const Input<T>& x, MatrixView<T> y,
                              const Memory<T>& memory) const {
  drop(x.dense, y, memory);
}

template <class T>
void DropoutLayer<T>::pre_activations(const Input<T>& x, MatrixView<T> z,
                                      const Memory<T>& memory) const {
  drop(x.dense, z, memory);
}

template <class T>
void DropoutLayer<T>::backward(const Trace<T>& trace, const Below<T>& below,
                               MatrixView<T> dx) const {
  drop(trace.dz, dx, trace.memory);
  chain(kernels_, below, dx);
}

template <class T>
void DropoutLayer<T>::drop_entries(Entry<T>* entries, const Index* first,
                                   const Index* last, Index n_rows,
                                   const Memory<T>& memory) const {
  kernels_.sparse_dropout(block({}, {nullptr, n_rows, 0, 0}, memory), entries, first,
                          last);
}

template class DropoutLayer<float>;
template class DropoutLayer<double>;

}  // namespace fastbp
