// Elementary functions on vectors. Every step is written out (no contraction, no
// reordering), so that all instruction sets with fused multiply-add give the same bits.
//
// Largest errors found over the whole range are asserted in the tests: 2 ulp in float32
// and 4 ulp in float64. Coefficients are those of the Taylor series; the argument
// reductions and the splitting of ln 2 are the classical ones (W. J. Cody and W. Waite,
// Software Manual for the Elementary Functions, 1980; log as in FreeBSD's msun,
// e_log.c).
#pragma once

// For functions whose result is more than one vector, which would be returned through
// memory, and of which a caller may need only a part: what is inlined loses the rest.
//
// And for a loop that would share the registers and the frame of a large function.
#if defined(_MSC_VER)
#define FASTBP_INLINE __forceinline
#define FASTBP_NOINLINE __declspec(noinline)
#else
#define FASTBP_INLINE inline __attribute__((always_inline))
#define FASTBP_NOINLINE __attribute__((noinline))
#endif

namespace fastbp {
namespace {

template <class T>
struct Format;  // of a floating-point type, and what the functions need to know of it

template <>
struct Format<float> {
  using Word = std::uint32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr float kBias = 127;
  static constexpr float kOneAndHalfUlp1 =
      12582912;                            // 1.5 * 2^23: adding it rounds to integer
  static constexpr float kUlp1 = 8388608;  // 2^23: integers lie in its low bits
  static constexpr float kLog2e = 1.44269504f;
  static constexpr float kLn2High = 0.693359375f;  // 9 bits: products with n are exact
  static constexpr float kLn2Low = -2.12194440e-4f;
  static constexpr float kExpLowest = -110, kExpHighest = 89;  // beyond: 0, infinity
  static constexpr float kLift = 40;          // exp(kExpLowest) * 2^40 is normal
  static constexpr float kExpm1Lowest = -20;  // below: -1
  static constexpr float kTanhOne = 20;       // expm1 from which tanh is 1
  static constexpr int kExpDegree = 7;        // remainder (ln 2 / 2)^8 / 8! < 2^-27
  static constexpr int kLogTerms = 5;
  static constexpr int kLog1pTerms = 7;
  static constexpr float kSmallestNormal = 1.17549435e-38f;
  static constexpr float kSmallest = 1.40129846e-45f;
  static constexpr float kEpsilon = 1.19209290e-7f;
};

template <>
struct Format<double> {
  using Word = std::uint64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr double kBias = 1023;
  static constexpr double kOneAndHalfUlp1 = 6755399441055744;  // 1.5 * 2^52
  static constexpr double kUlp1 = 4503599627370496;            // 2^52
  static constexpr double kLog2e = 1.4426950408889634;
  static constexpr double kLn2High = 6.93147180369123816490e-01;  // 32 bits
  static constexpr double kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kExpLowest = -755, kExpHighest = 710;
  static constexpr double kLift = 80;
  static constexpr double kExpm1Lowest = -40;
  static constexpr double kTanhOne = 40;
  static constexpr int kExpDegree = 13;  // remainder (ln 2 / 2)^14 / 14! < 2^-57
  static constexpr int kLogTerms = 11;
  static constexpr int kLog1pTerms = 16;
  static constexpr double kSmallestNormal = 2.2250738585072014e-308;
  static constexpr double kSmallest = 4.9406564584124654e-324;
  static constexpr double kEpsilon = 2.2204460492503131e-16;
};

template <class T>
constexpr T from_word(typename Format<T>::Word w) {
  return __builtin_bit_cast(T, w);
}
template <class T>
constexpr typename Format<T>::Word kMantissaMask = (typename Format<T>::Word{1}
                                                    << Format<T>::kMantissaBits) -
                                                   1;
template <class T>
constexpr typename Format<T>::Word kSignBit = ~(~typename Format<T>::Word{0} >> 1);

// If either is NaN: the first.
template <class T>
Vec<T> max(Vec<T> a, Vec<T> b) {
  return select(less(a, b), b, a);
}
template <class T>
Vec<T> min(Vec<T> a, Vec<T> b) {
  return select(less(b, a), b, a);
}
template <class T>
Vec<T> abs(Vec<T> x) {
  return bit_and(x, Vec<T>(from_word<T>(~kSignBit<T>)));
}

// 2^(n + lift) for integral n + lift from -kBias + 1 to kBias.
template <class T>
Vec<T> power_of_two(Vec<T> n, T lift = 0) {
  using Fmt = Format<T>;
  const Vec<T> exponent_of_one(Fmt::kOneAndHalfUlp1 + Fmt::kBias + lift);
  return shift_left<Fmt::kMantissaBits>(n + exponent_of_one);
}

// exp(x) = 2^n (1 + r + rest), |r| <= ln 2 / 2, where r + rest is known to more digits
// than one number holds.
template <class T>
struct ReducedExp {
  Vec<T> n, r, rest;
};

template <class T>
FASTBP_INLINE ReducedExp<T> reduce_exp(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const V n = fma(x, V(Fmt::kLog2e), V(Fmt::kOneAndHalfUlp1)) - V(Fmt::kOneAndHalfUlp1);
  const V high = fma(n, V(-Fmt::kLn2High), x);
  const V r = fma(n, V(-Fmt::kLn2Low), high);
  const V lost = fma(n, V(-Fmt::kLn2Low), high - r);  // in rounding r
  T factorial = 1;
  for (int i = 2; i <= Fmt::kExpDegree; ++i) factorial *= static_cast<T>(i);
  V q(1 / factorial);
  for (int i = Fmt::kExpDegree; i > 2; --i) {
    factorial /= static_cast<T>(i);  // exact: factorials up to 13! have few bits
    q = fma(q, r, V(1 / factorial));
  }
  return {n, r, fma(r * r, q, lost)};
}

// exp(x) = mantissa * scale_1 * scale_2, the scales powers of two. In two steps,
// because 2^n itself may be out of range where the result is not.
template <class T>
struct ScaledExp {
  Vec<T> mantissa, scale_1, scale_2;
};

template <class T>
FASTBP_INLINE Vec<T> mantissa_of(ReducedExp<T> e) {
  using V = Vec<T>;
  const V one_r = V(1) + e.r;
  const V lost = e.r - (one_r - V(1));
  return one_r + (lost + e.rest);
}

template <class T>
FASTBP_INLINE ScaledExp<T> scaled_exp(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const auto e = reduce_exp(max(min(x, V(Fmt::kExpHighest)), V(Fmt::kExpLowest)));
  const V magic(Fmt::kOneAndHalfUlp1);
  const V half = fma(e.n, V(T(0.5)), magic) - magic;
  return {mantissa_of(e), power_of_two(half), power_of_two(e.n - half)};
}

// The same bits for n <= 0, in fewer steps: the second scale is a constant.
template <class T>
FASTBP_INLINE ScaledExp<T> scaled_down(ReducedExp<T> e) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  constexpr auto kDown = static_cast<typename Fmt::Word>(Fmt::kBias - Fmt::kLift)
                         << Fmt::kMantissaBits;
  return {mantissa_of(e), power_of_two<T>(e.n, Fmt::kLift), V(from_word<T>(kDown))};
}

// exp(-|x|).
template <class T>
FASTBP_INLINE ScaledExp<T> decay(Vec<T> x) {
  using V = Vec<T>;
  const V negative = bit_or(x, V(from_word<T>(kSignBit<T>)));
  return scaled_down(reduce_exp(max(negative, V(Format<T>::kExpLowest))));
}

template <class T>
Vec<T> value_of(ScaledExp<T> e) {
  return e.mantissa * e.scale_1 * e.scale_2;
}

// exp(x) * factor, to full precision where exp(x) alone is subnormal; for x <= 0.
template <class T>
Vec<T> times(ScaledExp<T> e, Vec<T> factor) {
  return e.mantissa * e.scale_1 * factor * e.scale_2;
}

template <class T>
Vec<T> exp(Vec<T> x) {
  return value_of(scaled_exp(x));
}

// exp(x) - 1 for x <= 0.
template <class T>
Vec<T> expm1_of_negative(Vec<T> x) {
  using V = Vec<T>;
  const ReducedExp<T> e = reduce_exp(max(x, V(Format<T>::kExpm1Lowest)));
  const V scale = power_of_two(e.n);
  return fma(scale, e.r + e.rest, scale - V(1));
}

// tanh |x| = t(e) = e / (e + 2), e = exp(2 |x|) - 1. The rounding errors of e and e + 2
// are made good to first order, with dt/de = (1 - t)^2 / 2.
template <class T>
Vec<T> tanh(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const V magnitude = abs(x);
  const ReducedExp<T> e = reduce_exp(min(magnitude + magnitude, V(Fmt::kTanhOne)));
  const V scale = power_of_two(e.n);
  const V expm1_r = e.r + e.rest;
  const V lost = scale * (e.rest - (expm1_r - e.r));
  const V expm1 = fma(scale, expm1_r, scale - V(1));
  const V below = expm1 + V(2);
  const V lost_below = expm1 - (below - V(2));
  const V t = expm1 / below;
  const V rest = V(1) - t;
  const V correction = V(T(0.5)) * rest * (lost * rest - t * lost_below);
  // Where t is near 1, the correction is less than its own rounding errors.
  const V better = select(less(expm1, V(4)), t + correction, t);
  return bit_or(better, bit_and(x, V(from_word<T>(kSignBit<T>))));
}

// e / (1 + e) or 1 / (1 + e), e = exp(-|x|), which never overflows; the rounding error
// of 1 + e is made good to first order.
template <class T>
Vec<T> logistic(Vec<T> x) {
  using V = Vec<T>;
  const auto negative = less(x, V(0));
  const V e = value_of(decay(x));
  const V below = V(1) + e;
  const V lost_below = e - (below - V(1));
  const V p = select(negative, e, V(1)) / below;
  const V reciprocal = select(negative, V(1) - p, p);
  return p - p * (reciprocal * lost_below);
}

template <class T>
Vec<T> log(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const auto subnormal = less(x, V(Fmt::kSmallestNormal));
  const V scaled = select(subnormal, x * V(4 * Fmt::kUlp1), x);
  const V shift =
      select(subnormal, V(Fmt::kBias + Fmt::kMantissaBits + 2), V(Fmt::kBias));
  // scaled = 2^e m, sqrt(1/2) < m <= sqrt(2)
  const V biased =
      bit_or(shift_right<Fmt::kMantissaBits>(scaled), V(Fmt::kUlp1)) - V(Fmt::kUlp1);
  V m = bit_or(bit_and(scaled, V(from_word<T>(kMantissaMask<T>))), V(1));
  const auto large = less(V(T(1.41421356237309505)), m);
  m = select(large, m * V(T(0.5)), m);
  const V e = biased - shift + select(large, V(1), V(0));
  // log(1 + f) = 2 atanh(s), s = f / (2 + f), arranged so that f enters unrounded
  const V f = m - V(1);
  const V s = f / (V(2) + f);
  const V z = s * s;
  V series(T(2) / (2 * Fmt::kLogTerms + 1));
  for (int i = Fmt::kLogTerms - 1; i >= 1; --i) {
    series = fma(series, z, V(T(2) / static_cast<T>(2 * i + 1)));
  }
  const V half_square = V(T(0.5)) * f * f;
  const V low = fma(e, V(Fmt::kLn2Low), s * fma(series, z, half_square));
  const V result = fma(e, V(Fmt::kLn2High), f - (half_square - low));
  // zero, negative, infinite and NaN arguments
  const V infinity(from_word<T>(~(kSignBit<T> | kMantissaMask<T>)));
  const V nan(from_word<T>(~kSignBit<T>));
  const V at_most_zero = select(less(x, V(0)), nan, V(0) - infinity);
  return select(less(x, V(Fmt::kSmallest)), at_most_zero,
                select(less(x, infinity), result, x));
}

// y[i] = f(x[i]) for any n.
template <class T, class Function>
void elementwise(Index n, const T* x, T* y, Function f) {
  constexpr Index kLanes = Vec<T>::kLanes;
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) f(Vec<T>::load(x + i)).store(y + i);
  if (i == n) return;
  T rest[kLanes] = {};
  for (Index j = i; j < n; ++j) rest[j - i] = x[j];
  f(Vec<T>::load(rest)).store(rest);
  for (Index j = i; j < n; ++j) y[j] = rest[j - i];
}

}  // namespace
}  // namespace fastbp
