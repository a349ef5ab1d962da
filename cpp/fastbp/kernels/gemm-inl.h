// Matrix products by tiles. One micro-kernel, `product`, computes a tile of any of the
// three products of backpropagation into a small buffer that stays in the L1 cache;
// what is then done with the tile (bias and activation, derivative, optimizer step) is
// an epilogue over it.
#pragma once

#include <utility>  // index_sequence

namespace fastbp {
namespace {

template <class T>
constexpr int kTileSize = kTileRows* kTilePanels* static_cast<int>(kPanel<T>);

// tile (kRows, kCols vectors) = sum over i < k of A(:, i) B(i, :), where
//   A(r, i) = a[r * a_stride + i], or a[i * a_stride + r] if kTransposed,
//   B(i, :) = rows of panels: b + panel * b_panel + i * b_stride.
// The rows of the tile are whole panels; what the vectors leave of a panel is zero.
template <class T, class V, bool kTransposed, int kCols, int kRows>
void product(Index k, const T* a, Index a_stride, const T* b, Index b_stride,
             Index b_panel, T* tile) {
  constexpr int kPanelVecs = static_cast<int>(kPanel<T>) / V::kLanes;
  constexpr int kTileCols = (kCols + kPanelVecs - 1) / kPanelVecs * kPanelVecs;
  constexpr Index kAhead = kTransposed ? kRowsAhead : kWeightsAhead;
  for (Index first = 0; first < k || first == 0; first += kSumChunk) {
    const Index last = k < first + kSumChunk ? k : first + kSumChunk;
    V sum[kRows][kCols];
    FASTBP_UNROLL
    for (int r = 0; r < kRows; ++r) {
      FASTBP_UNROLL
      for (int c = 0; c < kCols; ++c) sum[r][c] = V(0);
    }
    for (Index i = first; i < last; ++i) {
      // The rows of a batch lie further apart than the processor's own prefetching
      // reaches.
      if constexpr (kTransposed) prefetch_element(a, (i + kAhead) * a_stride);
      if constexpr (kAhead > 0) {
        FASTBP_UNROLL
        for (int c = 0; c < kCols; c += kPanelVecs)
          prefetch_element(b, (c / kPanelVecs) * b_panel + (i + kAhead) * b_stride);
      }
      V b_row[kCols];
      FASTBP_UNROLL
      for (int c = 0; c < kCols; ++c) {
        b_row[c] = V::load(b + (c / kPanelVecs) * b_panel + i * b_stride +
                           (c % kPanelVecs) * V::kLanes);
      }
      FASTBP_UNROLL
      for (int r = 0; r < kRows; ++r) {
        const V a_element(kTransposed ? a[i * a_stride + r] : a[r * a_stride + i]);
        FASTBP_UNROLL
        for (int c = 0; c < kCols; ++c) sum[r][c] = fma(a_element, b_row[c], sum[r][c]);
      }
    }
    FASTBP_UNROLL
    for (int r = 0; r < kRows; ++r) {
      FASTBP_UNROLL
      for (int c = 0; c < kTileCols; ++c) {
        T* out = tile + (r * kTileCols + c) * V::kLanes;
        if (c >= kCols) {
          V(0).store(out);
        } else {
          (first == 0 ? sum[r][c] : V::load(out) + sum[r][c]).store(out);
        }
      }
    }
  }
}

template <class T>
using Product = void (*)(Index, const T*, Index, const T*, Index, Index, T*);

// The micro-kernels by number of panels (0: half a panel) and of rows.
template <class T, bool kTransposed>
struct Products {
  Product<T> of[1 + kTilePanels][kTileRows];
};

template <class T, bool kTransposed, int... kRows>
constexpr Products<T, kTransposed> make_products(std::integer_sequence<int, kRows...>) {
  using Half = HalfVec<T>;
  constexpr int kHalf = static_cast<int>(kPanel<T>) / 2 / Half::kLanes;
  if constexpr (kTilePanels == 1) {
    return {{{product<T, Half, kTransposed, kHalf, kRows + 1>...},
             {product<T, Vec<T>, kTransposed, kVecs<T>, kRows + 1>...}}};
  } else {
    return {{{product<T, Half, kTransposed, kHalf, kRows + 1>...},
             {product<T, Vec<T>, kTransposed, kVecs<T>, kRows + 1>...},
             {product<T, Vec<T>, kTransposed, kTilePanels * kVecs<T>, kRows + 1>...}}};
  }
}

template <class T, bool kTransposed>
constexpr Products<T, kTransposed> kProducts =
    make_products<T, kTransposed>(std::make_integer_sequence<int, kTileRows>());

// Cuts n rows into tiles of at most kTileRows, as equal as possible: f(first, n_rows).
template <class F>
void for_row_tiles(Index n, F f) {
  const Index n_tiles = (n + kTileRows - 1) / kTileRows;
  if (n_tiles == 0) return;
  const Index n_rows = n / n_tiles, n_higher = n % n_tiles;
  for (Index t = 0, first = 0; t < n_tiles; ++t) {
    const Index height = n_rows + (t < n_higher);
    f(first, static_cast<int>(height));
    first += height;
  }
}

// Likewise panels: f(first, n_panels, products), with the micro-kernels of that width.
// A half panel is a tile of its own.
template <class T, bool kTransposed, class F>
void for_panel_tiles(Index n, bool is_half_panel, F f) {
  const Index n_whole = is_half_panel ? n - 1 : n;
  for (Index p = 0; p < n;) {
    const bool is_half = p >= n_whole;
    const Index left = (is_half ? n : n_whole) - p;
    const int width = static_cast<int>(left < kTilePanels ? left : kTilePanels);
    f(p, width, kProducts<T, kTransposed>.of[is_half ? 0 : width]);
    p += width;
  }
}

// Calls use(r, at) for each vector of some rows: that of row r from column `at`. `use`
// has what it needs by value: behind a reference it might be changed by what it stores.
template <class T, class Use>
void for_vectors(int n_rows, Index n_columns, Use use) {
  for (int r = 0; r < n_rows; ++r) {
    for (Index at = 0; at < n_columns; at += Vec<T>::kLanes) use(r, at);
  }
}

// Epilogue of the forward pass for the tile at (row, panel).
template <class T>
void finish_forward(const Forward<T>& f, const T* tile, Index row, int n_rows,
                    Index panel, int n_panels) {
  const Index n_columns = n_panels * kPanel<T>;
  const T* bias = f.bias + panel * kPanel<T>;
  const Index y_stride = f.y_stride;
  T* y = f.y + row * y_stride + panel * kPanel<T>;
  const auto pre_activation = [=](int r, Index at) {
    return Vec<T>::load(tile + r * n_columns + at) + Vec<T>::load(bias + at);
  };
  with_activation<T>(f.activation, f.slope, [&](auto activation) {
    if constexpr (requires(Vec<T> z) { activation.both(z); }) {
      if (f.derivative != nullptr) {
        const Index stride = f.derivative_stride;
        T* derivative = f.derivative + row * stride + panel * kPanel<T>;
        return for_vectors<T>(n_rows, n_columns, [=](int r, Index at) {
          const Smooth<T> both = activation.both(pre_activation(r, at));
          both.value.store(y + r * y_stride + at);
          both.derivative.store(derivative + r * stride + at);
        });
      }
    }
    for_vectors<T>(n_rows, n_columns, [=](int r, Index at) {
      activation.value(pre_activation(r, at)).store(y + r * y_stride + at);
    });
  });
}

template <class T>
void forward(const Forward<T>& f) {
  alignas(kCacheLine) T tile[kTileSize<T>];
  for_panel_tiles<T, false>(f.n_panels, f.is_half_panel,
                            [&](Index panel, int n_panels, const Product<T>* products) {
                              for_row_tiles(f.n_rows, [&](Index row, int n_rows) {
                                products[n_rows - 1](f.n_in, f.x + row * f.x_stride,
                                                     f.x_stride,
                                                     f.weights + panel * f.panel_size,
                                                     f.row_stride, f.panel_size, tile);
                                finish_forward(f, tile, row, n_rows, panel, n_panels);
                              });
                            });
}

// Epilogue of the backward pass for the tile at (row, panel).
template <class T>
void finish_backward(const Backward<T>& b, const T* tile, Index row, int n_rows,
                     Index panel, int n_panels) {
  const Index n_columns = n_panels * kPanel<T>;
  const Index x_stride = b.x_stride, dx_stride = b.dx_stride;
  const T* x = b.x + row * x_stride + panel * kPanel<T>;
  T* dx = b.dx + row * dx_stride + panel * kPanel<T>;
  with_activation<T>(b.activation, b.slope, [&](auto activation) {
    for_vectors<T>(n_rows, n_columns, [=](int r, Index at) {
      const auto d = Vec<T>::load(tile + r * n_columns + at);
      activation.chain(Vec<T>::load(x + r * x_stride + at), d)
          .store(dx + r * dx_stride + at);
    });
  });
}

// The product is in y already.
template <class T>
void activate(const Forward<T>& f) {
  for (Index r = 0; r < f.n_rows; ++r) {
    finish_forward(f, f.y + r * f.y_stride, r, 1, 0, static_cast<int>(f.n_panels));
  }
}

// The product is in dx already.
template <class T>
void chain(const Backward<T>& b) {
  for (Index r = 0; r < b.n_rows; ++r) {
    finish_backward(b, b.dx + r * b.dx_stride, r, 1, 0, static_cast<int>(b.n_panels));
  }
}

// What the epilogue reads arrives while the product is computed.
template <class T>
void prefetch_chain(const Backward<T>& b, Index row, int n_rows, Index panel,
                    int n_panels) {
  for (int r = 0; r < n_rows; ++r) {
    prefetch(b.x + (row + r) * b.x_stride + panel * kPanel<T>, n_panels * kCacheLine);
  }
}

template <class T>
void backward(const Backward<T>& b) {
  alignas(kCacheLine) T tile[kTileSize<T>];
  const Index panel_size = b.mirror_rows * kPanel<T>;
  for_panel_tiles<T, false>(b.n_panels, b.is_half_panel,
                            [&](Index panel, int n_panels, const Product<T>* products) {
                              for_row_tiles(b.n_rows, [&](Index row, int n_rows) {
                                prefetch_chain(b, row, n_rows, panel, n_panels);
                                products[n_rows - 1](b.n_out, b.dz + row * b.dz_stride,
                                                     b.dz_stride,
                                                     b.mirror + panel * panel_size,
                                                     kPanel<T>, panel_size, tile);
                                finish_backward(b, tile, row, n_rows, panel, n_panels);
                              });
                            });
}

// What comes after a chunk of dz, as a rule: the next chunk, or the first one of the
// columns beside the tile. Its rows are scattered over as many pages, and in the
// third-level cache, unless the whole chunk is small; they are asked for little by
// little.
template <class T>
struct NextColumns {
  // Of them a second-level cache has enough left, beside x and the parameters.
  static constexpr Index kNearBytes = 1 << 18;

