// Trainer: mini-batch gradient descent (lectures 000, 001 and 002: algorithm 2). It
// owns the optimizer's state. Python owns everything else: the order of the rows, the
// learning rate, when to stop.
#pragma once

#include "fastbp/optim/rule.h"
#include "fastbp/train/pass.h"

namespace fastbp {

template <class T>
class Trainer {
 public:
  // `seed` is that of dropout.
  Trainer(Network<T>& network, const RuleSettings& settings, std::uint64_t seed = 0);

  // One pass over the samples. Returns the sum over batches of (mean loss of the batch,
  // penalty included) * rows; `finished` is false if poll stopped it. When it is
  // stopped or throws, network and state are somewhere within the pass: who wants to go
  // back has to keep a copy. An array of rates has one for each batch,
  // also for those that are skipped.
  double run_epoch(const Samples<T>& samples, Index batch_size, const Rates& rates,
                   double penalty, int n_threads, const Poll& poll, bool* finished);

  // The sum over the steps of the last pass of the norm of the gradient, as clip_norm
  // sees it; 0 unless the settings ask for it.
  double norm_sum() const { return norm_sum_; }

  Network<T>& network() { return network_; }
  const RuleSettings& settings() const { return settings_; }
  RuleState<T>& state() { return state_; }

 private:
  template <class Step>
  bool update_average(const Step& step, Index t);

  Network<T>& network_;
  RuleSettings settings_;
  std::uint64_t seed_;
  RuleState<T> state_;
  double norm_sum_ = 0;
  Pace pace_;
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace fastbp
