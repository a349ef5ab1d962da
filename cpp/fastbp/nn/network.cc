// Building the stack of layers.
#include "fastbp/nn/network.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "fastbp/nn/blas_dense.h"
#include "fastbp/nn/layer_norm.h"

namespace fastbp {

namespace {

using Kind = LayerSpec::Kind;

const std::vector<LayerSpec>& checked(const std::vector<LayerSpec>& layers,
                                      Index n_in) {
  if (n_in < 1) {
    throw std::invalid_argument("n_in must be positive, got " + std::to_string(n_in));
  }
  const bool drops_inputs = !layers.empty() && layers.front().kind == Kind::kDropout;
  const std::size_t first = drops_inputs ? 1 : 0;
  if (layers.size() <= first || layers[first].kind != Kind::kDense ||
      layers.back().kind != Kind::kDense) {
    throw std::invalid_argument(
        "the first and the last layer must be dense; only dropout may be before");
  }
  for (const LayerSpec& spec : layers) {
    if (spec.kind == Kind::kDense && spec.n_out < 1) {
      throw std::invalid_argument("n_out of a dense layer must be positive, got " +
                                  std::to_string(spec.n_out));
    }
    if (spec.kind == Kind::kDropout && !(spec.rate >= 0 && spec.rate < 1)) {
      throw std::invalid_argument("rate of dropout must be in [0, 1), got " +
                                  std::to_string(spec.rate));
    }
  }
  return layers;
}

// What a layer takes of the flat buffers.
template <class T>
std::pair<Index, Index> sizes_of(const LayerSpec& spec, Index n_in) {
  switch (spec.kind) {
    case Kind::kDense:
      return {Dense<T>::n_parameters_of(n_in, spec.n_out), 0};
    case Kind::kLayerNorm:
      return {Norm<T>::n_parameters_of(n_in), 0};
    case Kind::kBatchNorm:
      return {Norm<T>::n_parameters_of(n_in), BatchNorm<T>::n_running_of(n_in)};
    case Kind::kDropout:
      break;
  }
  return {0, 0};
}

// Calls use(spec, n_in, sizes so far) for each layer; returns the sizes of all.
template <class T, class Use>
std::pair<Index, Index> for_specs(const std::vector<LayerSpec>& layers, Index n_in,
                                  const Use& use) {
  std::pair<Index, Index> total{0, 0};
  for (const LayerSpec& spec : layers) {
    use(spec, n_in, total);
    const auto [n_parameters, n_running] = sizes_of<T>(spec, n_in);
    total = {checked_add(total.first, n_parameters),
             checked_add(total.second, n_running)};
    if (spec.kind == Kind::kDense) n_in = spec.n_out;
  }
  return total;
}

template <class T>
OutputActivation<T> activation_of(const LayerSpec& spec) {
  return {spec.activation, static_cast<T>(spec.negative_slope)};
}

}  // namespace

template <class T>
Network<T>::Network(const KernelTable& table, Index n_in,
                    const std::vector<LayerSpec>& layers, const LossSettings& loss,
                    const Blas<T>& blas)
    : table_(table), loss_(loss, checked(layers, n_in).back().n_out), blas_(blas) {
  const auto [n_parameters, n_running] = for_specs<T>(layers, n_in, [](auto&&...) {});
  parameters_ = Buffer<T>(n_parameters);
  running_ = Buffer<T>(n_running);
  for_specs<T>(layers, n_in, [&](const LayerSpec& spec, Index its_n_in, auto offsets) {
    add(spec, its_n_in, {offsets.first, offsets.second});
  });
}

template <class T>
void Network<T>::add(const LayerSpec& spec, Index n_in, const Offsets& at) {
  T* parameters = parameters_.data();
  const OutputActivation<T> activation = activation_of<T>(spec);
  switch (spec.kind) {
    case Kind::kDense:
      return add_dense(spec, n_in, at.parameters);
    case Kind::kLayerNorm:
      return add_norm(std::make_unique<LayerNorm<T>>(kernels(), n_in, activation,
                                                     parameters, at.parameters));
    case Kind::kBatchNorm: {
      auto norm =
          std::make_unique<BatchNorm<T>>(kernels(), n_in, activation, parameters,
                                         at.parameters, running_.data() + at.running);
      batch_norms_.push_back({n_layers(), norm.get()});
      return add_norm(std::move(norm));
    }
    case Kind::kDropout: {
      const Index number = n_layers();
      auto layer =
          std::make_unique<DropoutLayer<T>>(kernels(), n_in, spec.rate, number);
      if (number == 0) {
        input_dropout_ = std::move(layer);
      } else {
        layers_.push_back(std::move(layer));
      }
    }
  }
}

template <class T>
void Network<T>::add_norm(std::unique_ptr<Norm<T>> norm) {
  norms_.push_back(norm.get());
  layers_.push_back(std::move(norm));
}

template <class T>
void Network<T>::add_dense(const LayerSpec& spec, Index n_in, Index offset) {
  const OutputActivation<T> activation = activation_of<T>(spec);
  std::unique_ptr<Dense<T>> layer;
  if (blas_) {
    layer = std::make_unique<BlasDense<T>>(kernels(), n_in, spec.n_out, activation,
                                           blas_, parameters_.data(), offset);
  } else {
    layer = std::make_unique<Dense<T>>(kernels(), n_in, spec.n_out, activation,
                                       layers_.empty(), parameters_.data(), offset);
  }
  layer->set_trained({spec.trains_weights, spec.trains_biases});
  dense_.push_back(layer.get());
  layers_.push_back(std::move(layer));
}

template <class T>
bool Network<T>::refresh(int n_threads, const Poll& poll, bool needs_first_mirror) {
  const std::lock_guard lock(deriving_);
  if (needs_first_mirror && dense(0).keep_mirror()) {
    n_stale_ = std::max<Index>(n_stale_, 1);
  }
  if (n_stale_ == 0) return true;
  std::vector<std::pair<Layer<T>*, Index>> tiles;
  for (Index l = 0; l < n_stale_; ++l) {
    for (Index i = 0; i < layer(l).n_tiles(false); ++i)
      tiles.emplace_back(&layer(l), i);
  }
  // Less work than waking a thread is worth.
  constexpr Index kSmall = 1 << 18;
  if (parameters_.size() < kSmall) n_threads = 1;
  const auto n_tiles = static_cast<Index>(tiles.size());
  const bool finished = run_tasks(n_tiles, n_threads, poll, [&](Index i) {
    const auto& [stale, tile] = tiles[static_cast<std::size_t>(i)];
    stale->refresh(tile);
  });
  if (finished) n_stale_ = 0;
  return finished;
}

template <class T>
bool Network<T>::is_finite() const {
  constexpr Index kLanes = 16;  // sums that do not wait for each other
  T zeros[kLanes] = {};  // x - x is NaN for infinite and NaN x, and so is a sum with it
  for (const Buffer<T>* buffer : {&parameters_, &running_}) {
    const T* x = buffer->data();
    const Index n = buffer->size(), n_whole = n - n % kLanes;
    for (Index i = 0; i < n_whole; i += kLanes) {
      for (Index j = 0; j < kLanes; ++j) zeros[j] += x[i + j] - x[i + j];
    }
    for (Index i = n_whole; i < n; ++i) zeros[0] += x[i] - x[i];
  }
  return std::all_of(zeros, zeros + kLanes, [](T zero) { return zero == 0; });
}

template <class T>
typename Network<T>::Work Network<T>::work() const {
  Work work{0, 0};
  for (const Dense<T>* layer : dense_) {
    work.others +=
        static_cast<double>(layer->n_in()) * static_cast<double>(layer->n_out());
  }
  work.first_layer =
      static_cast<double>(n_in()) * static_cast<double>(dense(0).n_out());
  work.others -= work.first_layer;
  return work;
}

template class Network<float>;
template class Network<double>;

}  // namespace fastbp
