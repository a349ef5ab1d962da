// Phases: the row tasks of a batch, forward and backward through all layers. Each way
// is one phase, if no batch normalization cuts it: then rows wait for the statistics of
// all, and for the sums of all gradients.
//
// A member of the team goes through them as a `Worker`, which has for_each_block(task),
// task(first, n) for blocks of rows, and for_each(n, task), task(i) for i below n. Both
// are one phase and return false when the team stops, like all that takes a Worker. A
// block may take long in a wide network: its proceed() is asked before each layer.
#pragma once

#include "fastbp/train/batch.h"

namespace fastbp {

template <class T>
class Phases {
 public:
  // Running averages of batch normalization go on if keeps_statistics.
  Phases(const Network<T>& network, Batch<T>& batch, const StepFacts& facts,
         Index n_rows, bool keeps_statistics = false)
      : network_(network),
        norms_(network.batch_norms()),
        batch_(batch),
        facts_(facts),
        n_rows_(n_rows),
        keeps_statistics_(keeps_statistics) {}

  // enter(first, n) before the first layer, leave(first, n) after the last, for each
  // block of rows.
  template <class Worker, class Enter, class Leave>
  bool forward(const Worker& worker, const Enter& enter, const Leave& leave) const {
    Index from = 0;  // the layer that goes on
    const auto forward = [&](Index to, Index first, Index n) {
      if (from == 0) enter(first, n);
      for (Index l = from; l < to && worker.proceed(); ++l) {
        batch_.forward(network_, facts_, l, first, n);
      }
    };
    for (const auto& at : norms_) {
      const bool go_on = worker.for_each_block(
          [&](Index first, Index n) { forward(at.layer, first, n); });
      if (!go_on || !for_each_panel(worker, at, [&](Index panel, const auto& trace) {
            at.norm->take_statistics(panel, trace, keeps_statistics_);
          })) {
        return false;
      }
      from = at.layer;
    }
    return worker.for_each_block([&](Index first, Index n) {
      forward(network_.n_layers(), first, n);
      leave(first, n);
    });
  }

  // From the gradient of the last layer: some rows as far as they can go alone,
  template <class Worker, class Leave>
  void backward_alone(const Worker& worker, Index first, Index n,
                      const Leave& leave) const {
    backward(worker, norms_.empty() ? 0 : norms_.back().layer, network_.n_layers() - 1,
             first, n, leave);
  }
  // and all from there. leave(first, n) comes after the first layer's gradient.
  template <class Worker, class Leave>
  bool backward_together(const Worker& worker, const Leave& leave) const {
    for (std::size_t i = norms_.size(); i-- > 0;) {
      const Place& at = norms_[i];
      const bool go_on =
          for_each_panel(worker, at, [&](Index panel, const auto& trace) {
            at.norm->sum_gradients(panel, trace);
          });
      const Index begin = i > 0 ? norms_[i - 1].layer : 0;
      if (!go_on || !worker.for_each_block([&](Index first, Index n) {
            backward(worker, begin, at.layer, first, n, leave);
          })) {
        return false;
      }
    }
    return true;
  }

 private:
  using Place = typename Network<T>::BatchNormPlace;

  template <class Worker, class Task>
  bool for_each_panel(const Worker& worker, const Place& at, const Task& task) const {
    return worker.for_each(at.norm->n_panels(), [&](Index panel) {
      task(panel, batch_.trace(facts_, at.layer, 0, n_rows_));
    });
  }
  template <class Worker, class Leave>
  void backward(const Worker& worker, Index begin, Index end, Index first, Index n,
                const Leave& leave) const {
    for (Index l = end; l > begin; --l) {
      if (!worker.proceed()) return;
      batch_.backward(network_, facts_, l, first, n);
    }
    if (begin == 0) leave(first, n);
  }

  const Network<T>& network_;
  const std::vector<Place>& norms_;
  Batch<T>& batch_;
  const StepFacts& facts_;
  Index n_rows_;
  bool keeps_statistics_;
};

}  // namespace fastbp
