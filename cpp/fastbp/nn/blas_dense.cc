// The tasks of a dense layer as calls of a BLAS, each followed by its elementwise half.
#include "fastbp/nn/blas_dense.h"

#include <algorithm>

namespace fastbp {
namespace {

// A tile's gradient is summed on the stack: 64 kB, half of the smallest stack that a
// thread may have (128 kB, musl), and small enough for the second-level cache.
constexpr Index kBlasTileHeight = 128;
constexpr Index kBlasTilePanels = 8;

// Calls use(strip) for each part of a tile that is as narrow as the kernels demand.
template <class Tile, class Use>
void for_strips(const Tile& t, const Use& use) {
  const Index end = t.panel + t.n_panels;
  for (Index panel = t.panel; panel < end; panel += kMaxTilePanels) {
    const Index n_panels = std::min(kMaxTilePanels, end - panel);
    use(Tile{t.first_in, t.n_in, panel, n_panels,
             t.is_half_panel && panel + n_panels == end});
  }
}

}  // namespace

template <class T>
BlasDense<T>::BlasDense(const Kernels<T>& kernels, Index n_in, Index n_out,
                        OutputActivation<T> activation, const Blas<T>& blas,
                        T* parameters, Index offset)
    : Dense<T>(kernels, n_in, n_out, activation,
               {kPanel<T>, round_up(n_out, kPanel<T>)}, parameters, offset),
      blas_(blas) {
  blas.check_size(padded_stride<T>(std::max(n_in, n_out)));
}

template <class T>
void BlasDense<T>::run_forward(const Forward<T>& f, const Input<T>& x) const {
  if (x.is_sparse()) return Dense<T>::run_forward(f, x);
  blas_.product(f.n_rows, f.row_stride, f.n_in, {f.x, f.x_stride, false},
                {f.weights, f.row_stride, false}, f.y, f.y_stride, false);
  this->kernels_.activate(f);
}

template <class T>
void BlasDense<T>::backward(const Trace<T>& trace, const Below<T>& below,
                            MatrixView<T> dx) const {
  const Backward<T> b = this->backward_block(trace.dz, below, dx);
  const T* weights = this->parameters_ + this->weights_offset();
  blas_.product(b.n_rows, this->n_in(), b.n_out, {b.dz, b.dz_stride, false},
                {weights, this->layout_.row_stride, true}, b.dx, b.dx_stride, false);
  this->kernels_.chain(b);
}

template <class T>
Index BlasDense<T>::n_tiles(bool sparse_input) const {
  if (sparse_input) return Dense<T>::n_tiles(true);
  return this->count_tiles(kBlasTileHeight, kBlasTilePanels);
}

template <class T>
typename BlasDense<T>::Tile BlasDense<T>::blas_tile(Index i) const {
  return this->tile_of(i, kBlasTileHeight, kBlasTilePanels);
}

template <class T>
void BlasDense<T>::tile_product(const Tile& t, MatrixView<const T> x,
                                MatrixView<const T> dz, T* out, Index out_stride,
                                bool add) const {
  blas_.product(
      t.n_in, t.n_panels * kPanel<T>, dz.rows, {x.data + t.first_in, x.stride, true},
      {dz.data + t.panel * kPanel<T>, dz.stride, false}, out, out_stride, add);
}

template <class T>
PenaltySums BlasDense<T>::update(Index i, const Trace<T>& batch, const Update<T>& rule,
                                 const FlatState<T>& state) {
  const Input<T>& x = batch.x;
  const MatrixView<const T> dz = batch.dz;
  if (x.is_sparse()) return Dense<T>::update(i, batch, rule, state);
  constexpr Index kStride = kBlasTilePanels * kPanel<T>;
  alignas(kCacheLine) T sums[static_cast<std::size_t>(kBlasTileHeight * kStride)];
  const Tile t = blas_tile(i);
  tile_product(t, x.dense, dz, sums, kStride, false);
  PenaltySums sums_of_weights;
  for_strips(t, [&](const Tile& strip) {
    const SummedTile<T> g{strip.n_in,
                          strip.n_panels,
                          sums + (strip.panel - t.panel) * kPanel<T>,
                          kStride,
                          this->layout_.panel_size,
                          this->layout_.row_stride};
    if (this->trained_.weights) {
      sums_of_weights.add(
          this->kernels_.step(g, rule, this->parameters_of(strip, state)));
    }
    this->update_bias(strip, dz, rule, state);
  });
  return sums_of_weights;
}

template <class T>
void BlasDense<T>::gradient(Index i, const Trace<T>& batch, T* gradient,
                            bool add) const {
  const Input<T>& x = batch.x;
  const MatrixView<const T> dz = batch.dz;
  if (x.is_sparse()) return Dense<T>::gradient(i, batch, gradient, add);
  const Tile t = blas_tile(i);
  tile_product(t, x.dense, dz, gradient + this->weights_offset() + this->place_of(t),
               this->layout_.row_stride, add);
  for_strips(t,
             [&](const Tile& strip) { this->bias_gradient(strip, dz, gradient, add); });
}

template class BlasDense<float>;
template class BlasDense<double>;

}  // namespace fastbp
