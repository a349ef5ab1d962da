// The three matrix products of a dense layer, at the shapes of the jobs in cases.py:
// forward and backward for a block of rows, the weight gradient for a batch. The
// activation is the identity, so that the rows compare with a plain product.
#include <algorithm>

#include "bench.h"
#include "blas.h"
#include "fastbp/base/matrix_view.h"

namespace fastbp::bench {
namespace {

struct Layer {
  const char* job;
  Index n_block;  // rows of a row task; 128 at most
  Index n_batch;
  Index n_in, n_out;
};

constexpr Layer kLayers[] = {
    {"digits", 32, 32, 64, 32},         {"digits-out", 32, 32, 32, 10},
    {"book", 10, 10, 784, 30},          {"book-out", 10, 10, 30, 10},
    {"default", 128, 200, 784, 100},    {"default-out", 128, 200, 100, 10},
    {"regress-out", 64, 64, 64, 1},     {"tabular", 128, 256, 256, 256},
    {"tabular-out", 128, 256, 256, 10}, {"wide-in", 128, 512, 784, 1024},
    {"wide", 128, 512, 1024, 1024},     {"big-in", 128, 1024, 784, 2048},
    {"big", 128, 1024, 2048, 2048},
};

double flop(Index rows, const Layer& l) {
  return 2.0 * static_cast<double>(rows * l.n_in * l.n_out);
}

std::string name(const char* kind, const Layer& l, Index rows) {
  return std::string(kind) + "/" + l.job + "/" + shape_name({rows, l.n_in, l.n_out});
}

// A batch's matrix as it lies in memory.
template <class T>
struct Matrix {
  Index stride;
  Buffer<T> buffer;
  Matrix(Index rows, Index cols)
      : stride(padded_stride<T>(cols)), buffer(random_buffer<T>(rows * stride)) {}
  T* data() { return buffer.data(); }
};

// --- Ours --------------------------------------------------------------------------

template <class T>
void forward(benchmark::State& state, const Kernels<T>& kernels, const Layer& l) {
  const Index width = n_panels<T>(l.n_out) * kPanel<T>;
  Matrix<T> x(l.n_block, l.n_in), y(l.n_block, l.n_out);
  const auto weights = random_buffer<T>(l.n_in * width);
  const auto bias = random_buffer<T>(width);
  const Forward<T> f{l.n_block,
                     l.n_in,
                     n_panels<T>(l.n_out),
                     x.data(),
                     x.stride,
                     weights.data(),
                     bias.data(),
                     Activation::kIdentity,
                     T{0},
                     y.data(),
                     y.stride,
                     has_half_panel<T>(l.n_out)};
  for (auto _ : state) {
    kernels.forward(f);
    benchmark::ClobberMemory();
  }
  count_flop(state, flop(l.n_block, l));
}

template <class T>
void backward(benchmark::State& state, const Kernels<T>& kernels, const Layer& l) {
  const Index mirror_rows = n_panels<T>(l.n_out) * kPanel<T>;
  const Index width = n_panels<T>(l.n_in) * kPanel<T>;
  Matrix<T> dz(l.n_block, l.n_out), x(l.n_block, l.n_in), dx(l.n_block, l.n_in);
  const auto mirror = random_buffer<T>(mirror_rows * width);
  const Backward<T> b{l.n_block,
                      l.n_out,
                      n_panels<T>(l.n_in),
                      dz.data(),
                      dz.stride,
                      mirror.data(),
                      mirror_rows,
                      Activation::kIdentity,
                      T{0},
                      x.data(),
                      x.stride,
                      dx.data(),
                      dx.stride,
                      has_half_panel<T>(l.n_in)};
  for (auto _ : state) {
    kernels.backward(b);
    benchmark::ClobberMemory();
  }
  count_flop(state, flop(l.n_block, l));
}

// Calls use(tile, offset of the tile in the layer's weights) for each parameter task,
// cut as in nn/dense.cc, but not ordered in blocks of columns.
template <class T, class Use>
void for_tiles(const Layer& l, Matrix<T>& x, Matrix<T>& dz, const Use& use) {
  const Index height =
      round_up(ceil_div(l.n_in, ceil_div(l.n_in, kMaxTileHeight)), kPanel<T>);
  const Index panel_size = l.n_in * kPanel<T>;
  for (Index first = 0; first < l.n_in; first += height) {
    for (Index panel = 0; panel < n_panels<T>(l.n_out); panel += kMaxTilePanels) {
      const Index width = std::min(kMaxTilePanels, n_panels<T>(l.n_out) - panel);
      const bool is_last = panel + width == n_panels<T>(l.n_out);
      const GradientTile<T> tile{l.n_batch,
                                 std::min(height, l.n_in - first),
                                 width,
                                 x.data() + first,
                                 x.stride,
                                 dz.data() + panel * kPanel<T>,
                                 dz.stride,
                                 panel_size,
                                 is_last && has_half_panel<T>(l.n_out)};
      use(tile, panel * panel_size + first * kPanel<T>);
    }
  }
}

template <class T>
void gradient(benchmark::State& state, const Kernels<T>& kernels, const Layer& l) {
  Matrix<T> x(l.n_batch, l.n_in), dz(l.n_batch, l.n_out);
  Buffer<T> out(l.n_in * n_panels<T>(l.n_out) * kPanel<T>);
  for (auto _ : state) {
    for_tiles(l, x, dz, [&](const GradientTile<T>& tile, Index at) {
      kernels.gradient(tile, out.data() + at, false);
    });
    benchmark::ClobberMemory();
  }
  count_flop(state, flop(l.n_batch, l));
}

// With Adam's step, whose operations are not counted.
template <class T>
void update(benchmark::State& state, const Kernels<T>& kernels, const Layer& l) {
  Matrix<T> x(l.n_batch, l.n_in), dz(l.n_batch, l.n_out);
  const Index size = l.n_in * n_panels<T>(l.n_out) * kPanel<T>;
  auto weights = random_buffer<T>(size);
  auto moment_1 = random_buffer<T>(size), moment_2 = random_buffer<T>(size, 0, 1);
  const auto adam = standing_update<T>(Rule::kAdam, l.n_batch);
  for (auto _ : state) {
    for_tiles(l, x, dz, [&](const GradientTile<T>& tile, Index at) {
      kernels.update(tile, adam,
                     {weights.data() + at, moment_1.data() + at, moment_2.data() + at});
    });
    benchmark::ClobberMemory();
  }
  count_flop(state, flop(l.n_batch, l));
}

// --- BLAS --------------------------------------------------------------------------

struct BlasShape {
  Op op_a, op_b;
  Index m, n, k;
};

template <class T>
void blas(benchmark::State& state, const BlasShape& s) {
  const auto a = random_buffer<T>(s.m * s.k);
  const auto b = random_buffer<T>(s.k * s.n);
  Buffer<T> c(s.m * s.n);
  for (auto _ : state) {
    blas_product(s.op_a, s.op_b, s.m, s.n, s.k, a.data(), b.data(), c.data());
    benchmark::ClobberMemory();
  }
  count_flop(state, 2.0 * static_cast<double>(s.m * s.n * s.k));
}

template <class T>
void add_blas(const std::string& name, const BlasShape& s) {
  if constexpr (kHaveBlas) {
    benchmark::RegisterBenchmark((name + "/" + kTypeName<T> + "/blas").c_str(),
                                 [s](benchmark::State& state) { blas<T>(state, s); });
  }
}

// Ours and BLAS beside it.
template <class Run>
void add_product(const std::string& name, const Run& run, const BlasShape& shape) {
  add_for<float>(name, run);
  add_blas<float>(name, shape);
  add_for<double>(name, run);
  add_blas<double>(name, shape);
}

}  // namespace

void add_products() {
  for (const Layer& l : kLayers) {
    add_product(name("forward", l, l.n_block),
                [&l](auto& state, const auto& kernels) { forward(state, kernels, l); },
                {Op::kPlain, Op::kPlain, l.n_block, l.n_out, l.n_in});
  }
  for (const Layer& l : kLayers) {
    add_product(name("backward", l, l.n_block),
                [&l](auto& state, const auto& kernels) { backward(state, kernels, l); },
                {Op::kPlain, Op::kTransposed, l.n_block, l.n_in, l.n_out});
  }
  for (const Layer& l : kLayers) {
    add_product(name("gradient", l, l.n_batch),
                [&l](auto& state, const auto& kernels) { gradient(state, kernels, l); },
                {Op::kTransposed, Op::kPlain, l.n_in, l.n_out, l.n_batch});
  }
  for (const Layer& l : kLayers) {
    add(name("update", l, l.n_batch),
        [&l](auto& state, const auto& kernels) { update(state, kernels, l); });
  }
}

}  // namespace fastbp::bench
