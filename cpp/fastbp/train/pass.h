// Pass: one way through the samples, batch by batch, as one parallel region. Every
// batch is two phases: row tasks (gather, forward, loss, backward) and parameter tasks
// (tiles of every layer). What a parameter task does with its tile is the caller's: the
// trainer makes the optimizer step, full-batch methods store the gradient.
#pragma once

#include <algorithm>
#include <functional>

#include "fastbp/base/team.h"
#include "fastbp/train/batch.h"

namespace fastbp {

template <class T>
struct Samples {
  const Rows& x;
  Targets<T> targets;
  const double* weights = nullptr;  // (x.n_rows()), or null: all 1
  const Index* order = nullptr;     // rows to take, or null: all as they lie
  Index n_rows = 0;                 // rows to take

  Index row(Index i) const { return order != nullptr ? order[i] : i; }
};

// Threads, at most n_threads, that the work of a step pays for; a step has batch_size
// rows with `inputs` non-zero inputs each. A step that is too small is slower with more
// threads. (Results never depend on the number of threads.)
template <class T>
int threads_for_step(const Network<T>& network, Index batch_size, double inputs,
                     int n_threads);

template <class T>
class Pass {
 public:
  // What a parameter task sees of its batch.
  struct Step {
    Index number;  // among the batches that are not skipped, from 0
    Index n_rows;
    double weight;  // sum of the rows' weights, or n_rows
  };

  // Receives the sum of the weighted losses of the rows and of the tiles' returned
  // numbers.
  using OnBatch = std::function<void(const Step&, double loss_sum, double tile_sum)>;

  // Checks the targets and reserves all memory.
  Pass(Network<T>& network, const Samples<T>& samples, Index batch_size);

  // begin(step) returns, for each member of the team, the task for the tiles of a step:
  // task(layer, tile, x, dz) -> double. Batches whose weights are all zero are skipped.
  // False if poll stopped it.
  template <class Begin>
  bool run(int n_threads, const Poll& poll, const Begin& begin, const OnBatch& on_batch,
           Caution* caution = nullptr);

 private:
  Index first_row(Index batch) const { return batch * batch_size_; }
  Index n_rows(Index batch) const {
    return std::min(batch_size_, samples_.n_rows - first_row(batch));
  }
  void row_task(Index batch, Index first, Index n, T* losses);
  // Part i of n of the rows of a batch, while there is other work to do.
  void prefetch_rows(Index batch, Index i, Index n) const;

  Network<T>& network_;
  Samples<T> samples_;
  Index batch_size_;
  Index n_batches_;
  Buffer<double> weights_;  // of each batch
  Buffer<Index>
      first_entry_;  // sparse: place of each taken row's non-zeros in its batch
  Index n_entries_;  // sparse: most non-zeros of a batch
  Batch<T> batch_;
  Buffer<T> losses_[2];  // of the rows of even and odd batches: the sum over one is
                         // taken while the next is computed
  std::vector<Index> first_tile_;  // of each layer, and the number of all
  Buffer<double> tile_sums_;

  Index plan_entries();
};

template <class T>
template <class Begin>
bool Pass<T>::run(int n_threads, const Poll& poll, const Begin& begin,
                  const OnBatch& on_batch, Caution* caution) {
  const auto body = [&](Member& member) {
    Index number = 0;
    for (Index b = 0; b < n_batches_; ++b) {
      if (!(weights_[b] > 0)) continue;
      const Step step{number, n_rows(b), weights_[b]};
      T* losses = losses_[number % 2].data();
      ++number;

      // Blocks: a few for each thread, of at least a micro-kernel's height, at most
      // what fits in the second-level cache with its activations.
      constexpr Index kMinBlock = 14, kMaxBlock = 128, kBlocksPerThread = 4;
      const Index size = member.size();
      const Index wanted = size == 1 ? 1
                                     : std::clamp(step.n_rows / kMinBlock, size,
                                                  kBlocksPerThread * size);
      // A BLAS wants high blocks, and may round differently in blocks of other heights:
      // they must not depend on the number of threads.
      const Index few = ceil_div(step.n_rows, kMaxBlock);
      const Index n_blocks =
          network_.uses_blas() ? few : std::min(step.n_rows, std::max(wanted, few));
      const bool go_on = member.for_each(n_blocks, [&](Index i) {
        const Index first = step.n_rows * i / n_blocks;
        row_task(b, first, step.n_rows * (i + 1) / n_blocks - first, losses);
      });
      if (!go_on) return;

      const auto task = begin(step);
      const Index n_tiles = first_tile_.back();
      const bool done = member.for_each(n_tiles, [&](Index i) {
        prefetch_rows(b + 1, i, n_tiles);
        const auto above = std::upper_bound(first_tile_.begin(), first_tile_.end(), i);
        const Index l = above - first_tile_.begin() - 1;
        tile_sums_[i] =
            task(network_.layer(l), i - first_tile_[static_cast<std::size_t>(l)],
                 batch_.input(l, step.n_rows), batch_.gradient(l, 0, step.n_rows));
      });
      if (!done) return;

      if (member.rank() != 0) continue;
      double loss_sum = 0, tile_sum = 0;
      for (Index r = 0; r < step.n_rows; ++r)
        loss_sum += static_cast<double>(losses[r]);
      for (Index i = 0; i < n_tiles; ++i) tile_sum += tile_sums_[i];
      on_batch(step, loss_sum, tile_sum);
    }
  };
  return network_.refresh(n_threads, poll) && run_team(n_threads, poll, body, caution);
}

extern template class Pass<float>;
extern template class Pass<double>;

}  // namespace fastbp
