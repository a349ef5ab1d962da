// Pass: one way through the samples, batch by batch, as one parallel region. Every
// batch is a phase of row tasks (gather, forward, loss, backward) and one or more of
// parameter tasks (tiles or panels of every layer). What a parameter task does is the
// caller's: the trainer makes the optimizer step, full-batch methods store the
// gradient.
#pragma once

#include <algorithm>
#include <functional>

#include "fastbp/base/team.h"
#include "fastbp/train/phases.h"

namespace fastbp {

// A loss that is computed elsewhere, for a batch at a time: fills `losses` (n) from
// targets y and outputs p, and puts the gradient with respect to p in the place of p.
// False: it has failed, and the pass ends. Called between parallel regions.
template <class T>
using OuterLoss =
    std::function<bool(MatrixView<const T> y, MatrixView<T> p, T* losses)>;

template <class T>
struct Samples {
  const Rows& x;
  Targets<T> targets;
  const double* weights = nullptr;  // (x.n_rows()), or null: all 1
  const Index* order = nullptr;     // rows to take, or null: all as they lie
  Index n_rows = 0;                 // rows to take
  OuterLoss<T> outer_loss = {};     // if any; the network's is then the linear one

  Index row(Index i) const { return order != nullptr ? order[i] : i; }
  // Of a row, times the mean of those of its entries.
  double weight(Index row) const {
    const double of_row = weights != nullptr ? weights[row] : 1;
    return targets.weighs_entries() ? of_row * targets.mean_weight(row) : of_row;
  }
};

// Threads, at most n_threads, that the work of a step pays for; a step has batch_size
// rows with `inputs` non-zero inputs each. A step that is too small is slower with more
// threads. (Results never depend on the number of threads.)
template <class T>
int threads_for_step(const Network<T>& network, Index batch_size, double inputs,
                     int n_threads);

struct PassSettings {
  std::uint64_t seed = 0;         // of dropout
  Index first_step = 0;           // the number of the first batch, for dropout
  bool keeps_statistics = false;  // in the running averages of batch normalization
};

template <class T>
class Pass {
 public:
  // The phases of a batch, for one member of the team.
  class Step {
   public:
    const Index batch;
    const Index number;  // among the batches that are not skipped, from 0
    const Index n_rows;
    const StepFacts facts;

    Step(Pass& pass, Member& member, Index its_batch, Index its_number)
        : batch(its_batch),
          number(its_number),
          n_rows(pass.n_rows(batch)),
          facts{pass.settings_.seed, pass.settings_.first_step + number,
                pass.weights_[batch], pass.squared_weights_[batch]},
          pass_(pass),
          member_(member) {}

    // One phase: task(first, n) for blocks of rows.
    template <class Task>
    bool for_each_block(const Task& task) const;
    // Likewise task(i, layer, tile, trace of the batch) for the tiles of all layers, i
    // counting them. False when the team stops.
    template <class Task>
    bool for_each_tile(const Task& task) const;
    // Likewise task(i, layer, panel).
    template <class Task>
    bool for_each_panel(const Task& task) const;
    // Likewise task(i) for i below n.
    template <class Task>
    bool for_each(Index n, const Task& task) const {
      return member_.for_each(n, task);
    }
    bool proceed() const { return member_.proceed(); }

   private:
    Pass& pass_;
    Member& member_;
  };

  // Receives the sum of the weighted losses of the rows, after the last phase.
  using OnBatch = std::function<void(const Step&, double loss_sum)>;

  // Checks the targets and reserves all memory.
  Pass(Network<T>& network, const Samples<T>& samples, Index batch_size,
       const PassSettings& settings = {});

  // update(step) goes through the parameter phases of a batch; it is called by each
  // member of the team, and returns what the last phase did. Batches whose weights are
  // all zero are skipped. False if poll stopped it.
  template <class UpdateAll>
  bool run(int n_threads, const Poll& poll, const UpdateAll& update,
           const OnBatch& on_batch, Pace* pace = nullptr);

  Index n_tiles() const { return first_tile_.back(); }
  Index n_panels() const { return first_panel_.back(); }

 private:
  Index first_row(Index batch) const { return batch * batch_size_; }
  Index n_rows(Index batch) const {
    return std::min(batch_size_, samples_.n_rows - first_row(batch));
  }
  void gather(Index batch, Index first, Index n);

  // The row tasks of a step: forward, through the loss, and backward. False when the
  // team stops, like all of these.
  bool run_rows(const Step& step, T* losses);
  // The same in two, before and after a loss that is computed elsewhere.
  bool run_to_predictions(const Step& step);
  bool run_from_losses(const Step& step, T* losses);

  Phases<T> phases_of(const Step& step) {
    return {network_, batch_, step.facts, step.n_rows, settings_.keeps_statistics};
  }
  template <class Leave>
  bool run_forward(const Step& step, const Phases<T>& phases, const Leave& leave);

  // The parameter phases of a batch and its end. False when the team stops.
  template <class UpdateAll>
  bool finish(const Step& step, const T* losses, bool is_first, const UpdateAll& update,
              const OnBatch& on_batch);
  template <class UpdateAll>
  bool run_with_outer_loss(int n_threads, const Poll& poll, const UpdateAll& update,
                           const OnBatch& on_batch, Pace* pace);
  // Part i of n of the rows of a batch, while there is other work to do.
  void prefetch_rows(Index batch, Index i, Index n) const;

