// Batch: the memory of one batch on its way through a network: its rows, what each
// layer makes of them, the gradients coming back, targets, weights and losses.
// Allocated once, before the parallel region; reused by every step.
#pragma once

#include <vector>

#include "fastbp/nn/network.h"
#include "fastbp/train/rows.h"

namespace fastbp {

// What the network shall give: class indices for the softmax cross-entropy, else
// numbers.
template <class T>
struct Targets {
  const Index* labels = nullptr;  // (n_rows)
  MatrixView<const T> values;     // (n_rows, n_outputs)
};

// A matrix of its own, with the stride that the kernels want.
template <class T>
struct Matrix {
  Buffer<T> buffer;
  MatrixView<T> view;
  Matrix() = default;
  Matrix(Index rows, Index cols)
      : buffer(checked_mul(rows, padded_stride<T>(cols))),
        view{buffer.data(), rows, cols, padded_stride<T>(cols)} {}
};

template <class T>
class Batch {
 public:
  // Room for n_rows rows with n_entries non-zeros in all; kDense when X is dense.
  static constexpr Index kDense = -1;
  Batch(const Network<T>& network, Index n_rows, Index n_entries, bool for_training);

  // Row i of the batch becomes row `row` of X; its non-zeros start at `start`.
  void gather(const Rows& x, Index row, Index i, Index start);
  void gather_target(const Targets<T>& targets, const double* weights, Index row,
                     Index i);

  // Rows first .. first + n of the batch, through all layers and back.
  void forward(const Network<T>& network, Index first, Index n);
  void loss(const Network<T>& network, Index first, Index n, T* losses);
  // From the gradient at the outputs, which gradient() of the last layer then holds.
  void output_backward(const Network<T>& network, Index first, Index n);
  void backward(const Network<T>& network, Index first, Index n);

  // Whole-batch views for the parameter tasks of layer l.
  Input<T> input(Index layer, Index n_rows) const { return input(layer, 0, n_rows); }
  // Views of some rows.
  Input<T> input(Index layer, Index first, Index n) const;
  MatrixView<T> output(Index layer, Index first, Index n) const {
    return outputs_[static_cast<std::size_t>(layer)].view.block(first, n);
  }
  MatrixView<T> gradient(Index layer, Index first, Index n) const {
    return gradients_[static_cast<std::size_t>(layer)].view.block(first, n);
  }

 private:
  MatrixView<T> derivative(Index layer, Index first, Index n) const {
    return derivatives_[static_cast<std::size_t>(layer)].view.block(first, n);
  }

  bool is_sparse_;
  Matrix<T> x_;
  Buffer<Entry<T>> entries_;
  Buffer<Index> first_entry_;  // of each row
  Buffer<Index> last_entry_;
  std::vector<Matrix<T>> outputs_;      // of each layer
  std::vector<Matrix<T>> derivatives_;  // of activations that store them, in training;
                                        // of other layers without memory
  std::vector<Matrix<T>> gradients_;    // with respect to each layer's pre-activations
  Matrix<T> values_;
  Buffer<Index> labels_;
  Buffer<T> weights_;
};

extern template class Batch<float>;
extern template class Batch<double>;

}  // namespace fastbp
