// Blas: matrix products by a BLAS library, in place of the built-in kernels. It is a
// pointer to the library's gemm, which comes from outside at run time (from SciPy, or
// from a library that the C++ tests are linked with), so that the core depends on no
// BLAS.
//
// It is called by every thread for its own task. The library must not start threads of
// its own: whoever gives the pointer sees to that.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "fastbp/base/sizes.h"

namespace fastbp {

template <class T>
class Blas {
 public:
  // The Fortran interface of sgemm and dgemm, with either width of integers. Matrices
  // are column-major: C (m, n) = alpha op(A) op(B) + beta C.
  template <class Int>
  using Gemm = void (*)(char* op_a, char* op_b, Int* m, Int* n, Int* k, T* alpha, T* a,
                        Int* lda, T* b, Int* ldb, T* beta, T* c, Int* ldc);

  // A factor of a product: row-major, `stride` elements from a row to the next.
  struct Factor {
    const T* data;
    Index stride;
    bool is_transposed;
  };

  Blas() = default;  // none
  explicit Blas(Gemm<std::int32_t> gemm) : gemm_32_(gemm) {}
  explicit Blas(Gemm<std::int64_t> gemm) : gemm_64_(gemm) {}

  explicit operator bool() const { return gemm_32_ != nullptr || gemm_64_ != nullptr; }

  int integer_bits() const { return gemm_64_ != nullptr ? 64 : 32; }

  // Sizes and strides that a call can take; throws std::length_error beyond.
  void check_size(Index size) const {
    if (gemm_64_ == nullptr && size > std::numeric_limits<std::int32_t>::max()) {
      throw std::length_error("a matrix of " + std::to_string(size) +
                              " columns is too large for a BLAS with 32-bit integers");
    }
  }

  // Longer sums are cut into pieces of this length: batches may have more rows than 32
  // bits can count.
  static constexpr Index kLongestSum = Index{1} << 16;

  // c (m, n) = a (m, k) b (k, n), or that added to c; k > 0. All are row-major.
  void product(Index m, Index n, Index k, Factor a, Factor b, T* c, Index c_stride,
               bool add) const {
    for (Index first = 0; first < k; first += kLongestSum) {
      const Index length = k - first < kLongestSum ? k - first : kLongestSum;
      const Factor a_piece = piece(a, a.is_transposed, first);
      const Factor b_piece = piece(b, !b.is_transposed, first);
      if (gemm_64_ != nullptr) {
        call(gemm_64_, m, n, length, a_piece, b_piece, c, c_stride, add || first > 0);
      } else {
        call(gemm_32_, m, n, length, a_piece, b_piece, c, c_stride, add || first > 0);
      }
    }
  }

 private:
  static Factor piece(Factor f, bool by_rows, Index first) {
    return {f.data + first * (by_rows ? f.stride : 1), f.stride, f.is_transposed};
  }

  // A row-major matrix is the transpose of a column-major one, and C^T = B^T A^T: the
  // factors change places.
  template <class Int>
  static void call(Gemm<Int> gemm, Index rows, Index cols, Index inner, Factor a,
                   Factor b, T* c, Index c_stride, bool add) {
    char op_a = a.is_transposed ? 'T' : 'N', op_b = b.is_transposed ? 'T' : 'N';
    auto m = static_cast<Int>(cols), n = static_cast<Int>(rows),
         k = static_cast<Int>(inner), lda = static_cast<Int>(a.stride),
         ldb = static_cast<Int>(b.stride), ldc = static_cast<Int>(c_stride);
    T alpha = 1, beta = add ? T{1} : T{0};
    // gemm does not write to its factors; its interface has no const.
    gemm(&op_b, &op_a, &m, &n, &k, &alpha, const_cast<T*>(b.data), &ldb,
         const_cast<T*>(a.data), &lda, &beta, c, &ldc);
  }

  Gemm<std::int32_t> gemm_32_ = nullptr;
  Gemm<std::int64_t> gemm_64_ = nullptr;
};

}  // namespace fastbp
