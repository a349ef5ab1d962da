// A BLAS of one function: gemm as its documentation defines it, column-major, by naive
// loops. Nothing but the pointer to it is known to the core, as with a real one.
#pragma once

#include "fastbp/kernels/blas.h"

namespace fastbp::testing {

// Sums start at another place for each number of columns, which are the rows of the
// core: results show in their last bits how the rows were cut into blocks.
template <class T, class Int>
void naive_gemm(char* op_a, char* op_b, Int* m, Int* n, Int* k, T* alpha, T* a,
                Int* lda, T* b, Int* ldb, T* beta, T* c, Int* ldc) {
  const Int start = *n % *k;
  for (Int j = 0; j < *n; ++j) {
    for (Int i = 0; i < *m; ++i) {
      T sum = 0;
      Int p = start;
      for (Int l = 0; l < *k; ++l) {
        sum += (*op_a == 'T' ? a[p + i * *lda] : a[i + p * *lda]) *
               (*op_b == 'T' ? b[j + p * *ldb] : b[p + j * *ldb]);
        if (++p == *k) p = 0;
      }
      T& to = c[i + j * *ldc];
      to = *alpha * sum + (*beta == 0 ? 0 : *beta * to);
    }
  }
}

template <class T, class Int>
Blas<T> naive_blas() {
  return Blas<T>(&naive_gemm<T, Int>);
}

}  // namespace fastbp::testing
