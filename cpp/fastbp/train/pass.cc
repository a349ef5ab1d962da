// Planning a pass, and the row task.
#include "fastbp/train/pass.h"

#include <stdexcept>

namespace fastbp {
namespace {

// Floating-point operations that pay for one more thread at the two barriers of a step.
// On a quiet machine a fourth would do; on a busy one, threads that share steps of a
// few microseconds are slower than one.
constexpr double kWorkPerThread = 0.75e6;
constexpr double kUpdateWork =
    15;  // operations on each parameter in the optimizer step

// Nothing follows the gradient of the first layer.
constexpr auto kLeave = [](Index, Index) {};

template <class T>
const Samples<T>& checked(const Network<T>& network, const Samples<T>& s) {
  const Index n = s.x.n_rows();
  check_columns(s.x, network.n_in());
  for (Index i = 0; i < s.n_rows && s.order != nullptr; ++i) {
    if (s.order[i] < 0 || s.order[i] >= n) {
      throw std::invalid_argument("order[" + std::to_string(i) +
                                  "] = " + std::to_string(s.order[i]) +
                                  " is not a row of X, which has " + std::to_string(n));
    }
  }
  check_labels(network, s.targets, n);
  return s;
}

}  // namespace

template <class T>
int threads_for_step(const Network<T>& network, Index batch_size, double inputs,
                     int n_threads) {
  const auto all = network.work();
  const double n_parameters = all.first_layer + all.others;
  const double first = all.first_layer * inputs / static_cast<double>(network.n_in());
  // Forward and weight gradient everywhere, the gradient of the inputs above the first
  // layer.
  const double work =
      2 * static_cast<double>(batch_size) * (2 * first + 3 * all.others) +
      kUpdateWork * n_parameters;
  // Of the barriers each batch normalization has four more.
  const double n_barriers = 2 + 4 * static_cast<double>(network.batch_norms().size());
  return static_cast<int>(std::clamp(2 * work / (n_barriers * kWorkPerThread), 1.0,
                                     static_cast<double>(n_threads)));
}

template <class T>
Pass<T>::Pass(Network<T>& network, const Samples<T>& samples, Index batch_size,
              const PassSettings& settings)
    : network_(network),
      samples_(checked(network, samples)),
      batch_size_(std::min(batch_size, samples.n_rows)),
      settings_(settings),
      n_batches_(batch_size_ > 0 ? ceil_div(samples.n_rows, batch_size_) : 0),
      weights_(n_batches_),
      squared_weights_(n_batches_),
      n_entries_(samples.x.is_sparse() ? plan_entries() : Batch<T>::kDense),
      batch_(network, batch_size_, n_entries_, BatchUse::kTraining),
      losses_{Buffer<T>(batch_size_), Buffer<T>(batch_size_)},
      first_tile_{0},
      first_panel_{0} {
  for (Index b = 0; b < n_batches_; ++b) {
    if (samples_.weights == nullptr && !samples_.targets.weighs_entries()) {
      weights_[b] = squared_weights_[b] = static_cast<double>(n_rows(b));
      continue;
    }
    for (Index i = first_row(b); i < first_row(b) + n_rows(b); ++i) {
      const double weight = samples_.weight(samples_.row(i));
      weights_[b] += weight;
      squared_weights_[b] += weight * weight;
    }
  }
  if (samples_.targets.weighs_entries()) batch_.reserve_entry_weights();
  if (samples_.outer_loss) {
    batch_.reserve_predictions();
    outer_losses_ = Buffer<T>(batch_size_);
  }
  for (Index l = 0; l < network.n_layers(); ++l) {
    const bool sparse = l == 0 && samples.x.is_sparse();
    first_tile_.push_back(first_tile_.back() + network.layer(l).n_tiles(sparse));
    first_panel_.push_back(first_panel_.back() + network.layer(l).n_panels());
  }
}

template <class T>
Index Pass<T>::plan_entries() {
  first_entry_ = Buffer<Index>(samples_.n_rows);
  Index most = 0;
  for (Index b = 0; b < n_batches_; ++b) {
    Index n = 0;
    for (Index i = first_row(b); i < first_row(b) + n_rows(b); ++i) {
      first_entry_[i] = n;
      n += samples_.x.count(samples_.row(i));
    }
    most = std::max(most, n);
  }
  return most;
}

template <class T>
template <class Leave>
bool Pass<T>::run_forward(const Step& step, const Phases<T>& phases,
                          const Leave& leave) {
  const auto enter = [&](Index first, Index n) {
    gather(step.batch, first, n);
    batch_.drop_inputs(network_, step.facts, first, n);
  };
  return phases.forward(step, enter, leave);
}

template <class T>
bool Pass<T>::run_rows(const Step& step, T* losses) {
  const Phases<T> phases = phases_of(step);
  const bool go_on = run_forward(step, phases, [&](Index first, Index n) {
    batch_.loss(network_, network_.loss(), batch_.weights() + first, first, n, losses);
    phases.backward_alone(step, first, n, kLeave);
  });
  return go_on && phases.backward_together(step, kLeave);
}

template <class T>
bool Pass<T>::run_to_predictions(const Step& step) {
  return run_forward(step, phases_of(step), [&](Index first, Index n) {
    batch_.make_predictions(network_, first, n);
  });
}

template <class T>
bool Pass<T>::run_from_losses(const Step& step, T* losses) {
  const Phases<T> phases = phases_of(step);
  const bool go_on = step.for_each_block([&](Index first, Index n) {
    batch_.loss(network_, network_.loss(), batch_.weights() + first, first, n, losses);
    for (Index i = first; i < first + n; ++i) {
      losses[i] = batch_.weights()[i] * outer_losses_[i];
    }
    phases.backward_alone(step, first, n, kLeave);
  });
  return go_on && phases.backward_together(step, kLeave);
}

template <class T>
void Pass<T>::gather(Index batch, Index first, Index n) {
  for (Index i = first; i < first + n; ++i) {
    const Index taken = first_row(batch) + i;
    const Index row = samples_.row(taken);
    batch_.gather(samples_.x, row, i,
                  n_entries_ != Batch<T>::kDense ? first_entry_[taken] : 0);
    batch_.gather_target(network_.loss(), samples_.targets, row, i);
    batch_.gather_weight(samples_.targets, samples_.weights, row, i);
  }
}

template <class T>
void Pass<T>::prefetch_rows(Index batch, Index i, Index n) const {
  if (batch >= n_batches_) return;
  const Index first = first_row(batch) + n_rows(batch) * i / n;
  const Index last = first_row(batch) + n_rows(batch) * (i + 1) / n;
  for (Index taken = first; taken < last; ++taken) {
    samples_.x.prefetch(samples_.row(taken));
  }
}

template int threads_for_step(const Network<float>&, Index, double, int);
template int threads_for_step(const Network<double>&, Index, double, int);
template class Pass<float>;
template class Pass<double>;

}  // namespace fastbp
