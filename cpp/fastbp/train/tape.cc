// Row blocks forward and backward, and the parameters' gradients tile by tile.
#include "fastbp/train/tape.h"

#include <algorithm>
#include <numeric>

namespace fastbp {
namespace {

// A member of the team, as phases want it.
struct Worker {
  Member& member;
  Index n_rows;

  template <class Task>
  bool for_each(Index n, const Task& task) const {
    return member.for_each(n, task);
  }
  bool proceed() const { return member.proceed(); }
  // Calls task(first, n) for each block of rows.
  template <class Task>
  bool for_each_block(const Task& task) const {
    return member.for_each(ceil_div(n_rows, kBlockRows), [&](Index block) {
      const Index first = block * kBlockRows;
      task(first, std::min(kBlockRows, n_rows - first));
    });
  }
};

template <class T>
void copy_rows(MatrixView<const T> from, T* to) {
  for (Index i = 0; i < from.rows; ++i) {
    std::copy_n(from.row(i), from.cols, to + i * from.cols);
  }
}

}  // namespace

template <class T>
Tape<T>::Tape(Network<T>& network, const Rows& x)
    : network_(network),
      n_rows_(x.n_rows()),
      batch_(network, x.n_rows(),
             x.is_sparse() ? most_entries(x, x.n_rows()) : Batch<T>::kDense,
             BatchUse::kTape) {
  check_columns(x, network.n_in());
  if (x.is_sparse()) {
    first_entry_ = Buffer<Index>(n_rows_);
    for (Index i = 1; i < n_rows_; ++i) {
      first_entry_[i] = first_entry_[i - 1] + x.count(i - 1);
    }
  }
  for (Index l = 0; l < network.n_layers(); ++l) {
    const Index n = network.layer(l).n_tiles(l == 0 && x.is_sparse());
    for (Index tile = 0; tile < n; ++tile) tiles_.emplace_back(l, tile);
  }
}

template <class T>
bool Tape<T>::has_room(const Rows& x) const {
  return first_entry_.size() == 0 && !x.is_sparse() && x.n_rows() == n_rows_ &&
         x.n_cols() == network_.n_in();
}

template <class T>
bool Tape<T>::forward(const Rows& x, const double* weights, const Mode& mode,
                      int n_threads, const Poll& poll) {
  version_ = network_.version();
  facts_ = {mode.seed, 0, 0, 0, mode.is_training};
  facts_.weight = static_cast<double>(n_rows_);
  if (weights != nullptr)
    facts_.weight = std::accumulate(weights, weights + n_rows_, 0.0);
  const Phases<T> phases(network_, batch_, facts_, n_rows_);
  const auto enter = [&](Index first, Index n) {
    for (Index i = first; i < first + n; ++i) {
      batch_.gather(x, i, i, x.is_sparse() ? first_entry_[i] : 0);
      batch_.gather_weight({}, weights, i, i);
    }
    batch_.drop_inputs(network_, facts_, first, n);
  };
  return run_team(n_threads, poll, [&](Member& member) {
    phases.forward(Worker{member, n_rows_}, enter, [](Index, Index) {});
  });
}

template <class T>
Buffer<T>& Tape<T>::gradient() {
  if (gradient_.size() == 0) gradient_ = Buffer<T>(network_.parameters().size());
  return gradient_;
}

template <class T>
bool Tape<T>::backward(const LossOf<T>& loss, const Targets<T>& targets,
                       const double* weights, T* losses, bool wants_gradient, T* dx,
                       int n_threads, const Poll& poll) {
  check_labels(network_, targets, n_rows_);
  Buffer<T> row_weights(n_rows_);
  for (Index i = 0; i < n_rows_; ++i) {
    row_weights[i] = static_cast<T>(weights != nullptr ? weights[i] : 1);
  }
  Matrix<T> padded;  // the kernels write whole panels
  if (dx != nullptr) padded = Matrix<T>(n_rows_, network_.n_in());
  if (!network_.refresh(n_threads, poll, dx != nullptr)) return false;
  const Phases<T> phases(network_, batch_, facts_, n_rows_);
  const auto leave = [&](Index first, Index n) {
    if (dx == nullptr) return;
    const auto rows = padded.view.block(first, n);
    batch_.inputs_backward(network_, facts_, first, n, rows);
    copy_rows<T>(rows, dx + first * network_.n_in());
  };
  const auto n_tiles = static_cast<Index>(wants_gradient ? tiles_.size() : 0);
  return run_team(n_threads, poll, [&](Member& member) {
    const Worker worker{member, n_rows_};
    const bool go_on = worker.for_each_block([&](Index first, Index n) {
      for (Index i = first; i < first + n; ++i) {
        batch_.gather_target(loss, targets, i, i);
      }
      batch_.loss(network_, loss, row_weights.data() + first, first, n, losses);
      phases.backward_alone(worker, first, n, leave);
    });
    if (!go_on || !phases.backward_together(worker, leave)) return;
    worker.for_each(n_tiles, [&](Index i) {
      const auto [l, tile] = tiles_[static_cast<std::size_t>(i)];
      network_.layer(l).gradient(tile, batch_.trace(facts_, l, 0, n_rows_),
                                 gradient_.data(), false);
    });
  });
}

template <class T>
void Tape<T>::inputs(T* x) const {
  const Input<T> rows = batch_.input(0, 0, n_rows_);
  if (!rows.is_sparse()) return copy_rows<T>(rows.dense, x);
  for (Index i = 0; i < n_rows_; ++i, x += network_.n_in()) {
    std::fill_n(x, network_.n_in(), T{0});
    for (Index k = rows.sparse.first[i]; k < rows.sparse.last[i]; ++k) {
      x[rows.sparse.entries[k].col] += rows.sparse.entries[k].value;
    }
  }
}

template <class T>
bool Tape<T>::outputs(T* p, int n_threads, const Poll& poll) const {
  const Index n_out = network_.n_out();
  const Matrix<T> padded(n_rows_, n_out);  // the kernel may overwrite what it is given
  return run_team(n_threads, poll, [&](Member& member) {
    Worker{member, n_rows_}.for_each_block([&](Index first, Index n) {
      const auto from = output(network_.n_layers() - 1).block(first, n);
      const auto z = padded.view.block(first, n);
      for (Index i = 0; i < n; ++i) std::copy_n(from.row(i), n_out, z.row(i));
      network_.kernels().output(network_.loss().output,
                                {n, n_out, z.data, z.stride, p + first * n_out, n_out});
    });
  });
}

template <class T>
bool Tape<T>::pre_activations(Index layer, T* z, int n_threads,
                              const Poll& poll) const {
  const Index n_out = network_.layer(layer).n_out();
  const Matrix<T> padded(n_rows_, n_out);
  return run_team(n_threads, poll, [&](Member& member) {
    Worker{member, n_rows_}.for_each_block([&](Index first, Index n) {
      const auto rows = padded.view.block(first, n);
      const Trace<T> batch = batch_.trace(facts_, layer, first, n);
      network_.layer(layer).pre_activations(batch.x, rows, batch.memory);
      copy_rows<T>(rows, z + first * n_out);
    });
  });
}

template class Tape<float>;
template class Tape<double>;

}  // namespace fastbp
