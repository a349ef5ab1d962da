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

// What a layer shall be.
struct LayerSpec {
  enum class Kind { kDense, kLayerNorm, kBatchNorm, kDropout };

  Kind kind = Kind::kDense;
  Index n_out = 0;  // of a dense layer; the others give as many numbers as they take
  Activation activation = Activation::kIdentity;     // not of dropout
  double negative_slope = 0.01;                      // of leaky relu
  double rate = 0;                                   // of dropout
  bool trains_weights = true, trains_biases = true;  // of a dense layer
};

template <class T>
class Network {
 public:
  // The first layer and the last are dense. The loss has its own output activation for
  // the pre-activations of the last; if that has one too, the loss comes after both.
  // Without a BLAS the built-in kernels make the products.
  Network(const KernelTable& table, Index n_in, const std::vector<LayerSpec>& layers,
          const LossSettings& loss, const Blas<T>& blas = {});
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Index n_in() const { return layers_.front()->n_in(); }
  Index n_out() const { return layers_.back()->n_out(); }
  Index n_layers() const { return static_cast<Index>(layers_.size()); }
  Layer<T>& layer(Index i) { return *layers_[static_cast<std::size_t>(i)]; }
  const Layer<T>& layer(Index i) const { return *layers_[static_cast<std::size_t>(i)]; }
  // The dense ones among them.
  Index n_dense() const { return static_cast<Index>(dense_.size()); }
  Dense<T>& dense(Index i) { return *dense_[static_cast<std::size_t>(i)]; }
  const Dense<T>& dense(Index i) const { return *dense_[static_cast<std::size_t>(i)]; }
  const LossSettings& loss() const { return loss_; }
  // Of a quantile loss, whole panels.
  const T* levels() const { return levels_.data(); }
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
  void keep_first_mirror() { is_stale_ |= dense(0).keep_mirror(); }

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
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<Dense<T>*> dense_;

  void add_dense(const LayerSpec& spec, Index n_in, Index offset);
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace fastbp
