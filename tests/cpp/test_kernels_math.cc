// Elementary functions and activations against the platform's in a wider type: float32
// against double, float64 against long double where that is wider.
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

template <class T>
using Wide = std::conditional_t<sizeof(T) == sizeof(float), double, long double>;

template <class T>
using Elementwise = std::function<void(const Kernels<T>&, Index, const T*, T*)>;

template <class T>
struct Function {
  std::string name;
  Elementwise<T> kernel;
  Wide<T> (*exact)(Wide<T>);
  T range;  // results of interest lie in [-range, range]
  double max_ulps;
};

template <class T>
Elementwise<T> function(void (*Kernels<T>::*member)(Index, const T*, T*)) {
  return [member](const Kernels<T>& kernels, Index n, const T* x, T* y) {
    (kernels.*member)(n, x, y);
  };
}

template <class T>
Elementwise<T> function(Activation activation) {
  return [activation](const Kernels<T>& kernels, Index n, const T* x, T* y) {
    std::vector<T> derivative(static_cast<std::size_t>(n));
    apply(kernels, activation, n, x, y, derivative.data());
  };
}

// The limit of x f(x) for x to minus infinity, where f goes to zero, is 0, from below.
template <class W, class F>
W times_vanishing(W x, const F& f) {
  return std::isinf(x) && x < 0 ? -W{0} : x * f(x);
}

// The bounds of kernels.h. Where long double is no wider than double, the platform's
// functions add their own error.
template <class T>
constexpr double kMaxUlps = sizeof(T) == sizeof(float) ? 2
                            : std::numeric_limits<long double>::digits
                                    > std::numeric_limits<double>::digits
                                ? 4
                                : 5;
template <class T>
constexpr double kMaxUlpsOfSmooth = kMaxUlps<T> == 5 ? 8 : 6;

template <class T>
std::vector<Function<T>> functions() {
  using W = Wide<T>;
  constexpr T kExpRange = sizeof(T) == sizeof(float) ? 110 : 760;
  constexpr T kNormalRange = sizeof(T) == sizeof(float) ? 15 : 39;
  constexpr double kFew = kMaxUlps<T>, kMore = kMaxUlpsOfSmooth<T>;
  static constexpr auto softplus = [](W x) {
    return std::max(x, W{0}) + std::log1p(std::exp(-std::abs(x)));
  };
  static constexpr auto cdf = [](W x) {
    return std::erfc(-x / std::numbers::sqrt2_v<W>) / 2;
  };
  return {
      {"exp", function(&Kernels<T>::exp), [](W x) { return std::exp(x); }, kExpRange,
       kFew},
      {"log", function(&Kernels<T>::log), [](W x) { return std::log(x); }, 10, kFew},
      {"tanh", function(&Kernels<T>::tanh), [](W x) { return std::tanh(x); }, 20, kFew},
      {"logistic", function(&Kernels<T>::logistic),
       [](W x) { return 1 / (1 + std::exp(-x)); }, kExpRange, kFew},
      {"elu", function<T>(Activation::kElu),
       [](W x) { return x < 0 ? std::expm1(x) : x; }, 20, kFew},
      {"selu", function<T>(Activation::kSelu),
       [](W x) { return static_cast<W>(reference::activate(Activation::kSelu, 0, x)); },
       20, kFew},
      {"gelu", function<T>(Activation::kGelu),
       [](W x) { return times_vanishing(x, cdf); }, kNormalRange, kMore},
      {"silu", function<T>(Activation::kSilu),
       [](W x) {
         return times_vanishing(x, [](W z) { return 1 / (1 + std::exp(-z)); });
       },
       kExpRange, kMore},
      {"mish", function<T>(Activation::kMish),
       [](W x) {
         return times_vanishing(x, [](W z) { return std::tanh(softplus(z)); });
       },
       kExpRange, kMore},
      {"softplus", function<T>(Activation::kSoftplus), softplus, kExpRange, kMore}};
}

