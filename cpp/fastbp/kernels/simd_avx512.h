// Vectors of 512 bits: AVX-512 F and DQ.
#pragma once

#include "fastbp/kernels/simd_x86.h"

namespace fastbp {
namespace {

#ifndef FASTBP_TILE_ROWS
#define FASTBP_TILE_ROWS 14  // 14 x 2 sums use 28 of 32 registers, the panels' rows 2
#endif
constexpr bool kFmaRoundsOnce = true;
constexpr int kTileRows = FASTBP_TILE_ROWS;
constexpr int kTilePanels = 2;
// A row of a tile takes long enough to hide misses of the translation buffer (see
// simd_avx2.h), and what comes from the third-level cache is asked for in time.
constexpr Index kRowsAhead = 24;
constexpr Index kWeightsAhead = 0;     // not at all
constexpr bool kColumnsAhead = false;  // costs 1 to 4 %

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 16;
  __m512 v;
  Vec() = default;
  Vec(__m512 x) : v(x) {}                 // NOLINT
  Vec(float x) : v(_mm512_set1_ps(x)) {}  // NOLINT: a number stands for a vector of it
  static Vec load(const float* p) { return _mm512_loadu_ps(p); }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 8;
  __m512d v;
  Vec() = default;
  Vec(__m512d x) : v(x) {}                 // NOLINT
  Vec(double x) : v(_mm512_set1_pd(x)) {}  // NOLINT
  static Vec load(const double* p) { return _mm512_loadu_pd(p); }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
};

// Half a panel: two 256-bit fused multiply-adds take the time of one of 512 bits.
template <class T>
struct HalfVec;

template <>
struct HalfVec<float> {
  static constexpr int kLanes = 8;
  __m256 v;
  HalfVec() = default;
  HalfVec(__m256 x) : v(x) {}                 // NOLINT
  HalfVec(float x) : v(_mm256_set1_ps(x)) {}  // NOLINT
  static HalfVec load(const float* p) { return _mm256_loadu_ps(p); }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
};

template <>
struct HalfVec<double> {
  static constexpr int kLanes = 4;
  __m256d v;
  HalfVec() = default;
  HalfVec(__m256d x) : v(x) {}                 // NOLINT
  HalfVec(double x) : v(_mm256_set1_pd(x)) {}  // NOLINT
  static HalfVec load(const double* p) { return _mm256_loadu_pd(p); }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
};

using HalfF = HalfVec<float>;
using HalfD = HalfVec<double>;

inline HalfF operator+(HalfF a, HalfF b) { return _mm256_add_ps(a.v, b.v); }
inline HalfD operator+(HalfD a, HalfD b) { return _mm256_add_pd(a.v, b.v); }
inline HalfF fma(HalfF a, HalfF b, HalfF c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
inline HalfD fma(HalfD a, HalfD b, HalfD c) { return _mm256_fmadd_pd(a.v, b.v, c.v); }

using F = Vec<float>;
using D = Vec<double>;

inline F operator+(F a, F b) { return _mm512_add_ps(a.v, b.v); }
inline D operator+(D a, D b) { return _mm512_add_pd(a.v, b.v); }
inline F operator-(F a, F b) { return _mm512_sub_ps(a.v, b.v); }
inline D operator-(D a, D b) { return _mm512_sub_pd(a.v, b.v); }
inline F operator*(F a, F b) { return _mm512_mul_ps(a.v, b.v); }
inline D operator*(D a, D b) { return _mm512_mul_pd(a.v, b.v); }
inline F operator/(F a, F b) { return _mm512_div_ps(a.v, b.v); }
inline D operator/(D a, D b) { return _mm512_div_pd(a.v, b.v); }
inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
inline D fma(D a, D b, D c) { return _mm512_fmadd_pd(a.v, b.v, c.v); }
inline F sqrt(F a) { return _mm512_sqrt_ps(a.v); }
inline D sqrt(D a) { return _mm512_sqrt_pd(a.v); }
inline F bit_and(F a, F b) { return _mm512_and_ps(a.v, b.v); }
inline D bit_and(D a, D b) { return _mm512_and_pd(a.v, b.v); }
inline F bit_or(F a, F b) { return _mm512_or_ps(a.v, b.v); }
inline D bit_or(D a, D b) { return _mm512_or_pd(a.v, b.v); }

// As in math-inl.h: the instructions return their second operand if either is NaN.
inline F max(F a, F b) { return _mm512_max_ps(b.v, a.v); }
inline D max(D a, D b) { return _mm512_max_pd(b.v, a.v); }
inline F min(F a, F b) { return _mm512_min_ps(b.v, a.v); }
inline D min(D a, D b) { return _mm512_min_pd(b.v, a.v); }

template <int kBits>
F shift_left(F a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a.v), kBits));
}
template <int kBits>
D shift_left(D a) {
  return _mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a.v), kBits));
}
template <int kBits>
F shift_right(F a) {
  return _mm512_castsi512_ps(_mm512_srli_epi32(_mm512_castps_si512(a.v), kBits));
}
template <int kBits>
D shift_right(D a) {
  return _mm512_castsi512_pd(_mm512_srli_epi64(_mm512_castpd_si512(a.v), kBits));
}

template <class T>
struct Mask;
template <>
struct Mask<float> {
  __mmask16 v;
};
template <>
struct Mask<double> {
  __mmask8 v;
};
inline Mask<float> less(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline Mask<double> less(D a, D b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)};
}
inline F select(Mask<float> m, F yes, F no) {
  return _mm512_mask_blend_ps(m.v, no.v, yes.v);
}
inline D select(Mask<double> m, D yes, D no) {
  return _mm512_mask_blend_pd(m.v, no.v, yes.v);
}

// Integers of 32 bits.
struct Words {
  static constexpr int kLanes = 16;
  __m512i v;
  static Words load(const Word32* p) { return {_mm512_loadu_si512(p)}; }
  void store(Word32* p) const { _mm512_storeu_si512(p, v); }
};
struct WidePair {  // of 64 bits
  Words high, low;
};
inline Words operator^(Words a, Words b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline Words all_words(Word32 x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
inline WidePair wide_product(Words a, Words b) {
  const __m512i even = _mm512_mul_epu32(a.v, b.v);
  const __m512i odd =
      _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), _mm512_srli_epi64(b.v, 32));
  return {{_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd)},
          {_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32))}};
}

}  // namespace
}  // namespace fastbp
