// Tape: all that a network makes of some rows, kept, so that it can be looked at and
// any gradient at the outputs sent back through it: to the parameters (lecture 004, BP1
// to BP4) and to the inputs (lecture 001, error signal to the input layer). Training
// goes by batches and keeps none (see Pass); this is for whoever wants to see.
//
// Layers do as in a prediction, or as in a training step on all these rows.
#pragma once

#include <utility>
#include <vector>

#include "fastbp/train/phases.h"

namespace fastbp {

template <class T>
class Tape {
 public:
  // Reserves all memory for the rows; throws if the network has not as many inputs.
  Tape(Network<T>& network, const Rows& x);

  // Whether these rows have room too: they are dense, as many and as wide.
  bool has_room(const Rows& x) const;
  // Whether parameters are those of the last forward pass.
  bool is_current() const { return version_ == network_.version(); }

  // All of these return false if poll stopped them.

  // How layers do; in training dropout is that of the seed.
  struct Mode {
    bool is_training = false;
    std::uint64_t seed = 0;
  };
  // The rows that the tape was made for, or others that have room, through all layers.
  // Their weights, (n_rows) or null for 1, are for batch normalization in training.
  bool forward(const Rows& x, const double* weights, const Mode& mode, int n_threads,
               const Poll& poll);

  // From a loss, which need not be the network's: that of each row, (n_rows), with its
  // weight (n_rows; null: 1), and the gradients of their sum: that of the parameters,
  // if wanted, in gradient(), and dx (n_rows, n_in), unless null. The linear loss sends
  // any gradient at the outputs back. The tape must be current. Throws if a label is
  // not that of an output.
  bool backward(const LossOf<T>& loss, const Targets<T>& targets, const double* weights,
                T* losses, bool wants_gradient, T* dx, int n_threads, const Poll& poll);
  // With the shape of the flat parameters. The first call reserves memory for it, and
  // is to come before the first backward() that wants it.
  Buffer<T>& gradient();

  // x (n_rows, n_in) as the first layer has it: after dropout of the inputs.
  void inputs(T* x) const;
  // (n_rows, n_out), of the last layer through the output of the network's loss.
  bool outputs(T* p, int n_threads, const Poll& poll) const;
  // z (n_rows, n_out of the layer), what its activation was applied to.
  bool pre_activations(Index layer, T* z, int n_threads, const Poll& poll) const;

  Index n_rows() const { return n_rows_; }
  MatrixView<const T> output(Index layer) const {
    return batch_.output(layer, 0, n_rows_);
  }

 private:
  Network<T>& network_;
  Index n_rows_;
  std::uint64_t version_ = 0;  // of the network
  StepFacts facts_;
  Buffer<Index> first_entry_;  // of each row, if x is sparse
  Batch<T> batch_;
  std::vector<std::pair<Index, Index>> tiles_;  // layer and number in it
  Buffer<T> gradient_;
};

extern template class Tape<float>;
extern template class Tape<double>;

}  // namespace fastbp
