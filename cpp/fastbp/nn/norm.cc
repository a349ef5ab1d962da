// Gains and biases, a panel at a time.
#include "fastbp/nn/norm.h"

namespace fastbp {

template <class T>
Index Norm<T>::n_parameters_of(Index n_units) {
  return checked_mul(2, checked_mul(ceil_div(n_units, kPanel<T>), kPanel<T>));
}

template <class T>
Norm<T>::Norm(const Kernels<T>& kernels, Index n_units, OutputActivation<T> activation,
              T* parameters, Index offset)
    : kernels_(kernels),
      parameters_(parameters),
      n_units_(n_units),
      activation_(activation),
      offset_(offset) {
  for (Index j = 0; j < n_units; ++j) parameters[gain_offset() + j] = 1;
}

template <class T>
NormForward<T> Norm<T>::forward_block(const Normalized<T>& x, MatrixView<T> y,
                                      const Memory<T>& memory) const {
  NormForward<T> f{x,
                   parameters_ + gain_offset(),
                   parameters_ + bias_offset(),
                   activation_.kind,
                   activation_.slope,
                   y.data,
                   y.stride};
  if (memory.is_kept() && activation_.stores_derivative()) {
    f.derivative = memory.rows.data;
    f.derivative_stride = memory.rows.stride;
  }
  return f;
}

template <class T>
NormBackward<T> Norm<T>::backward_block(const Trace<T>& trace, MatrixView<T> dx) const {
  return {normalized(trace.x.dense, trace.memory),
          parameters_ + gain_offset(),
          trace.dz.data,
          trace.dz.stride,
          dx.data,
          dx.stride};
}

template <class T>
PenaltySums Norm<T>::step_on(Index place, const T* gradient, const Update<T>& rule,
                             const FlatState<T>& state) {
  return kernels_.step(
      {1, 1, gradient, kPanel<T>, kPanel<T>, kPanel<T>}, rule.without_penalties(),
      {parameters_ + place, state.moment_1 + place, state.moment_2 + place});
}

template <class T>
PenaltySums Norm<T>::update(Index tile, const Trace<T>& batch, const Update<T>& rule,
                            const FlatState<T>& state) {
  for_panels(tile, [&](Index panel) {
    alignas(kCacheLine) T biases[kPanel<T>], gains[kPanel<T>];
    sums(panel, batch, biases, gains);
    step_on(gain_offset() + panel * kPanel<T>, gains, rule, state);
    step_on(bias_offset() + panel * kPanel<T>, biases, rule, state);
  });
  return {};
}

template <class T>
void Norm<T>::gradient(Index tile, const Trace<T>& batch, T* gradient, bool add) const {
  for_panels(tile, [&](Index panel) {
    alignas(kCacheLine) T biases[kPanel<T>], gains[kPanel<T>];
    sums(panel, batch, biases, gains);
    T* to_gains = gradient + gain_offset() + panel * kPanel<T>;
    T* to_biases = gradient + bias_offset() + panel * kPanel<T>;
    for (Index j = 0; j < kPanel<T>; ++j) {
      to_gains[j] = add ? to_gains[j] + gains[j] : gains[j];
      to_biases[j] = add ? to_biases[j] + biases[j] : biases[j];
    }
  });
}

template <class T>
double Norm<T>::gradient_squares(Index panel, const T* gradient,
                                 const Update<T>&) const {
  double sum = 0;
  for (const Index first : {gain_offset(), bias_offset()}) {
    const T* g = gradient + first + panel * kPanel<T>;
    for (Index j = 0; j < kPanel<T>; ++j)
      sum += static_cast<double>(g[j]) * static_cast<double>(g[j]);
  }
  return sum;
}

template <class T>
PenaltySums Norm<T>::step(Index panel, const T* gradient, const Update<T>& rule,
                          const FlatState<T>& state) {
  const Index gain = gain_offset() + panel * kPanel<T>;
  const Index bias = bias_offset() + panel * kPanel<T>;
  step_on(gain, gradient + gain, rule, state);
  return step_on(bias, gradient + bias, rule, state);
}

template class Norm<float>;
template class Norm<double>;

}  // namespace fastbp
