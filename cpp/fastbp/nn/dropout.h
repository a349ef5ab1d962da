// DropoutLayer: in training every number is 0 with probability `rate`, and the others
// are divided by 1 - rate; a prediction passes the layer by (Srivastava et al.,
// Dropout, JMLR 15, 2014, in the inverted form). Which ones is decided by a
// counter-based generator, so that nothing has to be remembered: the backward pass
// draws the same numbers again, on whatever thread.
//
// The rate is a multiple of 2^-16, the nearest to the one asked for and less than 1;
// its expectation is exact for that one.
#pragma once

#include "fastbp/nn/layer.h"

namespace fastbp {

template <class T>
class DropoutLayer final : public Layer<T> {
 public:
  // `number` tells the dropout layers of a network apart.
  DropoutLayer(const Kernels<T>& kernels, Index n_units, double rate, Index number);

  Index n_in() const override { return n_units_; }
  Index n_out() const override { return n_units_; }
  OutputActivation<T> output_activation() const override { return {}; }
  bool is_only_for_training() const override { return true; }

  void forward(const Input<T>& x, MatrixView<T> y,
               const Memory<T>& memory) const override;
  void pre_activations(const Input<T>& x, MatrixView<T> z,
                       const Memory<T>& memory) const override;
  void backward(const Trace<T>& trace, const Below<T>& below,
                MatrixView<T> dx) const override;
  // Sparse rows, in place; in training only.
  void drop_entries(Entry<T>* entries, const Index* first, const Index* last,
                    Index n_rows, const Memory<T>& memory) const;

 private:
  void drop(MatrixView<const T> x, MatrixView<T> y, const Memory<T>& memory) const;
  Dropout<T> block(MatrixView<const T> x, MatrixView<T> y,
                   const Memory<T>& memory) const;

  const Kernels<T>& kernels_;
  Index n_units_;
  T threshold_;
  Index number_;
};

extern template class DropoutLayer<float>;
extern template class DropoutLayer<double>;

}  // namespace fastbp
