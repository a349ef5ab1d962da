// LayerNorm: each row by its own mean and variance over the units (Ba, Kiros and
// Hinton, Layer normalization, 2016, arXiv:1607.06450). Rows do not know of each other,
// and a prediction does the same as training.
#pragma once

#include "fastbp/nn/norm.h"

namespace fastbp {

template <class T>
class LayerNorm final : public Norm<T> {
 public:
  using Norm<T>::Norm;

  // Mean and scale of a row come after what the activation stores.
  Index n_memory() const override { return first_statistic() + 2; }
  void forward(const Input<T>& x, MatrixView<T> y,
               const Memory<T>& memory) const override;
  void pre_activations(const Input<T>& x, MatrixView<T> z,
                       const Memory<T>& memory) const override;
  void backward(const Trace<T>& trace, const Below<T>& below,
                MatrixView<T> dx) const override;

 protected:
  Normalized<T> normalized(MatrixView<const T> x,
                           const Memory<T>& memory) const override;
  void sums(Index panel, const Trace<T>& batch, T* dz_sums, T* dzn_sums) const override;

 private:
  Index first_statistic() const {
    return this->output_activation().stores_derivative() ? this->n_panels() * kPanel<T>
                                                         : 0;
  }
};

extern template class LayerNorm<float>;
extern template class LayerNorm<double>;

}  // namespace fastbp
