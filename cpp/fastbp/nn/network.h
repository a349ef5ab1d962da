// Network: a stack of layers, the flat buffer of their parameters, and the loss at the
// end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fastbp/base/buffer.h"
#include "fastbp/base/team.h"
#include "fastbp/kernels/blas.h"
#include "fastbp/kernels/dispatch.h"
#include "fastbp/nn/batch_norm.h"
#include "fastbp/nn/dense.h"
#include "fastbp/nn/dropout.h"
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
  // The first layer and the last are dense, but dropout of the inputs may come before
  // them: it is no layer of its own, the batch does it in place. The loss has its own
  // output activation for the pre-activations of the last; if that has one too, the
  // loss comes after both. Without a BLAS the built-in kernels make the products.
  Network(const KernelTable& table, Index n_in, const std::vector<LayerSpec>& layers,
          const LossSettings& loss, const Blas<T>& blas = {});
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Index n_in() const { return layers_.front()->n_in(); }
  Index n_out() const { return layers_.back()->n_out(); }
  Index n_layers() const { return static_cast<Index>(layers_.size()); }
  Layer<T>& layer(Index i) { return *layers_[static_cast<std::size_t>(i)]; }
  const Layer<T>& layer(Index i) const { return *layers_[static_cast<std::size_t>(i)]; }
  const DropoutLayer<T>* input_dropout() const { return input_dropout_.get(); }
  // The dense ones among the layers.
  Index n_dense() const { return static_cast<Index>(dense_.size()); }
  Dense<T>& dense(Index i) { return *dense_[static_cast<std::size_t>(i)]; }
  const Dense<T>& dense(Index i) const { return *dense_[static_cast<std::size_t>(i)]; }
  // Those of layer and batch normalization, and the places of the latter among all.
  Index n_norms() const { return static_cast<Index>(norms_.size()); }
  Norm<T>& norm(Index i) { return *norms_[static_cast<std::size_t>(i)]; }
  const Norm<T>& norm(Index i) const { return *norms_[static_cast<std::size_t>(i)]; }
  struct BatchNormPlace {
    Index layer;
    const BatchNorm<T>* norm;
  };
  const std::vector<BatchNormPlace>& batch_norms() const { return batch_norms_; }
  const LossOf<T>& loss() const { return loss_; }
  const char* isa() const { return table_.isa; }
  bool uses_blas() const { return static_cast<bool>(blas_); }
  const Kernels<T>& kernels() const { return fastbp::kernels<T>(table_); }

  Buffer<T>& parameters() { return parameters_; }
  const Buffer<T>& parameters() const { return parameters_; }
  // Runs write(), which tells whether it has changed parameters or running averages,
  // and returns that. What layers derive from them is made anew by the next refresh(),
  // which gradients need and predictions do not; false if poll stopped it. The first
  // layer's mirror is for the gradient at the inputs only and kept from the first call
  // that needs it.
  //
  // Threads may call both at once, but not while one trains.
  template <class Write>
  bool change(const Write& write) {
    const std::lock_guard lock(deriving_);
    if (!write()) return false;
    n_stale_ = n_layers();
    ++version_;
    return true;
  }
  bool refresh(int n_threads, const Poll& poll, bool needs_first_mirror = false);

  // Running averages of batch normalization: what training changes besides parameters.
  Buffer<T>& running() { return running_; }
  const Buffer<T>& running() const { return running_; }

  bool is_finite() const;                             // all parameters and averages
  std::uint64_t version() const { return version_; }  // how often change() did

  // Multiply-adds of one row's forward pass, of which `first_layer` in the first.
  struct Work {
    double first_layer, others;
  };
  Work work() const;

 private:
  const KernelTable& table_;
  LossOf<T> loss_;
  Blas<T> blas_;
  Buffer<T> parameters_;
  std::mutex deriving_;
  std::atomic<std::uint64_t> version_ = 0;
  Index n_stale_ = 0;  // layers, from the first
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  std::vector<Dense<T>*> dense_;
  std::vector<Norm<T>*> norms_;
  std::vector<BatchNormPlace> batch_norms_;
  Buffer<T> running_;
  std::unique_ptr<DropoutLayer<T>> input_dropout_;

  // Places in the flat buffers.
  struct Offsets {
    Index parameters = 0, running = 0;
  };
  void add(const LayerSpec& spec, Index n_in, const Offsets& at);
  void add_dense(const LayerSpec& spec, Index n_in, Index offset);
  void add_norm(std::unique_ptr<Norm<T>> norm);
};

extern template class Network<float>;
extern template class Network<double>;

}  // namespace fastbp
