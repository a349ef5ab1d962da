// Row blocks forward and backward, and the parameters' gradients tile by tile.
#include "fastbp/train/tape.h"

#include <algorithm>
#include <stdexcept>

namespace fastbp {
namespace {

// Of a fixed height: a BLAS may round differently in blocks of other heights.
constexpr Index kBlockRows = 112;

// A tape is of one forward pass, without the random numbers and the sums over a batch
// of training steps.
template <class T>
void check(const Network<T>& network) {
  bool is_plain = network.input_dropout() == nullptr && network.batch_norms().empty();
  for (Index l = 0; l < network.n_layers(); ++l) {
    is_plain = is_plain && !network.layer(l).is_only_for_training();
  }
  if (is_plain) return;
  throw std::invalid_argument("a tape has no dropout and no batch normalization");
}

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
             x.is_sparse() ? most_entries(x, x.n_rows()) : Batch<T>::kDense, true) {
  check_columns(x, network.n_in());
  check(network);
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
Index Tape<T>::n_blocks() const {
  return ceil_div(n_rows_, kBlockRows);
}

template <class T>
template <class Use>
void Tape<T>::in_block(Index block, const Use& use) const {
  const Index first = block * kBlockRows;
  use(first, std::min(kBlockRows, n_rows_ - first));
}

template <class T>
bool Tape<T>::forward(const Rows& x, int n_threads, const Poll& poll) {
  return run_tasks(n_blocks(), n_threads, poll, [&](Index block) {
    in_block(block, [&](Index first, Index n) {
      for (Index i = first; i < first + n; ++i) {
        batch_.gather(x, i, i, x.is_sparse() ? first_entry_[i] : 0);
      }
      batch_.forward(network_, {}, 0, network_.n_layers(), first, n);
    });
  });
}

template <class T>
bool Tape<T>::backward(const T* dy, T* gradient, T* dx, int n_threads,
                       const Poll& poll) {
  const auto start = [&](Index first, Index n) {
    const Index n_out = network_.n_out();
    const auto dz = batch_.gradient(network_.n_layers() - 1, first, n);
    for (Index i = 0; i < n; ++i) {
      std::copy_n(dy + (first + i) * n_out, n_out, dz.row(i));
    }
    batch_.output_backward(network_, first, n);
  };
  return backward_from(start, gradient, dx, n_threads, poll);
}

template <class T>
bool Tape<T>::loss_backward(const Targets<T>& targets, const double* weights, T* losses,
                            T* gradient, T* dx, int n_threads, const Poll& poll) {
  const auto start = [&](Index first, Index n) {
    for (Index i = first; i < first + n; ++i) {
      batch_.gather_target(network_.loss(), targets, weights, i, i);
    }
    batch_.loss(network_, first, n, losses);
  };
  return backward_from(start, gradient, dx, n_threads, poll);
}

template <class T>
template <class Start>
bool Tape<T>::backward_from(const Start& start, T* gradient, T* dx, int n_threads,
                            const Poll& poll) {
  Matrix<T> padded;  // the kernels write whole panels
  if (dx != nullptr) {
    padded = Matrix<T>(n_rows_, network_.n_in());
    network_.keep_first_mirror();
  }
  if (!network_.refresh(n_threads, poll)) return false;
  const auto n_tiles = static_cast<Index>(gradient != nullptr ? tiles_.size() : 0);
  return run_team(n_threads, poll, [&](Member& member) {
    const bool go_on = member.for_each(n_blocks(), [&](Index block) {
      in_block(block, [&](Index first, Index n) {
        start(first, n);
        batch_.backward(network_, {}, 0, network_.n_layers() - 1, first, n);
        if (dx == nullptr) return;
        // Below the first layer is no activation: of the inputs nothing is read.
        const auto rows = padded.view.block(first, n);
        network_.layer(0).backward(batch_.trace({}, 0, first, n), {{}, rows}, rows);
        copy_rows<T>(rows, dx + first * network_.n_in());
      });
    });
    if (!go_on) return;
    member.for_each(n_tiles, [&](Index i) {
      const auto [l, tile] = tiles_[static_cast<std::size_t>(i)];
      network_.layer(l).gradient(tile, batch_.trace({}, l, 0, n_rows_), gradient,
                                 false);
    });
  });
}

template <class T>
bool Tape<T>::pre_activations(Index layer, T* z, int n_threads,
                              const Poll& poll) const {
  const Index n_out = network_.layer(layer).n_out();
  const Matrix<T> padded(n_rows_, n_out);
  return run_tasks(n_blocks(), n_threads, poll, [&](Index block) {
    in_block(block, [&](Index first, Index n) {
      const auto rows = padded.view.block(first, n);
      network_.layer(layer).pre_activations(batch_.input(layer, first, n), rows);
      copy_rows<T>(rows, z + first * n_out);
    });
  });
}

template class Tape<float>;
template class Tape<double>;

}  // namespace fastbp
