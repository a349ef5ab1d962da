// Building the stack of layers.
#include "fastbp/nn/network.h"

#include <stdexcept>
#include <utility>

#include "fastbp/nn/blas_dense.h"

namespace fastbp {

namespace {

void check(const std::vector<LayerSpec>& layers, Index n_in) {
  using Kind = LayerSpec::Kind;
  if (n_in < 1) {
    throw std::invalid_argument("n_in must be positive, got " + std::to_string(n_in));
  }
  if (layers.empty() || layers.front().kind != Kind::kDense ||
      layers.back().kind != Kind::kDense) {
    throw std::invalid_argument("the first and the last layer must be dense");
  }
  for (const LayerSpec& spec : layers) {
    if (spec.kind != Kind::kDense || spec.n_out >= 1) continue;
    throw std::invalid_argument("n_out of a dense layer must be positive, got " +
                                std::to_string(spec.n_out));
  }
}

template <class T>
Index n_parameters_of(const std::vector<LayerSpec>& layers, Index n_in) {
  Index total = 0;
  for (const LayerSpec& spec : layers) {
    total = checked_add(total, Dense<T>::n_parameters_of(n_in, spec.n_out));
    n_in = spec.n_out;
  }
  return total;
}

}  // namespace

template <class T>
Network<T>::Network(const KernelTable& table, Index n_in,
                    const std::vector<LayerSpec>& layers, const LossSettings& loss,
                    const Blas<T>& blas)
    : table_(table), loss_(loss), blas_(blas) {
  check(layers, n_in);
  check(loss, layers.back().n_out);
  levels_ = Buffer<T>(round_up(static_cast<Index>(loss.levels.size()), kPanel<T>));
  for (std::size_t i = 0; i < loss.levels.size(); ++i) {
    levels_[static_cast<Index>(i)] = static_cast<T>(loss.levels[i]);
  }
  parameters_ = Buffer<T>(n_parameters_of<T>(layers, n_in));
  Index offset = 0;
  for (const LayerSpec& spec : layers) {
    add_dense(spec, n_in, offset);
    offset += layers_.back()->n_parameters();
    n_in = layers_.back()->n_out();
  }
}

template <class T>
void Network<T>::add_dense(const LayerSpec& spec, Index n_in, Index offset) {
  const OutputActivation<T> activation{spec.activation,
                                       static_cast<T>(spec.negative_slope)};
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
bool Network<T>::refresh(int n_threads, const Poll& poll) {
  if (!is_stale_) return true;
  std::vector<std::pair<Layer<T>*, Index>> tiles;
  for (auto& layer : layers_) {
    for (Index i = 0; i < layer->n_tiles(false); ++i)
      tiles.emplace_back(layer.get(), i);
  }
  // Less work than waking a thread is worth.
  constexpr Index kSmall = 1 << 18;
  if (parameters_.size() < kSmall) n_threads = 1;
  const auto n_tiles = static_cast<Index>(tiles.size());
  const bool finished = run_tasks(n_tiles, n_threads, poll, [&](Index i) {
    const auto& [layer, tile] = tiles[static_cast<std::size_t>(i)];
    layer->refresh(tile);
  });
  is_stale_ = !finished;
  return finished;
}

template <class T>
bool Network<T>::is_finite() const {
  T zero = 0;  // x - x is NaN for infinite and NaN x, and so is a sum with it
  for (Index i = 0; i < parameters_.size(); ++i)
    zero += parameters_[i] - parameters_[i];
  return zero == 0;
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
