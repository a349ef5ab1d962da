// An epoch of optimizer steps.
#include "fastbp/train/trainer.h"

#include <algorithm>
#include <cmath>

namespace fastbp {
namespace {

// The parameter phases of the steps of a pass, and what they leave for the loss.
template <class T>
class Steps {
 public:
  Steps(const Pass<T>& pass, const RuleSettings& settings, const FlatState<T>& state,
        Index n_parameters)
      : clip_norm_(settings.clip_norm),
        max_norm_(settings.max_norm),
        needs_norm_(settings.measures_norm || settings.clip_norm < kNoLimit),
        state_(state),
        sums_(needs_norm_ ? pass.n_panels() : pass.n_tiles()) {
    if (!needs_norm_) return;
    gradient_ = Buffer<T>(n_parameters);
    squares_ = Buffer<double>(pass.n_panels());
  }

  // By every member of the team. Most steps are a single phase.
  template <class Step>
  bool make(const Step& step, Update<T> update) {
    if (!needs_norm_) return step_by_tiles(step, update) && limit_norms(step);
    if (!store_gradient(step) || !store_squares(step, update)) return false;
    if (clip_norm_ < kNoLimit) update.scale *= clip_factor(step.facts.weight);
    return step_by_panels(step, update);
  }

  PenaltySums sums() const {
    PenaltySums all;
    for (Index i = 0; i < sums_.size(); ++i) all.add(sums_[i]);
    return all;
  }

  // Every member adds all squares, which is the same sum for any number of members.
  double gradient_norm(double weight) const {
    double squares = 0;
    for (Index i = 0; i < squares_.size(); ++i) squares += squares_[i];
    return std::sqrt(squares) / weight;
  }

 private:
  bool limits() const { return max_norm_ < kNoLimit; }

  template <class Step>
  bool step_by_tiles(const Step& step, const Update<T>& update) {
    return step.for_each_tile(
        [&](Index i, Layer<T>& layer, Index tile, const Trace<T>& batch) {
          sums_[i] = layer.update(tile, batch, update, state_);
        });
  }

  template <class Step>
  bool limit_norms(const Step& step) {
    if (!limits()) return true;
    return step.for_each_panel([&](Index, Layer<T>& layer, Index panel) {
      layer.limit_norms(panel, static_cast<T>(max_norm_));
    });
  }

  // Where the norm is wanted, a step is made when all of the gradient is known:
  // gradient, norm, step.

  template <class Step>
  bool store_gradient(const Step& step) {
    return step.for_each_tile(
        [&](Index, const Layer<T>& layer, Index tile, const Trace<T>& batch) {
          layer.gradient(tile, batch, gradient_.data(), false);
        });
  }

  template <class Step>
  bool store_squares(const Step& step, const Update<T>& update) {
    return step.for_each_panel([&](Index i, const Layer<T>& layer, Index panel) {
      squares_[i] = layer.gradient_squares(panel, gradient_.data(), update);
    });
  }

  T clip_factor(double weight) const {
    const double norm = gradient_norm(weight);
    // NaN if a square overflows: divergence is to be seen.
    return norm > clip_norm_ ? static_cast<T>(clip_norm_ / norm + (norm - norm)) : 1;
  }

  template <class Step>
  bool step_by_panels(const Step& step, const Update<T>& update) {
    return step.for_each_panel([&](Index i, Layer<T>& layer, Index panel) {
      sums_[i] = layer.step(panel, gradient_.data(), update, state_);
      if (limits()) layer.limit_norms(panel, static_cast<T>(max_norm_));
    });
  }

  double clip_norm_, max_norm_;
  bool needs_norm_;
  FlatState<T> state_;
  Buffer<PenaltySums> sums_;  // of each tile, or of each panel
  Buffer<T> gradient_;
  Buffer<double> squares_;  // of the gradient of each panel
};

// The penalties' part of a batch's loss.
double penalty_loss(double penalty, double l1, const PenaltySums& sums, double weight) {
  const double l2_part = penalty > 0 ? 0.5 * penalty * sums.squares / weight : 0;
  return l2_part + (l1 > 0 ? l1 * sums.magnitudes / weight : 0);
}

}  // namespace

template <class T>
Trainer<T>::Trainer(Network<T>& network, const RuleSettings& settings,
                    std::uint64_t seed)
    : network_(network), settings_(settings), seed_(seed) {
  for (int i = 0; i < n_moments(settings.rule); ++i) {
    state_.moments[i] = Buffer<T>(network.parameters().size());
  }
  if (settings.ema > 0) state_.average = Buffer<T>(network.parameters().size());
}

// A phase of its own: what a step has left, norms limited, in pieces of the flat
// buffer.
template <class T>
template <class Step>
bool Trainer<T>::update_average(const Step& step, Index t) {
  if (!(settings_.ema > 0)) return true;
  constexpr Index kPiece = 256 * kPanel<T>;  // 16 kB
  const auto rate =
      static_cast<T>(average_rate(settings_.ema, t - state_.average_start));
  const Index size = state_.average.size();
  return step.for_each(ceil_div(size, kPiece), [&](Index i) {
    network_.kernels().average(std::min(kPiece, size - i * kPiece), rate,
                               network_.parameters().data() + i * kPiece,
                               state_.average.data() + i * kPiece);
  });
}

template <class T>
double Trainer<T>::run_epoch(const Samples<T>& samples, Index batch_size,
                             const Rates& rates, double penalty, int n_threads,
                             const Poll& poll, bool* finished) {
  Pass<T> pass(network_, samples, batch_size, {seed_, state_.t, true});
  // A rule does not touch the moments that it does not have.
  const auto moment = [&](int i) {
    return i < n_moments(settings_.rule) ? state_.moments[i].data()
                                         : network_.parameters().data();
  };
  Steps<T> steps(pass, settings_, {moment(0), moment(1)}, network_.parameters().size());
  const Index t = state_.t;
  double sum = 0;
  norm_sum_ = 0;
  const auto update = [&](const auto& step) {
    const Index now = t + step.number + 1;
    return steps.make(step, update_for_step<T>(settings_, now, rates[step.batch],
                                               penalty, step.facts.weight)) &&
           update_average(step, now);
  };
  const auto on_batch = [&](const auto& step, double loss_sum) {
    const double loss =
        loss_sum / step.facts.weight +
        penalty_loss(penalty, settings_.l1, steps.sums(), step.facts.weight);
    sum += loss * static_cast<double>(step.n_rows);
    if (settings_.measures_norm) norm_sum_ += steps.gradient_norm(step.facts.weight);
    ++state_.t;
  };
  *finished = pass.run(n_threads, poll, update, on_batch, &pace_);
  return sum;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fastbp
