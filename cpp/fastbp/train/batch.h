// Batch: the memory of one batch on its way through a network: its rows, what each
// layer makes of them, the gradients coming back, targets, weights and losses.
// Allocated once, before the parallel region; reused by every step.
#pragma once

#include <vector>

#include "fastbp/nn/network.h"
#include "fastbp/train/rows.h"

namespace fastbp {

// Rows that a thread takes through a network at once when nothing is trained: 8 tiles
// of 14 rows, 18 of 6. All that goes through blocks has this one height: a BLAS may
// round differently in blocks of others.
inline constexpr Index kBlockRows = 112;

// What the network shall give: class indices (for softmax outputs), else numbers.
template <class T>
struct Targets {
  const Index* labels = nullptr;  // (n_rows)
  MatrixView<const T> values{};   // (n_rows, n_outputs)
  // Like values, or a view of nothing: all 1. Not for softmax outputs.
  MatrixView<const double> entry_weights{};

  bool weighs_entries() const { return entry_weights.data != nullptr; }
  double mean_weight(Index row) const {
    double sum = 0;
    for (Index j = 0; j < entry_weights.cols; ++j) sum += entry_weights.row(row)[j];
    return sum / static_cast<double>(entry_weights.cols);
  }
};

// Throws std::invalid_argument unless the first n labels, if there are any, are those
// of outputs.
template <class T>
void check_labels(const Network<T>& network, const Targets<T>& targets, Index n);

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

// What a batch has memory for: what comes out, what goes back too, or all that passes a
// layer, where else what only training does is done in place.
enum class BatchUse { kPrediction, kTraining, kTape };

template <class T>
class Batch {
 public:
  // Room for n_rows rows with n_entries non-zeros in all; kDense when X is dense.
  static constexpr Index kDense = -1;
  Batch(const Network<T>& network, Index n_rows, Index n_entries, BatchUse its_use);
  // Room for what is not wanted every day: weights of entries, and the outputs for a
  // loss that is computed elsewhere.
  void reserve_entry_weights();
  void reserve_predictions();

  // Row i of the batch becomes row `row` of X; its non-zeros start at `start`.
  void gather(const Rows& x, Index row, Index i, Index start);
  void gather_target(const LossSettings& loss, const Targets<T>& targets, Index row,
                     Index i);
  // Its weight, of weights or, if they are null, 1; and those of entries.
  void gather_weight(const Targets<T>& targets, const double* weights, Index row,
                     Index i);

  // Rows first .. first + n of the batch in a step: dropout of the inputs, if the
  // network has it and the step is one of training; forward through a layer; a loss
  // with weights of the rows (n), which leaves the gradient of the last layer; and from
  // the gradient of a layer to that of the one below.
  void drop_inputs(const Network<T>& network, const StepFacts& step, Index first,
                   Index n);
  void forward(const Network<T>& network, const StepFacts& step, Index layer,
               Index first, Index n);
  void loss(const Network<T>& network, const LossOf<T>& loss, const T* row_weights,
            Index first, Index n, T* losses);
  void backward(const Network<T>& network, const StepFacts& step, Index layer,
                Index first, Index n);
  // On to the inputs: dx (n, n_in), padded.
  void inputs_backward(const Network<T>& network, const StepFacts& step, Index first,
                       Index n, MatrixView<T> dx) const;

  // What has passed through a layer by then. It refers to `step`.
  Trace<T> trace(const StepFacts& step, Index layer, Index first, Index n) const {
    return {input(layer, first, n), memory(step, layer, first, n),
            gradient(layer, first, n)};
  }

  // The first n rows through a layer, unless predictions pass it by.
  void predict(const Network<T>& network, Index layer, Index n);

  // If the loss is computed elsewhere: after forward(), the outputs of rows are made.
  // What is then written in their place is the gradient with respect to them, of which
  // loss(), the linear one, makes that with respect to the pre-activations.
  void make_predictions(const Network<T>& network, Index first, Index n);
  MatrixView<T> predictions(Index n) const { return predictions_.view.block(0, n); }
  MatrixView<T> targets(Index n) const { return values_.view.block(0, n); }
  const T* weights() const { return weights_.data(); }

  // Views of some rows.
  Input<T> input(Index layer, Index first, Index n) const;
  MatrixView<T> output(Index layer, Index first, Index n) const {
    return outputs_[static_cast<std::size_t>(layer)].view.block(first, n);
  }
  MatrixView<T> gradient(Index layer, Index first, Index n) const {
    return gradients_[static_cast<std::size_t>(layer)].view.block(first, n);
  }

 private:
  void gather_values(const LossSettings& loss, const Targets<T>& targets, Index row,
                     Index i);
  Memory<T> memory(const StepFacts& step, Index layer, Index first, Index n) const {
    const auto l = static_cast<std::size_t>(layer);
    Memory<T> memory;
    if (row_memories_[l].view.rows > 0) {
      memory.rows = row_memories_[l].view.block(first, n);
    }
    memory.columns = column_memories_[l].view;
    const Buffer<T>& weights = mean_weights_.size() > 0 ? mean_weights_ : weights_;
    memory.weights = weights.data() + first;
    memory.step = &step;
    memory.first_row = first;
    return memory;
  }
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
  Matrix<T> entry_weights_;
  Matrix<T> predictions_;
  Buffer<Index> labels_;
  Buffer<T> weights_;       // of the rows,
  Buffer<T> mean_weights_;  // times the mean of those of entries, if there are any
};

extern template class Batch<float>;
extern template class Batch<double>;

}  // namespace fastbp
