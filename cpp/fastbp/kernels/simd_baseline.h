// Vectors of 16 bytes for any processor: those of GCC and Clang, which become whatever
// the platform has, or arrays where a compiler knows no vectors (to test these, define
// FASTBP_ARRAYS). No fused multiply-add: fma() rounds twice.
#pragma once

#if defined(__GNUC__) && !defined(FASTBP_ARRAYS)
#define FASTBP_HAS_VECTORS 1
#else
#define FASTBP_HAS_VECTORS 0
#endif

#include <cmath>
#include <cstdint>
#include <cstring>

#include "fastbp/kernels/kernels.h"

namespace fastbp {
namespace {

constexpr bool kFmaRoundsOnce = false;
constexpr int kTileRows = 3;  // 3 x 4 sums use 12 of 16 registers
constexpr int kTilePanels = 1;
constexpr Index kRowsAhead = 6;     // as with AVX2
constexpr Index kWeightsAhead = 0;  // not at all: costs 2 to 3 %
constexpr bool kColumnsAhead = true;

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
#if FASTBP_HAS_VECTORS
  typedef T Lanes __attribute__((vector_size(16)));
#else
  typedef T Lanes[kLanes];
#endif
  Lanes v;

  Vec() = default;
  Vec(T x) {  // NOLINT: a number stands for a vector of it
    for (int i = 0; i < kLanes; ++i) v[i] = x;
  }
  static Vec load(const T* p) {
    Vec r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  void store(T* p) const { std::memcpy(p, &v, sizeof v); }
};

template <class T>
using HalfVec = Vec<T>;  // half a panel is a whole number of these

// A mask is a vector of all-ones and all-zeros lanes.
template <class T>
struct Mask {
  Vec<T> v;
};

// Calls f with both vectors or, where there are none, with their lanes.
template <class V, class F>
V map(V a, V b, F f) {
#if FASTBP_HAS_VECTORS
  a.v = f(a.v, b.v);
#else
  for (int i = 0; i < V::kLanes; ++i) a.v[i] = f(a.v[i], b.v[i]);
#endif
  return a;
}

// Bits of one kind of number as those of another.
template <class To, class From>
To as_bits(From a) {
  To r;
  std::memcpy(&r.v, &a.v, sizeof r.v);
  return r;
}

template <class T, class F>
Vec<T> map_bits(Vec<T> a, Vec<T> b, F f) {
  using Words = Vec<typename Bits<T>::Type>;
  return as_bits<Vec<T>>(map(as_bits<Words>(a), as_bits<Words>(b), f));
}

#define FASTBP_BINARY(op)                                    \
  template <class T>                                         \
  Vec<T> operator op(Vec<T> a, Vec<T> b) {                   \
    return map(a, b, [](auto x, auto y) { return x op y; }); \
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
  for (int i = 0; i < Vec<T>::kLanes; ++i) a.v[i] = std::sqrt(a.v[i]);
  return a;
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
#if FASTBP_HAS_VECTORS
  const auto mask = a.v < b.v;
  std::memcpy(&a.v, &mask, sizeof mask);
  return {a};
#else
  Vec<typename Bits<T>::Type> mask(0);
  for (int i = 0; i < Vec<T>::kLanes; ++i) mask.v[i] -= a.v[i] < b.v[i];
  return {as_bits<Vec<T>>(mask)};
#endif
}
template <class T>
Vec<T> select(Mask<T> m, Vec<T> yes, Vec<T> no) {
  const auto otherwise = map_bits(m.v, no, [](auto x, auto y) { return ~x & y; });
  return bit_or(bit_and(m.v, yes), otherwise);
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
