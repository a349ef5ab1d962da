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

// Joins kPanel numbers by op in the same tree on every instruction set: the second half
// with the first, until one is left. The lanes are overwritten.
template <Index kHalf, class T, class Op>
T fold_lanes(T* lanes, Op op) {
  FASTBP_UNROLL
  for (Index i = 0; i < kHalf; ++i) lanes[i] = op(lanes[i], lanes[i + kHalf]);
  if constexpr (kHalf > 1) return fold_lanes<kHalf / 2>(lanes, op);
  return lanes[0];
}

template <class T>
T add_lanes(T* lanes) {
  return fold_lanes<kPanel<T> / 2>(lanes, [](T a, T b) { return a + b; });
}

template <class T>
T largest_lane(T* lanes) {
  return fold_lanes<kPanel<T> / 2>(lanes, [](T a, T b) { return a < b ? b : a; });
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

// Calls use(c, at, inside) for each vector of n columns: the c-th of its panel, from
// column `at`, and the mask of those below n.
template <class T, class Use>
FASTBP_INLINE void for_row_vectors(Index n, Use use) {
  using V = Vec<T>;
  for (Index first = 0; first < n; first += kPanel<T>) {
    const T* inside = lanes_below<T>(n - first);
    FASTBP_UNROLL
    for (int c = 0; c < kVecs<T>; ++c) {
      const Index lane = c * V::kLanes;
      use(c, first + lane, less(V(0), V::load(inside + lane)));
    }
  }
}

// A number for each lane of a panel, such as a sum so far.
template <class T>
struct Lanes {
  using V = Vec<T>;
  V at[kVecs<T>];

  explicit Lanes(T all) {
    for (V& v : at) v = V(all);
  }
  T sum() const { return joined(add_lanes<T>); }
  T largest() const { return joined(largest_lane<T>); }

 private:
  T joined(T (*join)(T*)) const {
    alignas(kCacheLine) T lanes[kPanel<T>];
    for (int c = 0; c < kVecs<T>; ++c) at[c].store(lanes + c * V::kLanes);
    return join(lanes);
  }
};

}  // namespace
}  // namespace fastbp
