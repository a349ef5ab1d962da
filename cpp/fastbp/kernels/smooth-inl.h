// Smooth activations whose derivative is not a function of their value (they are not
// monotone, or the inverse is dear): both from one exponential of a number that is not
// positive, so that nothing overflows. Error bounds are in kernels.h.
//
// Arguments are held to the range outside of which a result is its limit (below
// kExpLowest, even x exp(x) is 0), so that no product is one of infinity and zero.
#pragma once

namespace fastbp {
namespace {

template <class T>
struct Smooth {
  Vec<T> value, derivative;
};

// x * logistic(x) (Hendrycks and Gimpel, 2016, arXiv:1606.08415; Elfwing, Uchibe and
// Doya, 2017, arXiv:1702.03118), also called swish.
template <class T>
FASTBP_INLINE Smooth<T> silu(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const auto negative = less(x, V(0));
  const V above = max(x, V(Fmt::kExpLowest));
  const ScaledExp<T> e = decay(x);
  const V p = V(1) / (V(1) + value_of(e));  // logistic(|x|)
  const V q = value_of(e) * p;              // 1 - p
  const V xp = above * p;
  const V value = select(negative, times(e, xp), xp);
  const V rest = min(above, V(-Fmt::kExpLowest)) * select(negative, p, q);
  return {value, select(negative, q, p) * (V(1) + rest)};
}

// x * tanh(softplus(x)) (Misra, 2019, arXiv:1908.08681). With e = exp(-|x|), the
// hyperbolic tangent is n / d,
//   x < 0:  n = e (e + 2),  d = n + 2;      x >= 0:  n = 1 + 2 e,  d = n + 2 e^2,
// and its derivative 4 (1 + e) g / d^2, g = e or e^2.
template <class T>
FASTBP_INLINE Smooth<T> mish(Vec<T> x) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const auto negative = less(x, V(0));
  const V above = max(x, V(Fmt::kExpLowest));
  const ScaledExp<T> scaled = decay(x);
  const V e = value_of(scaled);
  const V e_2 = e + V(2);
  const V one_2e = V(1) + (e + e);
  const V reciprocal =
      V(1) / select(negative, fma(e, e_2, V(2)), fma(e + e, e, one_2e));
  const V part = select(negative, e_2, one_2e) * reciprocal;
  const V x_part = above * part;
  const V value = select(negative, times(scaled, x_part), x_part);
  const V tanh = select(negative, e * part, part);
  const V g = select(negative, e, e * e) * reciprocal;
  const V slope = V(4) * (V(1) + e) * (g * reciprocal);
  return {value, fma(min(above, V(-Fmt::kExpLowest)), slope, tanh)};
}

// 2 atanh(s), which is log(1 + x) for s = x / (2 + x), as in log; 0 <= s <= 1/3.
template <class T>
FASTBP_INLINE Vec<T> twice_atanh(Vec<T> s) {
  using Fmt = Format<T>;
  using V = Vec<T>;
  const V z = s * s;
  V series(T(2) / (2 * Fmt::kLog1pTerms + 1));
  for (int i = Fmt::kLog1pTerms - 1; i >= 1; --i) {
    series = fma(series, z, V(T(2) / static_cast<T>(2 * i + 1)));
  }
  return fma(s * z, series, s + s);
}

// log(1 + exp(x)) (Dugas et al., 2000); its derivative is logistic(x).
template <class T>
FASTBP_INLINE Smooth<T> softplus(Vec<T> x) {
  using V = Vec<T>;
  // log(1 + e) with s = e / (2 + e). One division serves s and the logistic function.
  const V e = value_of(decay(x));
  const V one_e = V(1) + e;
  const V two_e = V(2) + e;
  const V reciprocal = V(1) / (one_e * two_e);
  const V log1p = twice_atanh(e * (one_e * reciprocal));
  const V p = two_e * reciprocal;
  return {max(x, V(0)) + log1p, select(less(x, V(0)), e * p, p)};
}

// log(cosh(x)). Near 0, cosh(x) = 1 + u with u = (1 - e)^2 / (2 e), e = exp(-|x|),
// which has no cancellation; beyond, |x| + log(1 + e^2) - log(2).
template <class T>
Vec<T> log_cosh(Vec<T> x) {
  using V = Vec<T>;
  const V a = abs(x);
  const V down = expm1_of_negative(V(0) - min(a, V(1)));
  const V u = down * down / (V(2) + (down + down));
  const V e = value_of(decay(a + a));
  const auto is_small = less(a, V(1));
  const V log1p = twice_atanh(select(is_small, u / (V(2) + u), e / (V(2) + e)));
  return select(is_small, log1p, (a - V(T(0.693147180559945309))) + log1p);
}

// The tail of the normal distribution, Phi(-t) = exp(-t^2 / 2) M(t) for t >= 0. The
// function (t + 4) M(t) varies little and smoothly; as Shepherd and Laframboise do for
// erfc (1981, Mathematics of Computation 36), it is taken as a polynomial in
// t / (t + 4), here in v = 2 t / (t + 4) - 1.5, where its terms hardly cancel. The
// coefficients are a Chebyshev series on 0 <= t <= 15 or 39, computed with 50 digits
// and truncated.
template <class T>
struct NormalTail;

template <>
struct NormalTail<float> {
  // Beyond, t Phi(-t) is 0, and from here exp(-t^2 / 2) > exp(kExpLowest).
  static constexpr float kHighest = 14.8f;
  static constexpr int kDegree = 10;  // remainder < 2^-29
  static constexpr float kCoefficients[] = {
      0.528303537f,    -0.333282154f,    0.186329177f,    -0.0897661649f,
      0.0353200844f,   -0.0103887402f,   0.000394167687f, -0.000489224469f,
      -0.00142661164f, -0.000481000808f, -5.03443957e-5f};
};

template <>
struct NormalTail<double> {
  static constexpr double kHighest = 38.8;
  static constexpr int kDegree = 23;  // remainder < 2^-59
  static constexpr double kCoefficients[] = {
      0.52830353723543256,    -0.33328219265656464,   0.18632885650697001,
      -0.089761426430503701,  0.035383124283065084,   -0.010089778213723995,
      0.0011519123187520953,  0.00065052382712664691, -0.00039357316858675826,
      4.2469075019120628e-5,  4.9670261642651316e-5,  -2.1688845168891729e-5,
      -3.9022999623547641e-6, 5.3659893557086185e-6,  -1.7936075374431313e-7,
      -1.1709418591343963e-6, 1.6209587128509180e-7,  -1.6866574835048490e-8,
      -5.8515481383950344e-7, -5.5357498938771120e-7, -2.5700329835471138e-7,
      -6.9154823410793018e-8, -1.0454490483581659e-8, -6.9564930253528313e-10};
};

// M(t) above.
template <class T>
FASTBP_INLINE Vec<T> normal_tail(Vec<T> t) {
  using Tail = NormalTail<T>;
  using V = Vec<T>;
  const V w = V(1) / (t + V(4));
  const V v = fma(t * w, V(2), V(T(-1.5)));
  V sum(Tail::kCoefficients[Tail::kDegree]);
  for (int i = Tail::kDegree - 1; i >= 0; --i) {
    sum = fma(sum, v, V(Tail::kCoefficients[i]));
  }
  return w * sum;
}

// -t^2 / 2 = value + lost, without a rounding error (T. J. Dekker, 1971).
template <class T>
struct HalfSquare {
  Vec<T> value, lost;
};

template <class T>
FASTBP_INLINE HalfSquare<T> minus_half_square(Vec<T> t) {
  using V = Vec<T>;
  const V half(T(-0.5));
  if constexpr (kFmaRoundsOnce) {
    const V half_t = half * t;
    const V value = half_t * t;
    return {value, fma(half_t, t, V(0) - value)};
  } else {
    constexpr int kLowBits = (Format<T>::kMantissaBits + 2) / 2;
    constexpr auto kHighHalf = ~((typename Format<T>::Word{1} << kLowBits) - 1);
    const V high = bit_and(t, V(from_word<T>(kHighHalf)));
    const V high_square = high * high;  // exact
    const V rest = (t - high) * (t + high);
    const V square = high_square + rest;
    return {half * square, half * (rest - (square - high_square))};
  }
}

// exp(-t^2 / 2) for t <= kHighest. A rounding error of t^2 would be multiplied by
// t^2 / 2: what is lost in the square is added to the exponent.
template <class T>
FASTBP_INLINE ScaledExp<T> normal_exp(Vec<T> t) {
  const HalfSquare<T> x = minus_half_square<T>(t);
  ReducedExp<T> e = reduce_exp(x.value);
  e.rest = fma(x.lost, Vec<T>(1) + (e.r + e.rest), e.rest);
  return scaled_down(e);
}

// x Phi(x) (Hendrycks and Gimpel, 2016, arXiv:1606.08415), Phi(x) = (1 + erf(x /
// sqrt(2))) / 2; its derivative is Phi(x) + x exp(-x^2 / 2) / sqrt(2 pi).
template <class T>
FASTBP_INLINE Smooth<T> gelu(Vec<T> x) {
  using V = Vec<T>;
  const auto negative = less(x, V(0));
  const V t = min(abs(x), V(NormalTail<T>::kHighest));
  const ScaledExp<T> e = normal_exp(t);
  const V m = normal_tail(t);
  const V exp = value_of(e);
  const V tail = exp * m;  // Phi(-t)
  const V value =
      select(negative, bit_or(times(e, t * m), V(from_word<T>(kSignBit<T>))),
             x * (V(1) - tail));
  const V slope = exp * fma(t, V(T(-0.398942280401432678)), m);  // at -t
  return {value, select(negative, slope, V(1) - slope)};
}

}  // namespace
}  // namespace fastbp
