// Normalization and dropout, on rows as wide as those of a hidden layer.
#include "bench.h"
#include "fastbp/base/matrix_view.h"

namespace fastbp::bench {
namespace {

constexpr Index kRows = 128, kUnits = 256;

// All arrays that the kernels of a norm take.
template <class T>
struct NormArrays {
  static constexpr Index kStride = padded_stride<T>(kUnits);
  Buffer<T> x = random_buffer<T>(kRows * kStride);
  Buffer<T> dz = random_buffer<T>(kRows * kStride);
  Buffer<T> gain = random_buffer<T>(kUnits, 0.5, 1.5), bias = random_buffer<T>(kUnits);
  Buffer<T> statistics = random_buffer<T>(2 * kRows * kStride, 0.5, 1.5);
  Buffer<T> sums = random_buffer<T>(2 * kStride);
  Buffer<T> weights = random_buffer<T>(kRows, 0.5, 1.5);
  Buffer<T> y = Buffer<T>(kRows * kStride);

  Normalized<T> normalized() {
    return {kRows, kUnits, x.data(), kStride, statistics.data(), kStride};
  }
  NormForward<T> forward() {
    return {normalized(), gain.data(), bias.data(), Activation::kRelu, 0,
            y.data(),     kStride};
  }
  NormBackward<T> backward() {
    return {normalized(), gain.data(), dz.data(), kStride,        y.data(),
            kStride,      sums.data(), kStride,   weights.data(), T(kRows)};
  }
};

template <class T, class Run>
void norm(benchmark::State& state, const Run& run) {
  NormArrays<T> arrays;
  for (auto _ : state) {
    run(arrays);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows * kUnits);
  count_bytes(state, 2.0 * kRows * kUnits * sizeof(T));
}

template <class T>
void add_norms() {
  using K = const Kernels<T>&;
  add_for<T>("layer_norm", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) { kernels.layer_norm(a.forward()); });
  });
  add_for<T>("layer_norm_backward", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) { kernels.layer_norm_backward(a.backward()); });
  });
  add_for<T>("layer_norm_sums", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) {
      T dz_sums[kPanel<T>], dzn_sums[kPanel<T>];
      for (Index panel = 0; panel < n_panels<T>(kUnits); ++panel)
        kernels.layer_norm_sums(a.backward(), panel, dz_sums, dzn_sums);
    });
  });
  add_for<T>("batch_norm", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) { kernels.batch_norm(a.forward()); });
  });
  add_for<T>("batch_norm_backward", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) { kernels.batch_norm_backward(a.backward()); });
  });
  add_for<T>("column_statistics", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) {
      T mean[kPanel<T>], scale[kPanel<T>];
      for (Index panel = 0; panel < n_panels<T>(kUnits); ++panel)
        kernels.column_statistics({kRows, a.x.data() + panel * kPanel<T>, a.kStride,
                                   a.weights.data(), T(kRows), mean, scale, nullptr,
                                   nullptr, 1});
    });
  });
  add_for<T>("dropout", [](auto& state, K kernels) {
    norm<T>(state, [&](auto& a) {
      kernels.dropout({kRows,
                       n_panels<T>(kUnits),
                       a.x.data(),
                       a.kStride,
                       a.y.data(),
                       a.kStride,
                       {0, 1, 2, 3, 4},
                       T(16384),
                       T(4.0 / 3)});
    });
  });
}

}  // namespace

void add_norm() {
  add_norms<float>();
  add_norms<double>();
}

}  // namespace fastbp::bench
