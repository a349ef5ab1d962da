// The first layer on sparse rows: work in proportion to the non-zeros.
#pragma once

namespace fastbp {
namespace {

// The rows of the weights that the non-zeros pick are far apart: they are asked for
// this many non-zeros ahead.
constexpr Index kEntriesAhead = 16;

// One row, kPanels panels: the sums stay in registers while the non-zeros pass.
template <class T, int kPanels>
void sparse_row_product(const Entry<T>* entry, const Entry<T>* end, const T* weights,
                        Index panel_size, Index row_stride, T* tile) {
  using V = Vec<T>;
  constexpr int kCols = kPanels * kVecs<T>;
  constexpr int kPanelVecs = kVecs<T>;
  V sum[kCols];
  FASTBP_UNROLL
  for (int c = 0; c < kCols; ++c) sum[c] = V(0);
  for (; entry != end; ++entry) {
    if (end - entry > kEntriesAhead) {
      const T* soon = weights + entry[kEntriesAhead].col * row_stride;
      for (int p = 0; p < kPanels; ++p) prefetch(soon + p * panel_size, kCacheLine);
    }
    const T* row = weights + entry->col * row_stride;
    const V x(entry->value);
    FASTBP_UNROLL
    for (int c = 0; c < kCols; ++c) {
      const T* w = row + (c / kPanelVecs) * panel_size + (c % kPanelVecs) * V::kLanes;
      sum[c] = fma(x, V::load(w), sum[c]);
    }
  }
  FASTBP_UNROLL
  for (int c = 0; c < kCols; ++c) sum[c].store(tile + c * V::kLanes);
}

template <class T>
void sparse_forward(const Forward<T>& f, const SparseRows<T>& x) {
  constexpr int kWide = 4;  // panels at once: 4 independent chains hide the latency
  alignas(kCacheLine) T tile[kWide * kPanel<T>];
  for (Index r = 0; r < f.n_rows; ++r) {
    const Entry<T>* first = x.entries + x.first[r];
    const Entry<T>* end = x.entries + x.last[r];
    for (Index panel = 0; panel < f.n_panels;) {
      const bool wide = panel + kWide <= f.n_panels;
      const auto row_product =
          wide ? sparse_row_product<T, kWide> : sparse_row_product<T, 1>;
      row_product(first, end, f.weights + panel * f.panel_size, f.panel_size,
                  f.row_stride, tile);
      finish_forward(f, tile, r, 1, panel, wide ? kWide : 1);
      panel += wide ? kWide : 1;
    }
  }
}

// First entry of a row whose column is not less than col. Every step halves the range
// whatever it finds, so that there is no branch to mispredict.
template <class T>
const Entry<T>* lower_bound(const Entry<T>* first, const Entry<T>* end, Index col) {
  Index n = end - first;
  while (n > 0) {
    const Index half = (n + 1) / 2;
    first = first[half - 1].col < col ? first + half : first;
    n -= half;
  }
  return first;
}

// total (+)= tile, which is zero then.
template <class T>
void move_sums(T* tile, Index n, T* total, bool is_first) {
  for (Index i = 0; i < n; ++i) {
    total[i] = is_first ? tile[i] : total[i] + tile[i];
    tile[i] = 0;
  }
}

template <class T, class Soon, class Use>
void for_gradient_sums(const SparseGradientTile<T>& g, Soon, Use use) {
  using V = Vec<T>;
  constexpr Index kMost = kSparseTileRows * kMaxTilePanels * kPanel<T>;
  alignas(kCacheLine) T tile[kMost], total[kMost];
  const Index width = g.n_panels * kPanel<T>;
  const Index size = g.n_in * width;
  for (Index i = 0; i < size; ++i) tile[i] = 0;
  const Index last_in = g.first_in + g.n_in;
  for (Index r = 0; r < g.n_batch; ++r) {
    if (r > 0 && r % kSparseSumChunk == 0)
      move_sums(tile, size, total, r == kSparseSumChunk);
    const Entry<T>* end = g.x.entries + g.x.last[r];
    const T* dz = g.dz + r * g.dz_stride;
    for (auto e = lower_bound(g.x.entries + g.x.first[r], end, g.first_in);
         e != end && e->col < last_in; ++e) {
      T* sum = tile + (e->col - g.first_in) * width;
      for (Index c = 0; c < width; c += V::kLanes) {
        fma(V(e->value), V::load(dz + c), V::load(sum + c)).store(sum + c);
      }
    }
  }
  const bool is_whole = g.n_batch <= kSparseSumChunk;
  if (!is_whole) move_sums(tile, size, total, false);
  use(is_whole ? tile : total, width, Index{0}, static_cast<int>(g.n_panels));
}

}  // namespace
}  // namespace fastbp
