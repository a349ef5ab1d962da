// A panel's row: kPanel numbers (one cache line) as as many vectors as the instruction
// set needs. What is written for panels has the same shape, hence the same bits, on all
// of them.
#pragma once

// Loops over rows and vectors of a tile must vanish, so that sums stay in registers.
#if defined(__clang__)
#define FASTBP_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define FASTBP_UNROLL _Pragma("GCC unroll 32")
#else
#define FASTBP_UNROLL
#endif

namespace fastbp {
namespace {

template <class T>
constexpr int kVecs = static_cast<int>(kPanel<T>) / Vec<T>::kLanes;

// Adds kPanel numbers in the same tree on every instruction set.
template <class T>
T add_lanes(const T* lanes) {
  T sum[kPanel<T>];
  for (Index i = 0; i < kPanel<T>; ++i) sum[i] = lanes[i];
  for (Index half = kPanel<T> / 2; half > 0; half /= 2) {
    for (Index i = 0; i < half; ++i) sum[i] += sum[i + half];
  }
  return sum[0];
}

template <class T>
T largest_lane(const T* lanes) {
  T largest = lanes[0];
  for (Index i = 1; i < kPanel<T>; ++i)
    largest = largest < lanes[i] ? lanes[i] : largest;
  return largest;
}

// kPanel numbers: 1 in the first n lanes, 0 in the others.
template <class T>
const T* lanes_below(Index n) {
  static constexpr struct Steps {
    T v[2 * kPanel<T>];
    constexpr Steps() : v() {
      for (Index i = 0; i < kPanel<T>; ++i) v[i] = 1;
    }
  } kSteps;
  return n >= kPanel<T> ? kSteps.v : kSteps.v + kPanel<T> - n;
}

}  // namespace
}  // namespace fastbp
