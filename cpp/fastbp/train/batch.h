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

// What all tasks of a training step know of it.
struct TrainingStep {
  std::uint64_t seed = 0;  // of dropout
  Index number = 0;
  double weight = 0;  // sum of the rows' weights
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

  // Rows first .. first + n of the batch in a training step: dropout of the inputs, if
  // the network has it; forward through the layers
  // begin .. end - 1; the loss, which leaves the gradient of the last layer; and from
  // the gradient of layer `end` back to that of `begin`.
  void drop_inputs(const Network<T>& network, const TrainingStep& step, Index first,
                   Index n);
  void forward(const Network<T>& network, const TrainingStep& step, Index begin,
               Index end, Index first, Index n);
  void loss(const Network<T>& network, Index first, Index n, T* losses);
  void backward(const Network<T>& network, const TrainingStep& step, Index begin,
                Index end, Index first, Index n);

  // What has passed through a layer by then.
  Trace<T> trace(const TrainingStep& step, Index layer, Index first, Index n) const {
    return {input(layer, first, n), memory(step, layer, first, n),
            gradient(layer, first, n)};
  }

  // The first n rows through all layers that predictions go through.
  void predict(const Network<T>& network, Index n);

  MatrixView<T> output(Index layer, Index first, Index n) const {
    return outputs_[static_cast<std::size_t>(layer)].view.block(first, n);
  }
  MatrixView<T> gradient(Index layer, Index first, Index n) const {
    return gradients_[static_cast<std::size_t>(layer)].view.block(first, n);
  }

 private:
  Input<T> input(Index layer, Index first, Index n) const;
  Memory<T> memory(const TrainingStep& step, Index layer, Index first, Index n) const;
  Below<T> below(const Network<T>& network, Index layer, Index first, Index n) const;

  bool is_sparse_;
  Matrix<T> x_;
  Buffer<Entry<T>> entries_;
  Buffer<Index> first_entry_;  // of each row
  Buffer<Index> last_entry_;
  // Of each layer. What works in place has the memory of the layer below.
  std::vector<Matrix<T>> outputs_;
  // In training: what layers remember (Memory), and the gradients with respect to their
  // pre-activations.
  std::vector<Matrix<T>> row_memories_, column_memories_, gradients_;
  Matrix<T> values_;
  Buffer<Index> labels_;
  Buffer<T> weights_;
};

extern template class Batch<float>;
extern template class Batch<double>;

}  // namespace fastbp
