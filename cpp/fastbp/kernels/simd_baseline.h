// Vectors of 16 bytes in plain C++, for any processor. The compiler turns the loops
// into whatever the platform has. No fused multiply-add: fma() rounds twice.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "fastbp/kernels/kernels.h"

namespace fastbp {
namespace {

constexpr bool kFmaRoundsOnce = false;
constexpr int kTileRows = 2;  // 2 x 4 sums use 8 of 16 registers, a panel's row 4
constexpr int kTilePanels = 1;

template <class T>
struct Bits;
template <>
struct Bits<float> {
  using Type = std::uint32_t;
};
template <>
struct Bits<double> {
  using Type = std::uint64_t;
};

template <class T>
struct Vec {
  static constexpr int kLanes = 16 / sizeof(T);
  T v[kLanes];

  Vec() = default;
  Vec(T x) {  // NOLINT: a number stands for a vector of it
    for (T& lane : v) lane = x;
  }
  static Vec load(const T* p) {
    Vec r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  void store(T* p) const { std::memcpy(p, v, sizeof v); }
};

template <class T>
using HalfVec = Vec<T>;  // half a panel is a whole number of these

template <class T>
struct Mask {
  bool v[Vec<T>::kLanes];
};

template <class T, class F>
Vec<T> map(Vec<T> a, Vec<T> b, F f) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kLanes; ++i) r.v[i] = f(a.v[i], b.v[i]);
  return r;
}

template <class T, class F>
Vec<T> map_bits(Vec<T> a, Vec<T> b, F f) {
  typename Bits<T>::Type x[Vec<T>::kLanes], y[Vec<T>::kLanes];
  std::memcpy(x, a.v, sizeof x);
  std::memcpy(y, b.v, sizeof y);
  for (int i = 0; i < Vec<T>::kLanes; ++i) x[i] = f(x[i], y[i]);
  std::memcpy(a.v, x, sizeof x);
  return a;
}

#define FASTBP_BINARY(op)                              \
  template <class T>                                   \
  Vec<T> operator op(Vec<T> a, Vec<T> b) {             \
    return map(a, b, [](T x, T y) { return x op y; }); \
  }
FASTBP_BINARY(+)
FASTBP_BINARY(-)
FASTBP_BINARY(*)
FASTBP_BINARY(/)
#undef FASTBP_BINARY

template <class T>
Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return a * b + c;
}
template <class T>
Vec<T> sqrt(Vec<T> a) {
  return map(a, a, [](T x, T) { return std::sqrt(x); });
}
template <class T>
Vec<T> bit_and(Vec<T> a, Vec<T> b) {
  return map_bits(a, b, [](auto x, auto y) { return x & y; });
}
template <class T>
Vec<T> bit_or(Vec<T> a, Vec<T> b) {
  return map_bits(a, b, [](auto x, auto y) { return x | y; });
}
template <int kBits, class T>
Vec<T> shift_left(Vec<T> a) {
  return map_bits(a, a, [](auto x, auto) { return x << kBits; });
}
template <int kBits, class T>
Vec<T> shift_right(Vec<T> a) {
  return map_bits(a, a, [](auto x, auto) { return x >> kBits; });
}
template <class T>
Mask<T> less(Vec<T> a, Vec<T> b) {
  Mask<T> r;
  for (int i = 0; i < Vec<T>::kLanes; ++i) r.v[i] = a.v[i] < b.v[i];
  return r;
}
template <class T>
Vec<T> select(Mask<T> m, Vec<T> yes, Vec<T> no) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kLanes; ++i) r.v[i] = m.v[i] ? yes.v[i] : no.v[i];
  return r;
}

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
  Word32 v[kLanes];
  static Words load(const Word32* p) {
    Words r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  void store(Word32* p) const { std::memcpy(p, v, sizeof v); }
};
struct WidePair {  // of 64 bits
  Words high, low;
};
inline Words operator^(Words a, Words b) {
  for (int i = 0; i < Words::kLanes; ++i) a.v[i] ^= b.v[i];
  return a;
}
inline Words all_words(Word32 x) {
  Words r;
  for (Word32& lane : r.v) lane = x;
  return r;
}
inline WidePair wide_product(Words a, Words b) {
  WidePair r;
  for (int i = 0; i < Words::kLanes; ++i) {
    const std::uint64_t product = std::uint64_t{a.v[i]} * b.v[i];
    r.high.v[i] = static_cast<Word32>(product >> 32);
    r.low.v[i] = static_cast<Word32>(product);
  }
  return r;
}

}  // namespace
}  // namespace fastbp