// Difference in units of the last place that the exact value has in T.
template <class T>
double error_in_ulps(T got, Wide<T> exact) {
  using Limits = std::numeric_limits<T>;
  const T rounded = static_cast<T>(exact);
  if (got == rounded) return std::signbit(got) == std::signbit(rounded) ? 0 : 1e9;
  if (std::isnan(got) && std::isnan(rounded)) return 0;
  if (std::isnan(got) || std::isnan(rounded)) return 1e9;
  if (std::isinf(got)) {
    // The next number after the largest, if there were one.
    return error_in_ulps<T>(Limits::max(), std::abs(exact)) + 1;
  }
  const int exponent = std::max(std::ilogb(exact) + 1, Limits::min_exponent);
  const auto ulps =
      std::ldexp(static_cast<Wide<T>>(got) - exact, Limits::digits - exponent);
  return static_cast<double>(std::abs(ulps));
}

// "" if all instruction sets are within the bound on all x, else the worst.
template <class T>
std::string worst_error(const Function<T>& f, const std::vector<T>& x) {
  std::vector<Wide<T>> exact;
  exact.reserve(x.size());
  for (const T x_i : x) exact.push_back(f.exact(x_i));
  std::vector<T> y(x.size());
  double worst = f.max_ulps;
  std::ostringstream text;
  for (const auto& isa : available_isas()) {
    f.kernel(kernels_of<T>(isa), static_cast<Index>(x.size()), x.data(), y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double error = error_in_ulps(y[i], exact[i]);
      if (error <= worst) continue;
      worst = error;
      text.str("");
      text << std::hexfloat << f.name << "(" << x[i] << ") on " << isa << ": " << y[i]
           << std::defaultfloat << ", " << error << " ulp";
    }
  }
  return text.str();
}

constexpr std::size_t kBlock = 1 << 16;

}  // namespace

// In bit patterns: all signs, exponents and subnormals, NaNs too.
TEST_CASE("float32 functions are within bounds on all exponents") {
  constexpr std::uint64_t kStep = kThinning == 1 ? 2053 : 99991;  // primes
  for (const auto& f : functions<float>()) {
    std::vector<float> x;
    for (std::uint64_t word = 0; word < (std::uint64_t{1} << 32); word += kStep) {
      x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(word)));
      if (x.size() < kBlock && word + kStep < (std::uint64_t{1} << 32)) continue;
      CHECK(worst_error(f, x) == "");
      x.clear();
    }
  }
}

TEST_CASE("float64 functions are within bounds on all exponents") {
  constexpr Index kMantissas = 256 / kThinning;
  Numbers numbers(1);
  for (const auto& f : functions<double>()) {
    std::vector<double> x;
    for (std::uint64_t exponent = 0; exponent < 4096; ++exponent) {  // with sign
      for (Index i = 0; i < kMantissas; ++i) {
        const auto high = static_cast<std::uint64_t>(numbers.integer(0, (1 << 26) - 1));
        const auto low = static_cast<std::uint64_t>(numbers.integer(0, (1 << 26) - 1));
        x.push_back(std::bit_cast<double>(exponent << 52 | high << 26 | low));
      }
      if (x.size() < kBlock && exponent != 4095) continue;
      CHECK(worst_error(f, x) == "");
      x.clear();
    }
  }
}

// Densely where results are neither 0, 1 nor infinite.
TEST_CASE_TEMPLATE("functions are within bounds on the range of interest", T, float,
                   double) {
  constexpr Index kPoints = 1'000'000 / (kThinning * kThinning);
  Numbers numbers(2, Digits::kAll);
  for (const auto& f : functions<T>()) {
    std::vector<T> x;
    for (Index i = 0; i < kPoints; ++i) {
      x.push_back(f.range * numbers.next<T>());
      if (x.size() < kBlock && i + 1 < kPoints) continue;
      CHECK(worst_error(f, x) == "");
      x.clear();
    }
  }
}