  const T* dz;
  Index n_rows, share;  // that falls to each row of the tile

  NextColumns(const GradientTile<T>& g, Index end_of_chunk)
      : dz(g.dz + g.n_panels * kPanel<T>), n_rows(g.n_batch) {
    if (end_of_chunk < g.n_batch) {
      dz = g.dz + end_of_chunk * g.dz_stride;
      n_rows -= end_of_chunk;
    }
    if (n_rows > kSumChunk) n_rows = kSumChunk;
    const bool is_near = n_rows * g.dz_stride * Index{sizeof(T)} <= kNearBytes;
    // Biases come before the weights of the same columns, which will ask.
    const bool asks = kColumnsAhead && !is_near && g.n_in > 1;
    share = asks ? (n_rows + g.n_in - 1) / g.n_in : 0;
  }

  void prefetch_part(Index dz_stride, Index row, int height, Index panel,
                     int n_panels) const {
    const Index end = (row + height) * share;
    for (Index i = row * share; i < end && i < n_rows; ++i) {
      prefetch(dz + i * dz_stride + panel * kPanel<T>, n_panels * kCacheLine);
    }
  }
};

// The sums of a gradient's tile: soon(row, n_rows, panel, n_panels) before the last
// part of some rows is computed, then use(sums, stride, panel, n_panels), where row r
// of panel + p is at sums + r * stride + p * kPanel. Whole panels, because what the
// sums are for lies in memory, which is fast in long runs. All panels come to an end of
// a chunk of the batch before the next begins: its part of x stays in the cache.
template <class T, class Soon, class Use>
void for_gradient_sums(const GradientTile<T>& g, Soon soon, Use use) {
  alignas(kCacheLine) T tile[kTileSize<T>];
  alignas(kCacheLine) T tile_sums[kMaxTileHeight * kMaxTilePanels * kPanel<T>];
  for (Index first = 0; first < g.n_batch || first == 0; first += kSumChunk) {
    const bool is_last = g.n_batch - first <= kSumChunk;
    const Index end = is_last ? g.n_batch : first + kSumChunk;
    const NextColumns<T> next(g, end);
    for_panel_tiles<T, true>(
        g.n_panels, g.is_half_panel,
        [&](Index panel, int n_panels, const Product<T>* products) {
          const Index stride = n_panels * kPanel<T>;
          T* sums = tile_sums + panel * g.n_in * kPanel<T>;
          for_row_tiles(g.n_in, [&](Index row, int n_rows) {
            next.prefetch_part(g.dz_stride, row, n_rows, panel, n_panels);
            if (is_last) soon(row, n_rows, panel, n_panels);
            T* sum = sums + row * stride;
            products[n_rows - 1](end - first, g.x + first * g.x_stride + row,
                                 g.x_stride,
                                 g.dz + first * g.dz_stride + panel * kPanel<T>,
                                 g.dz_stride, kPanel<T>, first == 0 ? sum : tile);
            if (first == 0) return;
            for (Index i = 0; i < n_rows * stride; i += Vec<T>::kLanes) {
              (Vec<T>::load(sum + i) + Vec<T>::load(tile + i)).store(sum + i);
            }
          });
          if (is_last) use(sums, stride, panel, n_panels);
        });
  }
}

}  // namespace
}  // namespace fastbp
