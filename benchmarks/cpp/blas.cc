// BLAS by its Fortran names, which every implementation has, with or without headers.
#include "blas.h"

extern "C" {
void sgemm_(const char* op_a, const char* op_b, const int* m, const int* n,
            const int* k, const float* alpha, const float* a, const int* lda,
            const float* b, const int* ldb, const float* beta, float* c,
            const int* ldc);
void dgemm_(const char* op_a, const char* op_b, const int* m, const int* n,
            const int* k, const double* alpha, const double* a, const int* lda,
            const double* b, const int* ldb, const double* beta, double* c,
            const int* ldc);
#if FASTBP_OPENBLAS
void openblas_set_num_threads(int n);
char* openblas_get_config();
#endif
}

namespace fastbp::bench {
namespace {

// Fortran's matrices are column-major: what it sees are the transposed ones, and
// c^T = op(b)^T op(a)^T.
template <class T, class Gemm>
void product(Gemm gemm, Op op_a, Op op_b, Index m, Index n, Index k, const T* a,
             const T* b, T* c) {
  const auto name = [](Op op) { return op == Op::kPlain ? "N" : "T"; };
  const int rows = static_cast<int>(m);
  const int cols = static_cast<int>(n);
  const int sum = static_cast<int>(k);
  const int lda = op_a == Op::kPlain ? sum : rows;
  const int ldb = op_b == Op::kPlain ? cols : sum;
  const T one = 1, zero = 0;
  gemm(name(op_b), name(op_a), &cols, &rows, &sum, &one, b, &ldb, a, &lda, &zero, c,
       &cols);
}

}  // namespace

void blas_product(Op op_a, Op op_b, Index m, Index n, Index k, const float* a,
                  const float* b, float* c) {
  product(sgemm_, op_a, op_b, m, n, k, a, b, c);
}

void blas_product(Op op_a, Op op_b, Index m, Index n, Index k, const double* a,
                  const double* b, double* c) {
  product(dgemm_, op_a, op_b, m, n, k, a, b, c);
}

#if FASTBP_OPENBLAS
void blas_on_one_thread() { openblas_set_num_threads(1); }
std::string blas_description() { return openblas_get_config(); }
#else
void blas_on_one_thread() {}
std::string blas_description() { return "not OpenBLAS; its own number of threads"; }
#endif

}  // namespace fastbp::bench
