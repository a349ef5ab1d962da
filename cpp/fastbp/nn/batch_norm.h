// BatchNorm: each unit by its mean and variance over the rows of the batch, weighted as
// in the loss; in prediction by running averages of them (Ioffe and Szegedy, Batch
// normalization, 2015, arXiv:1502.03167).
//
// The rows of a batch depend on each other here: between forward() of the layer below
// and that of this layer all panels must go through take_statistics(), and between the
// backward() of the layer above and that of this layer through sum_gradients().
#pragma once

#include "fastbp/nn/norm.h"

namespace fastbp {

template <class T>
class BatchNorm final : public Norm<T> {
 public:
  // The running mean and variance, whole panels of each, are `running`.
  BatchNorm(const Kernels<T>& kernels, Index n_units, OutputActivation<T> activation,
            T* parameters, Index offset, T* running);

  static Index n_running_of(Index n_units) { return Norm<T>::n_parameters_of(n_units); }

  // Mean, scale, and the sums of dz and of dz * n, of each column.
  Index n_column_memory() const override { return 4; }
  void forward(const Input<T>& x, MatrixView<T> y,
               const Memory<T>& memory) const override;
  void pre_activations(const Input<T>& x, MatrixView<T> z,
                       const Memory<T>& memory) const override;
  void backward(const Trace<T>& trace, const Below<T>& below,
                MatrixView<T> dx) const override;

  // Of the whole batch, for one panel. The running averages go on if `keeps`.
  void take_statistics(Index panel, const Trace<T>& batch, bool keeps) const;
  void sum_gradients(Index panel, const Trace<T>& batch) const;

  T* running_mean() const override { return running_; }
  T* running_variance() const override {
    return running_ + this->n_panels() * kPanel<T>;
  }

 protected:
  Normalized<T> normalized(MatrixView<const T> x,
                           const Memory<T>& memory) const override;
  void sums(Index panel, const Trace<T>& batch, T* dz_sums, T* dzn_sums) const override;

 private:
  // With another activation.
  void apply(const Input<T>& x, MatrixView<T> y, Activation kind,
             const Memory<T>& memory) const;
  // Mean and scale of a panel's columns, by the running averages.
  void running_statistics(Index first, T* mean, T* scale) const;
  void predict(const Input<T>& x, MatrixView<T> y, Activation kind) const;

  T* running_;
};

extern template class BatchNorm<float>;
extern template class BatchNorm<double>;

}  // namespace fastbp
