// How a dense layer is cut into tiles, and which kernel each task calls.
#include "fastbp/nn/dense.h"

#include <algorithm>
#include <cmath>

namespace fastbp {
namespace {

// Height of a parameter tile: a multiple of the panel width (blocks of the mirror are
// whole). A small layer has lower tiles, so that two threads find about as much to do.
constexpr Index kMinTileHeight = 32, kTilesWanted = 8;

// Tiles of the same rows follow each other, so that their part of x stays in the
// second-level cache, up to this many: those below them need the same columns of dz,
// 1 MB for 512 rows of a batch (but of a BLAS's wide tiles), which then come from the
// third-level cache.
constexpr Index kBlockTiles = 16;

Index tile_height_for(Index n_in, Index n_panels, Index panel_width) {
  const Index wanted = n_in * n_panels / (kMaxTilePanels * kTilesWanted);
  const Index height = std::clamp(wanted, kMinTileHeight, kMaxTileHeight);
  return round_up(ceil_div(n_in, ceil_div(n_in, height)), panel_width);
}

template <class T>
constexpr T kOne = 1;  // a column of ones with stride 0: the input that a bias sees

template <class T>
double add_lanes(const T* lanes) {
  double sum = 0;
  for (Index i = 0; i < kPanel<T>; ++i) sum += static_cast<double>(lanes[i]);
  return sum;
}

}  // namespace

template <class T>
Index Dense<T>::n_parameters_of(Index n_in, Index n_out) {
  const Index width = checked_mul(ceil_div(n_out, kPanel<T>), kPanel<T>);
  return checked_add(checked_mul(n_in, width), width);
}

template <class T>
Dense<T>::Dense(const Kernels<T>& kernels, Index n_in, Index n_out,
                OutputActivation<T> activation, bool is_first, T* parameters,
                Index offset)
    : Dense(kernels, n_in, n_out, activation, {n_in * kPanel<T>, kPanel<T>}, parameters,
            offset) {
  if (!is_first) keep_mirror();
}

template <class T>
bool Dense<T>::keep_mirror() {
  if (mirror_.size() > 0) return false;
  mirror_rows_ = n_panels_ * kPanel<T>;
  mirror_ = Buffer<T>(checked_mul(round_up(n_in_, kPanel<T>), mirror_rows_));
  return true;
}

template <class T>
Dense<T>::Dense(const Kernels<T>& kernels, Index n_in, Index n_out,
                OutputActivation<T> activation, const Layout& layout, T* parameters,
                Index offset)
    : kernels_(kernels),
      layout_(layout),
      parameters_(parameters),
      n_in_(n_in),
      n_out_(n_out),
      n_panels_(ceil_div(n_out, kPanel<T>)),
      tile_height_(tile_height_for(n_in, n_panels_, kPanel<T>)),
      activation_(activation),
      offset_(offset) {}

template <class T>
Forward<T> Dense<T>::forward_block(const Input<T>& x, MatrixView<T> y,
                                   const Memory<T>& memory) const {
  return {y.rows,
          n_in_,
          n_panels_,
          x.dense.data,
          x.dense.stride,
          parameters_ + weights_offset(),
          parameters_ + bias_offset(),
          activation_.kind,
          activation_.slope,
          y.data,
          y.stride,
          has_half_panel<T>(n_out_),
          layout_.panel_size,
          layout_.row_stride,
          memory.rows.data,
          memory.rows.stride};
}

template <class T>
Backward<T> Dense<T>::backward_block(MatrixView<const T> dz, const Below<T>& below,
                                     MatrixView<T> dx) const {
  return {dz.rows,
          n_out_,
          ceil_div(n_in_, kPanel<T>),
          dz.data,
          dz.stride,
          mirror_.data(),
          mirror_rows_,
          below.activation.kind,
          below.activation.slope,
          below.x.data,
          below.x.stride,
          dx.data,
          dx.stride,
          has_half_panel<T>(n_in_)};
}

template <class T>
void Dense<T>::forward(const Input<T>& x, MatrixView<T> y,
                       const Memory<T>& memory) const {
  run_forward(forward_block(x, y, memory), x);
}

template <class T>
void Dense<T>::pre_activations(const Input<T>& x, MatrixView<T> z,
                               const Memory<T>& /*memory*/) const {
  Forward<T> f = forward_block(x, z, {});
  f.activation = Activation::kIdentity;
  run_forward(f, x);
}

template <class T>
void Dense<T>::run_forward(const Forward<T>& f, const Input<T>& x) const {
  if (x.is_sparse()) {
    kernels_.sparse_forward(f, x.sparse);
  } else {
    kernels_.forward(f);
  }
}

template <class T>
void Dense<T>::backward(const Trace<T>& trace, const Below<T>& below,
                        MatrixView<T> dx) const {
  kernels_.backward(backward_block(trace.dz, below, dx));
}

template <class T>
Index Dense<T>::n_tiles(bool sparse_input) const {
  return count_tiles(tile_height(sparse_input), kMaxTilePanels);
}

template <class T>
Index Dense<T>::count_tiles(Index height, Index n_panels) const {
  return ceil_div(n_in_, height) * ceil_div(n_panels_, n_panels);
}

template <class T>
typename Dense<T>::Tile Dense<T>::tile(Index i, bool sparse_input) const {
  return tile_of(i, tile_height(sparse_input), kMaxTilePanels);
}

template <class T>
typename Dense<T>::Tile Dense<T>::tile_of(Index i, Index height, Index n_panels) const {
  const Index n_wide = ceil_div(n_panels_, n_panels);
  const Index n_high = ceil_div(n_in_, height);
  const Index block = i / (n_high * kBlockTiles) * kBlockTiles;
  const Index block_width = std::min(kBlockTiles, n_wide - block);
  const Index in_block = i - block * n_high;
  const Index first_in = in_block / block_width * height;
  const Index panel = (block + in_block % block_width) * n_panels;
  const Index n_taken = std::min(n_panels, n_panels_ - panel);
  return {first_in, std::min(height, n_in_ - first_in), panel, n_taken,
          panel + n_taken == n_panels_ && has_half_panel<T>(n_out_)};
}

template <class T>
GradientTile<T> Dense<T>::gradient_tile(const Tile& t, MatrixView<const T> x,
                                        MatrixView<const T> dz) const {
  return {dz.rows,        t.n_in,
          t.n_panels,     x.data + t.first_in,
          x.stride,       dz.data + t.panel * kPanel<T>,
          dz.stride,      layout_.panel_size,
          t.is_half_panel};
}

template <class T>
SparseGradientTile<T> Dense<T>::sparse_gradient_tile(const Tile& t,
                                                     const SparseRows<T>& x,
                                                     MatrixView<const T> dz) const {
  return {dz.rows,
          t.first_in,
          t.n_in,
          t.n_panels,
          x,
          dz.data + t.panel * kPanel<T>,
          dz.stride,
          layout_.panel_size,
          layout_.row_stride};
}

template <class T>
GradientTile<T> Dense<T>::bias_tile(const Tile& t, MatrixView<const T> dz) const {
  return {dz.rows,   1,         t.n_panels,
          &kOne<T>,  0,         dz.data + t.panel * kPanel<T>,
          dz.stride, kPanel<T>, t.is_half_panel};
}

template <class T>
PenaltySums Dense<T>::update(Index i, const Trace<T>& batch, const Update<T>& rule,
                             const FlatState<T>& state) {
  const Input<T>& x = batch.x;
  const MatrixView<const T> dz = batch.dz;
  const Tile t = tile(i, x.is_sparse());
  update_bias(t, dz, rule, state);
  if (!trained_.weights) return {};
  const Parameters<T> weights = parameters_of(t, state);
  const PenaltySums sums =
      x.is_sparse()
          ? kernels_.sparse_update(sparse_gradient_tile(t, x.sparse, dz), rule, weights)
          : kernels_.update(gradient_tile(t, x.dense, dz), rule, weights);
  refresh_mirror(t);
  return sums;
}

template <class T>
void Dense<T>::update_bias(const Tile& t, MatrixView<const T> dz, const Update<T>& rule,
                           const FlatState<T>& state) const {
  if (t.first_in != 0 || !trained_.biases) return;
  kernels_.update(bias_tile(t, dz), rule.without_penalties(),
                  parameters_at(bias_offset() + t.panel * kPanel<T>, state));
}

template <class T>
void Dense<T>::gradient(Index i, const Trace<T>& batch, T* gradient, bool add) const {
  const Input<T>& x = batch.x;
  const MatrixView<const T> dz = batch.dz;
  const Tile t = tile(i, x.is_sparse());
  T* weights = gradient + weights_offset() + place_of(t);
  if (x.is_sparse()) {
    kernels_.sparse_gradient(sparse_gradient_tile(t, x.sparse, dz), weights, add);
  } else {
    kernels_.gradient(gradient_tile(t, x.dense, dz), weights, add);
  }
  bias_gradient(t, dz, gradient, add);
}

template <class T>
void Dense<T>::bias_gradient(const Tile& t, MatrixView<const T> dz, T* gradient,
                             bool add) const {
  if (t.first_in != 0) return;
  kernels_.gradient(bias_tile(t, dz), gradient + bias_offset() + t.panel * kPanel<T>,
                    add);
}

template <class T>
double Dense<T>::gradient_squares(Index panel, const T* gradient,
                                  const Update<T>& rule) const {
  T weights[kPanel<T>], biases[kPanel<T>];
  const Index place = weights_offset() + panel * layout_.panel_size;
  const Index bias = bias_offset() + panel * kPanel<T>;
  kernels_.column_squares({n_in_, layout_.row_stride, gradient + place,
                           parameters_ + place, rule.penalty, rule.l1},
                          weights);
  kernels_.column_squares(
      {1, layout_.row_stride, gradient + bias, parameters_ + bias, 0, 0}, biases);
  return (trained_.weights ? add_lanes(weights) : 0) +
         (trained_.biases ? add_lanes(biases) : 0);
}

template <class T>
PenaltySums Dense<T>::step(Index panel, const T* gradient, const Update<T>& rule,
                           const FlatState<T>& state) {
  const auto step_on = [&](Index place, Index n_rows, const Update<T>& update) {
    const Index stride = layout_.row_stride;
    return kernels_.step({n_rows, 1, gradient + place, stride, kPanel<T>, stride},
                         update, parameters_at(place, state));
  };
  PenaltySums sums;
  if (trained_.biases) {
    step_on(bias_offset() + panel * kPanel<T>, 1, rule.without_penalties());
  }
  if (!trained_.weights) return sums;
  const Index first = weights_offset() + panel * layout_.panel_size;
  for (Index i = 0; i < n_in_; i += kSumChunk) {
    sums.add(
        step_on(first + i * layout_.row_stride, std::min(kSumChunk, n_in_ - i), rule));
  }
  refresh_mirror({0, n_in_, panel, 1, false});
  return sums;
}

template <class T>
void Dense<T>::limit_norms(Index panel, T max_norm) {
  if (!trained_.weights) return;
  T* weights = parameters_ + weights_offset() + panel * layout_.panel_size;
  T squares[kPanel<T>], factors[kPanel<T>];
  kernels_.column_squares({n_in_, layout_.row_stride, weights, weights, 0, 0}, squares);
  bool is_any_over = false;
  for (Index j = 0; j < kPanel<T>; ++j) {
    const T norm = std::sqrt(squares[j]);
    // A square that overflows makes the weights NaN, not 0: divergence is to be seen.
    factors[j] = norm > max_norm ? max_norm / norm + (norm - norm) : 1;
    is_any_over |= norm > max_norm;
  }
  if (!is_any_over) return;
  kernels_.scale_columns(n_in_, layout_.row_stride, factors, weights);
  refresh_mirror({0, n_in_, panel, 1, false});
}

template <class T>
void Dense<T>::refresh_mirror(const Tile& t) {
  if (mirror_.size() == 0) return;
  for (Index p = t.panel; p < t.panel + t.n_panels; ++p) {
    for (Index i = t.first_in; i < t.first_in + t.n_in; i += kPanel<T>) {
      kernels_.transpose(
          parameters_ + weights_offset() + p * layout_.panel_size + i * kPanel<T>,
          std::min(kPanel<T>, n_in_ - i),
          mirror_.data() + i * mirror_rows_ + p * kPanel<T> * kPanel<T>);
    }
  }
}

template <class T>
void Dense<T>::refresh(Index i) {
  refresh_mirror(tile(i, false));
}

template <class T>
bool Dense<T>::pack_rows(Index first, Index n, const T* coef, T* flat) const {
  bool were_others = false;
  for (Index p = 0; p < n_panels_; ++p) {
    const Index col = p * kPanel<T>;
    const Index width = std::min(kPanel<T>, n_out_ - col);
    T* panel = flat + weights_offset() + p * layout_.panel_size;
    for (Index i = first; i < first + n; ++i) {
      T* row = panel + i * layout_.row_stride;
      were_others = replace(coef + i * n_out_ + col, width, row, were_others);
    }
  }
  return were_others;
}

template <class T>
void Dense<T>::unpack_rows(Index first, Index n, const T* flat, T* coef) const {
  for (Index p = 0; p < n_panels_; ++p) {
    const Index col = p * kPanel<T>;
    const Index width = std::min(kPanel<T>, n_out_ - col);
    const T* panel = flat + weights_offset() + p * layout_.panel_size;
    for (Index i = first; i < first + n; ++i) {
      std::copy_n(panel + i * layout_.row_stride, width, coef + i * n_out_ + col);
    }
  }
}

template <class T>
bool Dense<T>::pack(const T* coef, const T* intercept, T* flat) const {
  const bool were_others = pack_rows(0, n_in_, coef, flat);
  return replace(intercept, n_out_, flat + bias_offset(), were_others);
}

template <class T>
void Dense<T>::unpack(const T* flat, T* coef, T* intercept) const {
  unpack_rows(0, n_in_, flat, coef);
  std::copy_n(flat + bias_offset(), n_out_, intercept);
}

template class Dense<float>;
template class Dense<double>;

}  // namespace fastbp
