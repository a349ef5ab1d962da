// The system's BLAS, for comparison. Without one (FASTBP_BLAS=0) there is nothing to
// call, and its rows are absent.
#pragma once

#include <string>

#include "fastbp/base/index.h"

namespace fastbp::bench {

inline constexpr bool kHaveBlas = FASTBP_BLAS;

enum class Op { kPlain, kTransposed };

// c (m, n) = op(a) op(b), summed over k; row-major, without gaps between the rows.
void blas_product(Op op_a, Op op_b, Index m, Index n, Index k, const float* a,
                  const float* b, float* c);
void blas_product(Op op_a, Op op_b, Index m, Index n, Index k, const double* a,
                  const double* b, double* c);

#if FASTBP_BLAS
// Our rows are of one thread too. Only OpenBLAS can be told by a call; others read
// variables such as MKL_NUM_THREADS when they are loaded.
void blas_on_one_thread();
std::string blas_description();
#else
inline void blas_on_one_thread() {}
inline std::string blas_description() { return "none"; }
#endif

}  // namespace fastbp::bench
