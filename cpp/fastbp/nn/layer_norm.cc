// Which kernel each task of layer normalization calls.
#include "fastbp/nn/layer_norm.h"

namespace fastbp {

template <class T>
Normalized<T> LayerNorm<T>::normalized(MatrixView<const T> x,
                                       const Memory<T>& memory) const {
  return {x.rows,
          this->n_in(),
          x.data,
          x.stride,
          memory.rows.data + first_statistic(),
          memory.rows.stride};
}

template <class T>
void LayerNorm<T>::forward(const Input<T>& x, MatrixView<T> y,
                           const Memory<T>& memory) const {
  if (memory.is_kept()) {
    const Normalized<T> normal = normalized(x.dense, memory);
    return this->kernels_.layer_norm(this->forward_block(normal, y, memory));
  }
  T forgotten[2];  // the statistics of one row after the other
  this->kernels_.layer_norm(this->forward_block(
      {y.rows, this->n_in(), x.dense.data, x.dense.stride, forgotten, 0}, y, memory));
}

template <class T>
void LayerNorm<T>::pre_activations(const Input<T>& x, MatrixView<T> z,
                                   const Memory<T>& /*memory*/) const {
  T forgotten[2];
  NormForward<T> f = this->forward_block(
      {z.rows, this->n_in(), x.dense.data, x.dense.stride, forgotten, 0}, z, {});
  f.activation = Activation::kIdentity;
  this->kernels_.layer_norm(f);
}

template <class T>
void LayerNorm<T>::backward(const Trace<T>& trace, const Below<T>& below,
                            MatrixView<T> dx) const {
  this->kernels_.layer_norm_backward(this->backward_block(trace, dx));
  chain(this->kernels_, below, dx);
}

template <class T>
void LayerNorm<T>::sums(Index panel, const Trace<T>& batch, T* dz_sums,
                        T* dzn_sums) const {
  this->kernels_.layer_norm_sums(this->backward_block(batch, {}), panel, dz_sums,
                                 dzn_sums);
}

template class LayerNorm<float>;
template class LayerNorm<double>;

}  // namespace fastbp
