// An epoch of optimizer steps.
#include "fastbp/train/trainer.h"

namespace fastbp {
namespace {

// The penalty's part of a batch's loss: half the penalty times the sum of squared
// weights.
double penalty_loss(double penalty, double squares, double weight) {
  return penalty > 0 ? 0.5 * penalty * squares / weight : 0;
}

}  // namespace

template <class T>
Trainer<T>::Trainer(Network<T>& network, const RuleSettings& settings)
    : network_(network), settings_(settings) {
  for (int i = 0; i < n_moments(settings.rule); ++i) {
    state_.moments[i] = Buffer<T>(network.parameters().size());
  }
}

template <class T>
double Trainer<T>::run_epoch(const Samples<T>& samples, Index batch_size,
                             const Rates& rates, double penalty, int n_threads,
                             const Poll& poll, bool* finished) {
  Pass<T> pass(network_, samples, batch_size);
  // A rule does not touch the moments that it does not have.
  const auto moment = [&](int i) {
    return i < n_moments(settings_.rule) ? state_.moments[i].data()
                                         : network_.parameters().data();
  };
  const FlatState<T> state{moment(0), moment(1)};
  const Index t = state_.t;
  double sum = 0;
  const auto begin = [&](const auto& step) {
    const auto update = update_for_step<T>(settings_, t + step.number + 1,
                                           rates[step.number], penalty, step.weight);
    return [update, &state](Layer<T>& layer, Index tile, const Input<T>& x,
                            MatrixView<const T> dz) {
      return layer.update(tile, x, dz, update, state);
    };
  };
  const auto on_batch = [&](const auto& step, double loss_sum, double squares) {
    const double loss =
        loss_sum / step.weight + penalty_loss(penalty, squares, step.weight);
    sum += loss * static_cast<double>(step.n_rows);
    ++state_.t;
  };
  *finished = pass.run(n_threads, poll, begin, on_batch, &caution_);
  return sum;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fastbp
