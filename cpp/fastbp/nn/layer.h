// The interface of a layer, in the two kinds of task that a training step consists of.
//
// Row tasks take a block of batch rows through the layer; rows do not know of each
// other. Parameter tasks take one tile of the layer's parameters, sum its gradient over
// all rows of the batch and make the optimizer step. Where a norm is limited, a step is
// finished by panels instead, which are all weights of some units. All write only what
// is theirs, so they may run in any order on any thread with the same result.
//
// A layer does not own its parameters: they lie in the network's flat buffer, from
// `offset`, and so does every optimizer moment and gradient in a buffer of the same
// shape.
#pragma once

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

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Index n_in() const = 0;
  virtual Index n_out() const = 0;
  virtual Index n_parameters() const = 0;  // in the flat buffer, padding included
  virtual OutputActivation<T> output_activation() const = 0;

  // y (rows, n_out) from x (rows, n_in), and the derivative of an activation that
  // stores it, like y, unless `derivative` is a view of nothing.
  virtual void forward(const Input<T>& x, MatrixView<T> y,
                       MatrixView<T> derivative) const = 0;

  // z (rows, n_out), what the activation is applied to.
  virtual void pre_activations(const Input<T>& x, MatrixView<T> z) const = 0;

  // From dz (rows, n_out), the gradient with respect to this layer's pre-activations,
  // that of the layer below: dx (rows, n_in) = (gradient of the input x) * derivative
  // of `below` at x. If `below` stores its derivative, x is what it has stored.
  virtual void backward(MatrixView<const T> dz, MatrixView<const T> x,
                        OutputActivation<T> below, MatrixView<T> dx) const = 0;

  virtual Index n_tiles(bool sparse_input) const = 0;

  // The step on one tile, for the whole batch x, dz. Biases know no penalty and no
  // decay.
  virtual PenaltySums update(Index tile, const Input<T>& x, MatrixView<const T> dz,
                             const Update<T>& rule, const FlatState<T>& state) = 0;

  // The summed gradient of one tile, stored in (or added to) the flat buffer
  // `gradient`.
  virtual void gradient(Index tile, const Input<T>& x, MatrixView<const T> dz,
                        T* gradient, bool add) const = 0;

  // The same in two: from the flat `gradient` of all tiles, the sum of squares of a
  // panel's gradient as the step adds penalties to it, biases included, but before it
  // is scaled; and the step on the panel.
  virtual Index n_panels() const = 0;
  virtual double gradient_squares(Index panel, const T* gradient,
                                  const Update<T>& rule) const = 0;
  virtual PenaltySums step(Index panel, const T* gradient, const Update<T>& rule,
                           const FlatState<T>& state) = 0;

  // Scales the weights that enter a unit of the panel to the norm max_norm where it is
  // larger.
  virtual void limit_norms(Index panel, T max_norm) = 0;

  // Makes anew what the layer derives from a tile of its parameters (tiles of dense
  // input), after they have been written from outside.
  virtual void refresh(Index tile) = 0;
};

}  // namespace fastbp