  Network<T>& network_;
  Samples<T> samples_;
  Index batch_size_;
  PassSettings settings_;
  Index n_batches_;
  Buffer<double> weights_, squared_weights_;  // sums over each batch
  Buffer<Index>
      first_entry_;  // sparse: place of each taken row's non-zeros in its batch
  Index n_entries_;  // sparse: most non-zeros of a batch
  Batch<T> batch_;
  Buffer<T> losses_[2];     // of the rows of even and odd batches: the sum over one is
                            // taken while the next is computed
  Buffer<T> outer_losses_;  // of the rows of a batch, without their weights
  std::vector<Index> first_tile_, first_panel_;  // of each layer, and the number of all

  Index plan_entries();

  // use(layer's number, place in the layer) of the i-th part of all layers.
  template <class Use>
  static void locate(const std::vector<Index>& first, Index i, const Use& use) {
    const auto above = std::upper_bound(first.begin(), first.end(), i);
    const Index l = above - first.begin() - 1;
    use(l, i - first[static_cast<std::size_t>(l)]);
  }
};

template <class T>
template <class Task>
bool Pass<T>::Step::for_each_block(const Task& task) const {
  // A few for each thread, of at least a micro-kernel's height, at most what fits in
  // the second-level cache with its activations.
  constexpr Index kMinBlock = 14, kMaxBlock = 128, kBlocksPerThread = 4;
  const Index size = member_.size();
  const Index wanted =
      size == 1 ? 1 : std::clamp(n_rows / kMinBlock, size, kBlocksPerThread * size);
  // A BLAS wants high blocks, and may round differently in blocks of other heights:
  // they must not depend on the number of threads.
  const Index few = ceil_div(n_rows, kMaxBlock);
  const Index n_blocks =
      pass_.network_.uses_blas() ? few : std::min(n_rows, std::max(wanted, few));
  return member_.for_each(n_blocks, [&](Index i) {
    const Index first = n_rows * i / n_blocks;
    task(first, n_rows * (i + 1) / n_blocks - first);
  });
}

template <class T>
template <class Task>
bool Pass<T>::Step::for_each_tile(const Task& task) const {
  const Index n_tiles = pass_.n_tiles();
  return member_.for_each(n_tiles, [&](Index i) {
    pass_.prefetch_rows(batch + 1, i, n_tiles);
    locate(pass_.first_tile_, i, [&](Index l, Index tile) {
      task(i, pass_.network_.layer(l), tile, pass_.batch_.trace(facts, l, 0, n_rows));
    });
  });
}

template <class T>
template <class Task>
bool Pass<T>::Step::for_each_panel(const Task& task) const {
  return member_.for_each(pass_.n_panels(), [&](Index i) {
    locate(pass_.first_panel_, i,
           [&](Index l, Index panel) { task(i, pass_.network_.layer(l), panel); });
  });
}

template <class T>
template <class UpdateAll>
bool Pass<T>::finish(const Step& step, const T* losses, bool is_first,
                     const UpdateAll& update, const OnBatch& on_batch) {
  if (!update(step)) return false;
  if (!is_first) return true;
  double loss_sum = 0;
  for (Index r = 0; r < step.n_rows; ++r) loss_sum += static_cast<double>(losses[r]);
  on_batch(step, loss_sum);
  return true;
}

// Two regions for each batch, and the loss between them.
template <class T>
template <class UpdateAll>
bool Pass<T>::run_with_outer_loss(int n_threads, const Poll& poll,
                                  const UpdateAll& update, const OnBatch& on_batch,
                                  Pace* pace) {
  T* losses = losses_[0].data();
  Index number = 0;
  for (Index b = 0; b < n_batches_; ++b) {
    if (!(weights_[b] > 0)) continue;
    const auto before = [&](Member& member) {
      run_to_predictions(Step(*this, member, b, number));
    };
    const auto after = [&](Member& member) {
      const Step step(*this, member, b, number);
      if (!run_from_losses(step, losses)) return;
      if (!finish(step, losses, member.rank() == 0, update, on_batch)) return;
      if (member.rank() == 0) member.step_ends();
    };
    if (!run_team(n_threads, poll, before, pace)) return false;
    const MatrixView<T> y = batch_.targets(n_rows(b)),
                        p = batch_.predictions(n_rows(b));
    if (!samples_.outer_loss(y, p, outer_losses_.data())) return false;
    if (!run_team(n_threads, poll, after, pace)) return false;
    ++number;
  }
  return true;
}

template <class T>
template <class UpdateAll>
bool Pass<T>::run(int n_threads, const Poll& poll, const UpdateAll& update,
                  const OnBatch& on_batch, Pace* pace) {
  if (!network_.refresh(n_threads, poll)) return false;
  if (samples_.outer_loss) {
    return run_with_outer_loss(n_threads, poll, update, on_batch, pace);
  }
  Index next = 0, next_number = 0;  // batch of the next region's first step
  const auto body = [&](Member& member, Index batch, Index number) {
    for (Index b = batch; b < n_batches_; ++b) {
      if (!(weights_[b] > 0)) continue;
      const Step step(*this, member, b, number);
      T* losses = losses_[number % 2].data();
      ++number;

      if (!run_rows(step, losses)) return;
      if (!finish(step, losses, member.rank() == 0, update, on_batch)) return;

      if (member.rank() != 0) continue;
      if (member.step_ends()) {
        next = b + 1;
        next_number = number;
        return;
      }
    }
  };
  // One region, or more on a machine that was busy for a while.
  while (next < n_batches_) {
    const auto region = [&, batch = next, number = next_number](Member& member) {
      body(member, batch, number);
    };
    next = n_batches_;
    if (!run_team(n_threads, poll, region, pace)) return false;
  }
  return true;
}

extern template class Pass<float>;
extern template class Pass<double>;

}  // namespace fastbp