// Where a formula changes: number by number around 0, 1, the square roots of 2 and 1/2,
// multiples of ln 2 / 2 and the ends of the range of each function.
TEST_CASE_TEMPLATE("functions are within bounds around every seam", T, float, double) {
  constexpr bool kFloat = sizeof(T) == sizeof(float);
  constexpr int kNeighbours = 256 / static_cast<int>(kThinning);
  const double largest = static_cast<double>(std::numeric_limits<T>::max());
  const double smallest = static_cast<double>(std::numeric_limits<T>::denorm_min());
  const double normal = static_cast<double>(std::numeric_limits<T>::min());
  std::vector<double> seams = {0,
                               0.5,
                               1,
                               2,
                               std::sqrt(0.5),
                               std::sqrt(2.0),
                               10,
                               20,
                               40,
                               std::log(largest),
                               -std::log(smallest),
                               -std::log(normal)};
  seams.push_back(normal);
  seams.push_back(kFloat ? 89 : 710);
  seams.push_back(kFloat ? 104 : 746);
  for (int i = 1; i <= 2100; i += i < 20 ? 1 : 61)
    seams.push_back(i * std::log(2.0) / 2);
  std::vector<T> x;
  for (const double seam : seams) {
    for (const double s : {seam, -seam}) {
      T up = static_cast<T>(s), down = up;
      for (int i = 0; i < kNeighbours; ++i) {
        x.push_back(up);
        x.push_back(down);
        up = std::nextafter(up, std::numeric_limits<T>::infinity());
        down = std::nextafter(down, -std::numeric_limits<T>::infinity());
      }
    }
  }
  for (const auto& f : functions<T>()) CHECK(worst_error(f, x) == "");
}

TEST_CASE_TEMPLATE("special values are those of C", T, float, double) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  constexpr T kTiny = std::numeric_limits<T>::denorm_min();
  constexpr T kMax = std::numeric_limits<T>::max();
  const std::vector<T> x = {0,     -T(0),  1,    -1,    kInfinity, -kInfinity,
                            kTiny, -kTiny, kMax, -kMax, kNaN,      -kNaN};
  const std::vector<std::vector<T>> expected = {
      {1, 1, std::exp(T(1)), std::exp(T(-1)), kInfinity, 0, 1, 1, kInfinity, 0, kNaN,
       kNaN},
      {-kInfinity, -kInfinity, 0, kNaN, kInfinity, kNaN, std::log(kTiny), kNaN,
       std::log(kMax), kNaN, kNaN, kNaN},
      {0, -T(0), std::tanh(T(1)), std::tanh(T(-1)), 1, -1, kTiny, -kTiny, 1, -1, kNaN,
       kNaN},
      {T(0.5), T(0.5), 1 / (1 + std::exp(T(-1))), 1 / (1 + std::exp(T(1))), 1, 0,
       T(0.5), T(0.5), 1, 0, kNaN, kNaN}};
  const auto all = functions<T>();
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    for (std::size_t f = 0; f < expected.size(); ++f) {
      CAPTURE(all[f].name);
      std::vector<T> y(x.size());
      all[f].kernel(kernels_of<T>(isa), static_cast<Index>(x.size()), x.data(),
                    y.data());
      for (std::size_t i = 0; i < x.size(); ++i) {
        CAPTURE(x[i]);
        CHECK(error_in_ulps<T>(y[i], expected[f][i]) <= kMaxUlps<T>);
      }
    }
  }
}

