// The interface of a layer, in the two kinds of task that a training step consists of.
//
// Row tasks take a block of batch rows through the layer; rows do not know of each
// other. Parameter tasks take one tile of the layer's parameters, sum its gradient over
// all rows of the batch and make the optimizer step. Where a norm is limited, a step is
// finished by panels instead, which are all weights of some units. All write only what
// is theirs, so they may run in any order on any thread with the same result.
//
// What a layer has to know of the whole batch before it can go on (batch normalization)
// is a third kind, see BatchNorm.
//
// A layer does not own its parameters: they lie in the network's flat buffer, from
// `offset`, and so does every optimizer moment and gradient in a buffer of the same
// shape.
#pragma once

#include <cstdint>

#include "fastbp/base/matrix_view.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp {

// What enters a layer: rows of numbers, or (first layer only) sparse rows.
template <class T>
struct Input {
  MatrixView<const T> dense;
  SparseRows<T> sparse{nullptr, nullptr, nullptr};

  bool is_sparse() const { return sparse.first != nullptr; }
};

// The activation at a layer's output, whose derivative the layer above applies when it
// passes the gradient down, while the numbers are in registers.
template <class T>
struct OutputActivation {
  Activation kind = Activation::kIdentity;
  T slope = 0;

  bool stores_derivative() const { return fastbp::stores_derivative(kind); }
};

// Flat buffers of the network's size.
template <class T>
struct FlatState {
  T* moment_1 = nullptr;
  T* moment_2 = nullptr;
};

// What all tasks of a training step know of it.
struct StepFacts {
  std::uint64_t seed = 0;  // of dropout: random numbers are those of seed and step
  Index number = 0;
  double weight = 0;  // sum of the rows' weights, and that of their squares
  double squared_weights = 0;
  // False: layers do as in a prediction, but remember what the way back needs.
  bool is_training = true;
};

// What a layer remembers of the forward pass of a block of rows, for the way back and
// for the parameter tasks, and what else is known of the step. Nothing of it is there
// in prediction.
template <class T>
struct Memory {
  MatrixView<T> rows;          // (rows, n_memory())
  MatrixView<T> columns;       // (n_column_memory(), n_out), of the whole batch
  const T* weights = nullptr;  // of the rows
  const StepFacts* step = nullptr;
  Index first_row = 0;  // in the batch

  bool is_kept() const { return step != nullptr; }
  bool is_training() const { return is_kept() && step->is_training; }
};

// What has passed through a layer in training: some rows of the batch, or all.
template <class T>
struct Trace {
  Input<T> x;
  Memory<T> memory;
  MatrixView<const T> dz;  // the gradient with respect to the pre-activations
};

// The activation below a layer, and what its derivative is taken from: the output, or
// what was stored of it.
template <class T>
struct Below {
  OutputActivation<T> activation;
  MatrixView<const T> x;
};

// dx, the gradient of x, becomes that of the pre-activations below.
template <class T>
void chain(const Kernels<T>& kernels, const Below<T>& below, MatrixView<T> dx) {
  const auto& [activation, x] = below;
  if (activation.kind == Activation::kIdentity) return;
  kernels.chain({dx.rows, 0, ceil_div(dx.cols, kPanel<T>), nullptr, 0, nullptr, 0,
                 activation.kind, activation.slope, x.data, x.stride, dx.data,
                 dx.stride});
}

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Index n_in() const = 0;
  virtual Index n_out() const = 0;
  virtual OutputActivation<T> output_activation() const = 0;

  // Numbers that a row leaves in Memory::rows, and a column in Memory::columns. An
  // activation that stores its derivative has it in the first n_out of a row.
  virtual Index n_memory() const {
    return output_activation().stores_derivative() ? n_out() : 0;
  }
  virtual Index n_column_memory() const { return 0; }

  // Whether a prediction passes the layer by.
  virtual bool is_only_for_training() const { return false; }

  // y (rows, n_out) from x (rows, n_in), and what is to be remembered.
  virtual void forward(const Input<T>& x, MatrixView<T> y,
                       const Memory<T>& memory) const = 0;

  // z (rows, n_out), what the activation was applied to.
  virtual void pre_activations(const Input<T>& x, MatrixView<T> z,
                               const Memory<T>& memory) const = 0;

  // The gradient with respect to the pre-activations of the layer below: dx (rows,
  // n_in) = (gradient of the input x) * derivative of `below`.
  virtual void backward(const Trace<T>& trace, const Below<T>& below,
                        MatrixView<T> dx) const = 0;

  // Of what follows, a layer without parameters has nothing.
  virtual Index n_tiles(bool /*sparse_input*/) const { return 0; }

  // The step on one tile, for the whole batch. Only weights of products know penalties
  // and decay; biases and gains do not.
  virtual PenaltySums update(Index /*tile*/, const Trace<T>& /*batch*/,
                             const Update<T>& /*rule*/, const FlatState<T>& /*state*/) {
    return {};
  }

  // The summed gradient of one tile, stored in (or added to) the flat buffer
  // `gradient`.
  virtual void gradient(Index /*tile*/, const Trace<T>& /*batch*/, T* /*gradient*/,
                        bool /*add*/) const {}

  // The same in two: from the flat `gradient` of all tiles, the sum of squares of a
  // panel's gradient as the step adds penalties to it, biases included, but before it
  // is scaled; and the step on the panel.
  virtual Index n_panels() const { return 0; }
  virtual double gradient_squares(Index /*panel*/, const T* /*gradient*/,
                                  const Update<T>& /*rule*/) const {
    return 0;
  }
  virtual PenaltySums step(Index /*panel*/, const T* /*gradient*/,
                           const Update<T>& /*rule*/, const FlatState<T>& /*state*/) {
    return {};
  }

  // Scales the weights that enter a unit of the panel to the norm max_norm where it is
  // larger.
  virtual void limit_norms(Index /*panel*/, T /*max_norm*/) {}

  // Makes anew what the layer derives from a tile of its parameters (tiles of dense
  // input), after they have been written from outside.
  virtual void refresh(Index /*tile*/) {}
};

}  // namespace fastbp
