// Building the stack of layers.
#include "fastbp/nn/network.h"

#include <stdexcept>
#include <utility>

#include "fastbp/nn/blas_dense.h"

namespace fastbp {

template <class T>
Network<T>::Network(const KernelTable& table, const std::vector<Index>& n_units,
                    const std::vector<Activation>& activations, double negative_slope,
                    const LossSettings& loss, const Blas<T>& blas)
    : table_(table), loss_(loss), blas_(blas) {
  if (n_units.size() < 2) {
    throw std::invalid_argument(
        "n_units needs the inputs and at least one layer, got " +
        std::to_string(n_units.size()) + " numbers");
  }
  if (activations.size() + 2 != n_units.size()) {
    throw std::invalid_argument("expected " + std::to_string(n_units.size() - 2) +
                                " activations (one for each hidden layer), got " +
                                std::to_string(activations.size()));
  }
  Index total = 0;
  for (std::size_t i = 0; i < n_units.size(); ++i) {
    if (n_units[i] < 1) {
      throw std::invalid_argument("n_units must be positive, got " +
                                  std::to_string(n_units[i]));
    }
    if (i > 0) {
      total = checked_add(total, Dense<T>::n_parameters_of(n_units[i - 1], n_units[i]));
    }
  }
  check(loss, n_units.back());
  levels_ = Buffer<T>(round_up(static_cast<Index>(loss.levels.size()), kPanel<T>));
  for (std::size_t i = 0; i < loss.levels.size(); ++i) {
    levels_[static_cast<Index>(i)] = static_cast<T>(loss.levels[i]);
  }
  parameters_ = Buffer<T>(total);
  Index offset = 0;
  for (std::size_t i = 1; i < n_units.size(); ++i) {
    OutputActivation<T> activation;
    if (i - 1 < activations.size()) {
      activation = {activations[i - 1], static_cast<T>(negative_slope)};
    }
    if (blas) {
      layers_.push_back(std::make_unique<BlasDense<T>>(kernels(), n_units[i - 1],
                                                       n_units[i], activation, blas,
                                                       parameters_.data(), offset));
    } else {
      layers_.push_back(std::make_unique<Dense<T>>(kernels(), n_units[i - 1],
                                                   n_units[i], activation, i == 1,
                                                   parameters_.data(), offset));
    }
    offset += layers_.back()->n_parameters();
  }
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
  for (const auto& layer : layers_) {
    work.others +=
        static_cast<double>(layer->n_in()) * static_cast<double>(layer->n_out());
  }
  work.first_layer =
      static_cast<double>(n_in()) * static_cast<double>(layer(0).n_out());
  work.others -= work.first_layer;
  return work;
}

template class Network<float>;
template class Network<double>;

}  // namespace fastbp
