// What AVX2 and AVX-512 share: the transposition of a panel block, by 256-bit vectors.
#pragma once

#include <immintrin.h>

#include "fastbp/kernels/kernels.h"

namespace fastbp {
namespace {

inline void transpose_8x8(const float* src, Index src_stride, float* dst,
                          Index dst_stride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(src + i * src_stride);
  for (int i = 0; i < 8; i += 2) {  // pairs of rows: a0 b0 a1 b1 | a4 b4 a5 b5
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {  // fours of rows
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {  // halves
    _mm256_storeu_ps(dst + i * dst_stride,
                     _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(dst + (i + 4) * dst_stride,
                     _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

inline void transpose_4x4(const double* src, Index src_stride, double* dst,
                          Index dst_stride) {
  __m256d r[4], t[4];
  for (int i = 0; i < 4; ++i) r[i] = _mm256_loadu_pd(src + i * src_stride);
  for (int i = 0; i < 4; i += 2) {
    t[i] = _mm256_unpacklo_pd(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_pd(r[i], r[i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    _mm256_storeu_pd(dst + i * dst_stride,
                     _mm256_permute2f128_pd(t[i], t[i + 2], 0x20));
    _mm256_storeu_pd(dst + (i + 2) * dst_stride,
                     _mm256_permute2f128_pd(t[i], t[i + 2], 0x31));
  }
}

inline void transpose_whole_block(const float* src, float* dst) {
  for (Index i = 0; i < 16; i += 8) {
    for (Index j = 0; j < 16; j += 8)
      transpose_8x8(src + i * 16 + j, 16, dst + j * 16 + i, 16);
  }
}

inline void transpose_whole_block(const double* src, double* dst) {
  for (Index i = 0; i < 8; i += 4) {
    for (Index j = 0; j < 8; j += 4)
      transpose_4x4(src + i * 8 + j, 8, dst + j * 8 + i, 8);
  }
}

}  // namespace
}  // namespace fastbp
