// All kernels for one instruction set. This file is compiled once for each, with the
// flags of that set and FASTBP_ISA naming it.
//
// It must not let any function escape that another file may share: the linker keeps one
// copy of an inline function, and if that is the one with AVX-512 instructions, a
// processor without them dies in code that has nothing to do with kernels. Hence no
// containers or algorithms here, everything in an anonymous namespace, and one exported
// constant (the test cpp.weak_symbols looks at the object files).
#include <cstdint>

#define FASTBP_QUOTE_(x) #x
#define FASTBP_QUOTE(x) FASTBP_QUOTE_(x)
#define FASTBP_JOIN_(a, b) a##b
#define FASTBP_JOIN(a, b) FASTBP_JOIN_(a, b)

// Each builds on those above it.
// clang-format off
#include "fastbp/base/prefetch.h"
#include "fastbp/kernels/kernels.h"
#include FASTBP_SIMD_HEADER
#include "fastbp/kernels/math-inl.h"
#include "fastbp/kernels/panel-inl.h"
#include "fastbp/kernels/smooth-inl.h"
#include "fastbp/kernels/activation-inl.h"
#include "fastbp/kernels/gemm-inl.h"
#include "fastbp/kernels/sparse-inl.h"
#include "fastbp/kernels/update-inl.h"
#include "fastbp/kernels/norm-inl.h"
#include "fastbp/kernels/dropout-inl.h"
#include "fastbp/kernels/output-inl.h"
#include "fastbp/kernels/label_loss-inl.h"
#include "fastbp/kernels/loss-inl.h"
// clang-format on

namespace fastbp {
namespace {

template <class T>
constexpr Kernels<T> table() {
  using V = Vec<T>;
  return {
      forward<T>,
      sparse_forward<T>,
      backward<T>,
      store_gradient<T, GradientTile<T>>,
      store_gradient<T, SparseGradientTile<T>>,
      update<T, GradientTile<T>>,
      update<T, SparseGradientTile<T>>,
      activate<T>,
      chain<T>,
      update<T, SummedTile<T>>,
      column_squares<T>,
      scale_columns<T>,
      average<T>,
      layer_norm<T>,
      layer_norm_backward<T>,
      batch_norm<T>,
      batch_norm_backward<T>,
      column_statistics<T>,
      norm_sums<T, RowStatistics<T>>,
      norm_sums<T, ColumnStatistics<T>>,
      philox,
      dropout<T>,
      sparse_dropout<T>,
      transpose<T>,
      loss<T>,
      output<T>,
      [](Index n, const T* x, T* y) {
        elementwise(n, x, y, [](V v) { return exp(v); });
      },
      [](Index n, const T* x, T* y) {
        elementwise(n, x, y, [](V v) { return log(v); });
      },
      [](Index n, const T* x, T* y) {
        elementwise(n, x, y, [](V v) { return tanh(v); });
      },
      [](Index n, const T* x, T* y) {
        elementwise(n, x, y, [](V v) { return logistic(v); });
      },
  };
}

}  // namespace

extern const KernelTable FASTBP_JOIN(kKernels_, FASTBP_ISA);
const KernelTable FASTBP_JOIN(kKernels_, FASTBP_ISA) = {
    FASTBP_QUOTE(FASTBP_ISA), table<float>(), table<double>()};

}  // namespace fastbp
