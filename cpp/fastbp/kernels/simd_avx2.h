// Vectors of 256 bits: AVX2 with fused multiply-add.
#pragma once

#include "fastbp/kernels/simd_x86.h"

namespace fastbp {
namespace {

constexpr bool kFmaRoundsOnce = true;
constexpr int kTileRows = 6;  // 6 x 2 sums use 12 of 16 registers, a panel's row 2
constexpr int kTilePanels = 1;
// Rows of a weight gradient's sum that are asked for ahead: with 24, two matrices have
// more pages in flight than the first-level translation buffer holds, and a product of
// 1024-wide layers runs at three quarters of this speed.
constexpr Index kRowsAhead = 6;
// Rows of weights likewise, in a product with them: worth 2 to 4 % where they come from
// the second-level cache.
constexpr Index kWeightsAhead = 32;
// Whether the next tile's columns of a weight gradient's sum are asked for during one:
// worth 2 % in layers 1024 wide.
constexpr bool kColumnsAhead = true;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 8;
  __m256 v;
  Vec() = default;
  Vec(__m256 x) : v(x) {}                 // NOLINT
  Vec(float x) : v(_mm256_set1_ps(x)) {}  // NOLINT: a number stands for a vector of it
  static Vec load(const float* p) { return _mm256_loadu_ps(p); }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 4;
  __m256d v;
  Vec() = default;
  Vec(__m256d x) : v(x) {}                 // NOLINT
  Vec(double x) : v(_mm256_set1_pd(x)) {}  // NOLINT
  static Vec load(const double* p) { return _mm256_loadu_pd(p); }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
};

template <class T>
using HalfVec = Vec<T>;  // half a panel is a whole number of these

using F = Vec<float>;
using D = Vec<double>;

inline F operator+(F a, F b) { return _mm256_add_ps(a.v, b.v); }
inline D operator+(D a, D b) { return _mm256_add_pd(a.v, b.v); }
inline F operator-(F a, F b) { return _mm256_sub_ps(a.v, b.v); }
inline D operator-(D a, D b) { return _mm256_sub_pd(a.v, b.v); }
inline F operator*(F a, F b) { return _mm256_mul_ps(a.v, b.v); }
inline D operator*(D a, D b) { return _mm256_mul_pd(a.v, b.v); }
inline F operator/(F a, F b) { return _mm256_div_ps(a.v, b.v); }
inline D operator/(D a, D b) { return _mm256_div_pd(a.v, b.v); }
inline F fma(F a, F b, F c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
inline D fma(D a, D b, D c) { return _mm256_fmadd_pd(a.v, b.v, c.v); }
inline F sqrt(F a) { return _mm256_sqrt_ps(a.v); }
inline D sqrt(D a) { return _mm256_sqrt_pd(a.v); }
inline F bit_and(F a, F b) { return _mm256_and_ps(a.v, b.v); }
inline D bit_and(D a, D b) { return _mm256_and_pd(a.v, b.v); }
inline F bit_or(F a, F b) { return _mm256_or_ps(a.v, b.v); }
inline D bit_or(D a, D b) { return _mm256_or_pd(a.v, b.v); }

// As in math-inl.h: the instructions return their second operand if either is NaN.
inline F max(F a, F b) { return _mm256_max_ps(b.v, a.v); }
inline D max(D a, D b) { return _mm256_max_pd(b.v, a.v); }
inline F min(F a, F b) { return _mm256_min_ps(b.v, a.v); }
inline D min(D a, D b) { return _mm256_min_pd(b.v, a.v); }

template <int kBits>
F shift_left(F a) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a.v), kBits));
}
template <int kBits>
D shift_left(D a) {
  return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a.v), kBits));
}
template <int kBits>
F shift_right(F a) {
  return _mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(a.v), kBits));
}
template <int kBits>
D shift_right(D a) {
  return _mm256_castsi256_pd(_mm256_srli_epi64(_mm256_castpd_si256(a.v), kBits));
}

// A mask is a vector of all-ones and all-zeros lanes.
template <class T>
struct Mask {
  Vec<T> v;
};
inline Mask<float> less(F a, F b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
inline Mask<double> less(D a, D b) { return {_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ)}; }
inline F select(Mask<float> m, F yes, F no) {
  return _mm256_blendv_ps(no.v, yes.v, m.v.v);
}
inline D select(Mask<double> m, D yes, D no) {
  return _mm256_blendv_pd(no.v, yes.v, m.v.v);
}

// Integers of 32 bits.
struct Words {
  static constexpr int kLanes = 8;
  __m256i v;
  static Words load(const Word32* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))};
  }
  void store(Word32* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};
struct WidePair {  // of 64 bits
  Words high, low;
};
inline Words operator^(Words a, Words b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline Words all_words(Word32 x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
inline WidePair wide_product(Words a, Words b) {
  const __m256i even = _mm256_mul_epu32(a.v, b.v);
  const __m256i odd =
      _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), _mm256_srli_epi64(b.v, 32));
  return {{_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)},
          {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa)}};
}

}  // namespace
}  // namespace fastbp