TEST_CASE_TEMPLATE("activations have their limits at infinity", T, float, double) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  struct Limits {
    Activation activation;
    T low, high, low_derivative, high_derivative;
  };
  const std::vector<Limits> all = {
      {Activation::kIdentity, -kInfinity, kInfinity, 1, 1},
      {Activation::kLogistic, 0, 1, 0, 0},
      {Activation::kTanh, -1, 1, 0, 0},
      {Activation::kRelu, 0, kInfinity, 0, 1},
      {Activation::kLeakyRelu, -kInfinity, kInfinity, T{kSlope}, 1},
      {Activation::kElu, -1, kInfinity, 0, 1},
      {Activation::kSelu, T(-1.7580993408473768599), kInfinity, 0,
       T(1.0507009873554804934)},
      {Activation::kHardTanh, -1, 1, 0, 0},
      {Activation::kGelu, 0, kInfinity, 0, 1},
      {Activation::kSilu, 0, kInfinity, 0, 1},
      {Activation::kMish, 0, kInfinity, 0, 1},
      {Activation::kSoftplus, 0, kInfinity, 0, 1}};
  const std::vector<T> x = {-kInfinity, T(-1e30), kInfinity, T(1e30), kNaN};
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    for (const Limits& l : all) {
      CAPTURE(static_cast<int>(l.activation));
      std::vector<T> y(x.size()), derivative(x.size());
      apply(kernels_of<T>(isa), l.activation, static_cast<Index>(x.size()), x.data(),
            y.data(), derivative.data());
      CHECK(y[0] == l.low);
      CHECK(y[2] == l.high);
      CHECK(std::isnan(y[4]));
      if (std::isfinite(l.low)) CHECK(y[1] == l.low);
      if (std::isfinite(l.high)) CHECK(y[3] == l.high);
      for (const std::size_t i : {std::size_t{0}, std::size_t{1}})
        CHECK(derivative[i] == l.low_derivative);
      for (const std::size_t i : {std::size_t{2}, std::size_t{3}})
        CHECK(derivative[i] == l.high_derivative);
    }
  }
}

TEST_CASE_TEMPLATE("stored derivatives are within 3 epsilon", T, float, double) {
  constexpr Index kPoints = 1'000'000 / (kThinning * kThinning);
  Numbers numbers(4, Digits::kAll);
  std::vector<T> x, y(kPoints), derivative(kPoints);
  for (Index i = 0; i < kPoints; ++i)
    x.push_back((i % 2 == 0 ? 3 : 50) * numbers.next<T>());
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    for (const Activation a : kActivations) {
      if (!stores_derivative(a)) continue;
      CAPTURE(static_cast<int>(a));
      apply(kernels_of<T>(isa), a, kPoints, x.data(), y.data(), derivative.data());
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto error = derivative[i] - reference::stored_derivative(a, x[i]);
        worst = std::max(worst, static_cast<double>(std::abs(error)));
      }
      CHECK(worst <= 3 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    }
  }
}

TEST_CASE_TEMPLATE("results depend on neither length nor position", T, float, double) {
  Numbers numbers(3, Digits::kAll);
  std::vector<T> x(100);
  for (T& x_i : x) x_i = 8 * numbers.next<T>();
  for (const auto& f : functions<T>()) {
    CAPTURE(f.name);
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      const auto kernel = [&](Index n, const T* from, T* to) {
        f.kernel(kernels_of<T>(isa), n, from, to);
      };
      std::vector<T> one_by_one(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) kernel(1, &x[i], &one_by_one[i]);
      for (std::size_t n = 0; n <= x.size(); ++n) {
        Guarded<T> got(1, 100), expected(1, 100), in_place(1, 100);
        for (std::size_t i = 0; i < n; ++i) {
          expected(0, static_cast<Index>(i)) = one_by_one[i];
          in_place(0, static_cast<Index>(i)) = x[i];
        }
        kernel(static_cast<Index>(n), x.data(), got.data());
        kernel(static_cast<Index>(n), in_place.data(), in_place.data());
        CHECK(difference_in_bits(got, expected) == "");
        CHECK(difference_in_bits(in_place, expected) == "");
      }
    }
  }
}
