// Network: a stack of layers, the flat buffer of their parameters, and the loss at the
// end.
#pragma once

#include <memory>
#include <vector>

#include "fastbp/base/buffer.h"
#include "fastbp/base/team.h"
#include "fastbp/kernels/blas.h"
#include "fastbp/kernels/dispatch.h"
#include "fastbp/nn/dense.h"
#include "fastbp/nn/loss.h"

namespace fastbp {

template <class T>
class Network {
 public:
  // n_units: inputs, then units of each layer. activations: one for each hidden layer;
  // the output layer gives pre-activations, to which the loss has its own output
  // activation. Without a BLAS the built-in kernels make the products.
  Network(const KernelTable& table, const std::vector<Index>& n_units,
          const std::vector<Activation>& activations, double negative_slope,
          const LossSettings& loss, const Blas<T>& blas = {});
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Index n_in() const { return layers_.front()->n_in(); }
  Index n_out() const { return layers_.back()->n_out(); }
  Index n_layers() const { return static_cast<Index>(layers_.size()); }
  Dense<T>& layer(Index i) { return *layers_[static_cast<std::size_t>(i)]; }
  const Dense<T>& layer(Index i) const { return *layers_[static_cast<std::size_t>(i)]; }
  const LossSettings& loss() const { return loss_; }
  const T* levels() const {
    return levels_.data();
  }  // of a quantile loss, whole panels
  const char* isa() const { return table_.isa; }
  bool uses_blas() const { return static_cast<bool>(blas_); }
  const Kernels<T>& kernels() const { return fastbp::kernels<T>(table_); }

  Buffer<T>& parameters() { return parameters_; }
  const Buffer<T>& parameters() const { return parameters_; }
  // To be called after `parameters` have been written. What layers derive from them is
  // made anew by the next refresh(), which training calls and prediction does not need;
  // false if poll stopped it.
  void parameters_written() { is_stale_ = true; }
  bool refresh(int n_threads, const Poll& poll);
  // Has the first layer keep its mirror: the gradient at the inputs needs it, training
  // does not.
  void keep_first_mirror() { is_stale_ |= layer(0).keep_mirror(); }

  bool is_finite() const;  // all parameters

  // Multiply-adds of one row's forward pass, of which `first_layer` in the first.
  struct Work {
    double first_layer, others;
  };
  Work work() const;

 private:
  const KernelTable& table_;
  LossSettings loss_;
  Buffer<T> levels_;
  Blas<T> blas_;
  Buffer<T> parameters_;
  bool is_stale_ = false;
  std::vector<std::unique_ptr<Dense<T>>> layers_;
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace fastbp
