// Vectors of 128 bits: NEON (Advanced SIMD) of AArch64, which always has fused
// multiply-add.
#pragma once

#include <arm_neon.h>

#include "fastbp/kernels/kernels.h"

namespace fastbp {
namespace {

constexpr bool kFmaRoundsOnce = true;
constexpr int kTileRows = 6;  // 6 x 4 sums use 24 of 32 registers, a panel's row 4
constexpr int kTilePanels = 1;
constexpr Index kRowsAhead = 6;     // as with AVX2
constexpr Index kWeightsAhead = 0;  // not at all
constexpr bool kColumnsAhead = true;

template <class T>
struct Vec;

template <>
struct Vec<float> {
  static constexpr int kLanes = 4;
  float32x4_t v;
  Vec() = default;
  Vec(float32x4_t x) : v(x) {}         // NOLINT
  Vec(float x) : v(vdupq_n_f32(x)) {}  // NOLINT: a number stands for a vector of it
  static Vec load(const float* p) { return vld1q_f32(p); }
  void store(float* p) const { vst1q_f32(p, v); }
};

template <>
struct Vec<double> {
  static constexpr int kLanes = 2;
  float64x2_t v;
  Vec() = default;
  Vec(float64x2_t x) : v(x) {}          // NOLINT
  Vec(double x) : v(vdupq_n_f64(x)) {}  // NOLINT
  static Vec load(const double* p) { return vld1q_f64(p); }
  void store(double* p) const { vst1q_f64(p, v); }
};

template <class T>
using HalfVec = Vec<T>;  // half a panel is a whole number of these

using F = Vec<float>;
using D = Vec<double>;

inline uint32x4_t bits(F a) { return vreinterpretq_u32_f32(a.v); }
inline uint64x2_t bits(D a) { return vreinterpretq_u64_f64(a.v); }
inline F from_bits(uint32x4_t a) { return vreinterpretq_f32_u32(a); }
inline D from_bits(uint64x2_t a) { return vreinterpretq_f64_u64(a); }

inline F operator+(F a, F b) { return vaddq_f32(a.v, b.v); }
inline D operator+(D a, D b) { return vaddq_f64(a.v, b.v); }
inline F operator-(F a, F b) { return vsubq_f32(a.v, b.v); }
inline D operator-(D a, D b) { return vsubq_f64(a.v, b.v); }
inline F operator*(F a, F b) { return vmulq_f32(a.v, b.v); }
inline D operator*(D a, D b) { return vmulq_f64(a.v, b.v); }
inline F operator/(F a, F b) { return vdivq_f32(a.v, b.v); }
inline D operator/(D a, D b) { return vdivq_f64(a.v, b.v); }
inline F fma(F a, F b, F c) { return vfmaq_f32(c.v, a.v, b.v); }
inline D fma(D a, D b, D c) { return vfmaq_f64(c.v, a.v, b.v); }
inline F sqrt(F a) { return vsqrtq_f32(a.v); }
inline D sqrt(D a) { return vsqrtq_f64(a.v); }
inline F bit_and(F a, F b) { return from_bits(vandq_u32(bits(a), bits(b))); }
inline D bit_and(D a, D b) { return from_bits(vandq_u64(bits(a), bits(b))); }
inline F bit_or(F a, F b) { return from_bits(vorrq_u32(bits(a), bits(b))); }
inline D bit_or(D a, D b) { return from_bits(vorrq_u64(bits(a), bits(b))); }

template <int kBits>
F shift_left(F a) {
  return from_bits(vshlq_n_u32(bits(a), kBits));
}
template <int kBits>
D shift_left(D a) {
  return from_bits(vshlq_n_u64(bits(a), kBits));
}
template <int kBits>
F shift_right(F a) {
  return from_bits(vshrq_n_u32(bits(a), kBits));
}
template <int kBits>
D shift_right(D a) {
  return from_bits(vshrq_n_u64(bits(a), kBits));
}

template <class T>
struct Mask;
template <>
struct Mask<float> {
  uint32x4_t v;
};
template <>
struct Mask<double> {
  uint64x2_t v;
};
inline Mask<float> less(F a, F b) { return {vcltq_f32(a.v, b.v)}; }
inline Mask<double> less(D a, D b) { return {vcltq_f64(a.v, b.v)}; }
inline F select(Mask<float> m, F yes, F no) { return vbslq_f32(m.v, yes.v, no.v); }
inline D select(Mask<double> m, D yes, D no) { return vbslq_f64(m.v, yes.v, no.v); }

template <class T>
void transpose_whole_block(const T* src, T* dst) {
  for (Index i = 0; i < kPanel<T>; ++i) {
    for (Index j = 0; j < kPanel<T>; ++j)
      dst[j * kPanel<T> + i] = src[i * kPanel<T> + j];
  }
}

// Integers of 32 bits.
struct Words {
  static constexpr int kLanes = 4;
  uint32x4_t v;
  static Words load(const Word32* p) { return {vld1q_u32(p)}; }
  void store(Word32* p) const { vst1q_u32(p, v); }
};
struct WidePair {  // of 64 bits
  Words high, low;
};
inline Words operator^(Words a, Words b) { return {veorq_u32(a.v, b.v)}; }
inline Words all_words(Word32 x) { return {vdupq_n_u32(x)}; }
inline WidePair wide_product(Words a, Words b) {
  const uint32x4_t first =
      vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.v), vget_low_u32(b.v)));
  const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_u32(a.v, b.v));
  return {{vuzp2q_u32(first, second)}, {vuzp1q_u32(first, second)}};
}

}  // namespace
}  // namespace fastbp
