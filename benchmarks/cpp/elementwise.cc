// Elementary functions, activations and losses.
#include <vector>

#include "bench.h"
#include "fastbp/base/matrix_view.h"
#include "fastbp/nn/loss.h"

namespace fastbp::bench {
namespace {

constexpr Index kRows = 128;  // of a row task

// --- Elementary functions ----------------------------------------------------------

template <class T>
using Function = void (*Kernels<T>::*)(Index, const T*, T*);

// Input and output together fit in the L1 cache.
template <class T>
void function(benchmark::State& state, const Kernels<T>& kernels, Function<T> f,
              double low, double high) {
  constexpr Index kSize = 2048;
  const auto x = random_buffer<T>(kSize, low, high);
  Buffer<T> y(kSize);
  for (auto _ : state) {
    (kernels.*f)(kSize, x.data(), y.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kSize);
  count_bytes(state, 2.0 * kSize * sizeof(T));
}

template <class T>
void add_functions() {
  const auto add_function = [](const char* name, Function<T> f, double low,
                               double high) {
    add_for<T>(std::string("function/") + name, [=](auto& state, const auto& kernels) {
      function<T>(state, kernels, f, low, high);
    });
  };
  add_function("exp", &Kernels<T>::exp, -5, 5);
  add_function("log", &Kernels<T>::log, 0.01, 5);
  add_function("tanh", &Kernels<T>::tanh, -5, 5);
  add_function("logistic", &Kernels<T>::logistic, -5, 5);
}

// --- Activations -------------------------------------------------------------------

constexpr struct {
  const char* name;
  Activation kind;
} kActivations[] = {{"identity", Activation::kIdentity},
                    {"logistic", Activation::kLogistic},
                    {"tanh", Activation::kTanh},
                    {"relu", Activation::kRelu},
                    {"leaky_relu", Activation::kLeakyRelu},
                    {"elu", Activation::kElu},
                    {"selu", Activation::kSelu},
                    {"hard_tanh", Activation::kHardTanh},
                    {"gelu", Activation::kGelu},
                    {"silu", Activation::kSilu},
                    {"mish", Activation::kMish},
                    {"softplus", Activation::kSoftplus}};

constexpr Index kUnits = 128;  // of the layer

// What the products do with a finished tile: of an empty sum, so that nothing else is
// measured.
template <class T>
void activation(benchmark::State& state, const Kernels<T>& kernels, Activation kind) {
  constexpr Index kStride = padded_stride<T>(kUnits);
  const auto bias = random_buffer<T>(kUnits, -5, 5);
  Buffer<T> y(kRows * kStride);
  const T nothing{};
  const Forward<T> f{kRows,       0,      n_panels<T>(kUnits),
                     &nothing,    0,      &nothing,
                     bias.data(), kind,   T(0.01),
                     y.data(),    kStride};
  for (auto _ : state) {
    kernels.forward(f);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows * kUnits);
  count_bytes(state, 1.0 * kRows * kUnits * sizeof(T));
}

template <class T>
void derivative(benchmark::State& state, const Kernels<T>& kernels, Activation kind) {
  constexpr Index kStride = padded_stride<T>(kUnits);
  const auto x = random_buffer<T>(kRows * kStride);
  Buffer<T> dx(kRows * kStride);
  const T nothing{};
  const Backward<T> b{
      kRows,    0,       n_panels<T>(kUnits), &nothing, 0, &nothing, 0, kind, T(0.01),
      x.data(), kStride, dx.data(),           kStride};
  for (auto _ : state) {
    kernels.backward(b);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows * kUnits);
  count_bytes(state, 2.0 * kRows * kUnits * sizeof(T));
}

// --- Losses ------------------------------------------------------------------------

struct LossCase {
  const char* name;
  Loss kind;
  Index n_outputs;
};

constexpr LossCase kLosses[] = {
    {"softmax_cross_entropy", Loss::kSoftmaxCrossEntropy, 10},
    {"softmax_cross_entropy", Loss::kSoftmaxCrossEntropy, 100},
    {"binary_cross_entropy", Loss::kBinaryCrossEntropy, 1},
    {"binary_cross_entropy", Loss::kBinaryCrossEntropy, 10},
    {"squared_error", Loss::kSquaredError, 1},
    {"squared_error", Loss::kSquaredError, 10},
    {"poisson", Loss::kPoisson, 1},
    {"huber", Loss::kHuber, 1},
    {"log_cosh", Loss::kLogCosh, 1},
    {"cross_entropy", Loss::kCrossEntropy, 10},
    {"focal", Loss::kFocal, 10},
};

template <class T>
void loss(benchmark::State& state, const Kernels<T>& kernels, const LossCase& l) {
  const Index stride = padded_stride<T>(l.n_outputs);
  const auto z = random_buffer<T>(kRows * stride, -3, 3);
  const auto y = random_buffer<T>(kRows * stride, 0, 1);
  const auto weights = random_buffer<T>(kRows, 0.5, 1.5);
  std::vector<Index> labels;
  for (Index r = 0; r < kRows; ++r) labels.push_back(r % l.n_outputs);
  Buffer<T> dz(kRows * stride), losses(kRows);
  const LossBlock<T> block{kRows,         l.n_outputs, z.data(),     stride,
                           labels.data(), y.data(),    stride,       weights.data(),
                           dz.data(),     stride,      losses.data()};
  for (auto _ : state) {
    kernels.loss(LossSettings(l.kind), block);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows * l.n_outputs);
  count_bytes(state, static_cast<double>(kRows * l.n_outputs) * 3 * sizeof(T));
}

// z is overwritten: with numbers of the same kind, from the second time on.
template <class T>
void output(benchmark::State& state, const Kernels<T>& kernels, const LossCase& l) {
  const Index stride = padded_stride<T>(l.n_outputs);
  auto z = random_buffer<T>(kRows * stride, -3, 3);
  Buffer<T> p(kRows * l.n_outputs);
  for (auto _ : state) {
    kernels.output(natural_output(l.kind),
                   {kRows, l.n_outputs, z.data(), stride, p.data(), l.n_outputs});
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * kRows * l.n_outputs);
  count_bytes(state, static_cast<double>(kRows * l.n_outputs) * 2 * sizeof(T));
}

}  // namespace

void add_elementwise() {
  add_functions<float>();
  add_functions<double>();
  for (const auto& a : kActivations) {
    const auto kind = a.kind;
    add(std::string("activation/") + a.name,
        [=](auto& state, const auto& kernels) { activation(state, kernels, kind); });
    add(std::string("derivative/") + a.name,
        [=](auto& state, const auto& kernels) { derivative(state, kernels, kind); });
  }
  for (const LossCase& l : kLosses) {
    const std::string name =
        std::string(l.name) + "/" + shape_name({kRows, l.n_outputs});
    add("loss/" + name,
        [&l](auto& state, const auto& kernels) { loss(state, kernels, l); });
    add("output/" + name,
        [&l](auto& state, const auto& kernels) { output(state, kernels, l); });
  }
}

}  // namespace fastbp::bench
