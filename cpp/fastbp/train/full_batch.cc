// Gradient accumulation over chunks.
#include "fastbp/train/full_batch.h"

#include <stdexcept>

namespace fastbp {
namespace {

constexpr Index kChunkRows = 1024;

}  // namespace

template <class T>
double loss_and_gradient(Network<T>& network, const Samples<T>& samples, double penalty,
                         T* gradient, int n_threads, const Poll& poll, bool* finished,
                         std::uint64_t seed) {
  if (!network.batch_norms().empty() && samples.n_rows > kChunkRows) {
    throw std::invalid_argument(
        "with batch normalization, loss and gradient are those of one batch of at "
        "most " +
        std::to_string(kChunkRows) + " rows, got " + std::to_string(samples.n_rows));
  }
  Pass<T> pass(network, samples, kChunkRows, {seed});
  double loss = 0, weight = 0;
  *finished = pass.run(
      n_threads, poll,
      [&](const auto& step) {
        return step.for_each_tile(
            [&](Index, const Layer<T>& layer, Index tile, const Trace<T>& batch) {
              layer.gradient(tile, batch, gradient, true);
            });
      },
      [&](const auto& step, double loss_sum) {
        loss += loss_sum;
        weight += step.facts.weight;
      });
  double squares = 0;
  for (Index l = 0; l < network.n_dense(); ++l) {
    const Dense<T>& layer = network.dense(l);
    const T* w = network.parameters().data();
    for (Index i = layer.weights_offset(); i < layer.bias_offset(); ++i) {
      squares += static_cast<double>(w[i]) * static_cast<double>(w[i]);
      gradient[i] += static_cast<T>(penalty) * w[i];
    }
  }
  const T scale = static_cast<T>(1 / weight);
  for (Index i = 0; i < network.parameters().size(); ++i) gradient[i] *= scale;
  return (loss + 0.5 * penalty * squares) / weight;
}

template double loss_and_gradient(Network<float>&, const Samples<float>&, double,
                                  float*, int, const Poll&, bool*, std::uint64_t);
template double loss_and_gradient(Network<double>&, const Samples<double>&, double,
                                  double*, int, const Poll&, bool*, std::uint64_t);

}  // namespace fastbp
