// The fused optimizer step against the reference, and the numbers of one step by hand.
#include <cmath>

#include "fastbp/optim/rule.h"
#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

// Everything in a problem is of the order of 1; a rule has about ten operations.
template <class T>
T few_roundings(T value) {
  return 8 * std::numeric_limits<T>::epsilon() * (1 + std::abs(value));
}

template <class T>
void test_update(bool is_sparse) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    // 16 of each rule, with each size for rows and columns, and l1 in half of them.
    const Rule rule = kRules[(i + i / 16) % kRules.size()];
    const double l1 = i / 32 % 2 == 0 ? 0 : 0.25;
    const UpdateProblem<T> problem(s, rule, 0.125, l1, is_sparse, Numbers(++i));
    const auto expected = problem.solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.inner);
      CAPTURE(s.cols);
      CAPTURE(static_cast<int>(rule));
      const auto got = problem.solve(kernels_of<T>(isa));
      CHECK(difference(got, expected, few_roundings<T>) == "");
      CHECK(got.returned ==
            doctest::Approx(expected.returned)
                .epsilon(100 * static_cast<double>(std::numeric_limits<T>::epsilon())));
      CHECK(got.returned_too ==
            doctest::Approx(expected.returned_too)
                .epsilon(100 * static_cast<double>(std::numeric_limits<T>::epsilon())));
    }
  }
}

// One parameter, from weight 2 and moments 0.5 and 0.25, with two rows whose gradients
// are 1 and 3, penalty 0.5, rate 0.5, momentum and beta_1 0.5, beta_2 0.75, epsilon 1.
// All numbers on the way are exact: g = (1 + 3 + 0.5 * 2) / 2 = 2.5.
template <class T>
std::array<T, 3> step_by_hand(const Kernels<T>& kernels, Rule rule, double* squares,
                              T l1 = 0, T decay = 0) {
  Guarded<T> x(2, 1), dz(2, kPanel<T>), w(1, kPanel<T>), m = w, v = w;
  for (Index j = 0; j < kPanel<T>; ++j) {
    for (Index r = 0; r < 2; ++r) {
      x(r, 0) = 1;
      dz(r, j) = j == 0 ? T(1 + 2 * r) : 0;
    }
    w(0, j) = j == 0 ? T(2) : 0;
    m(0, j) = j == 0 ? T(0.5) : 0;
    v(0, j) = j == 0 ? T(0.25) : 0;
  }
  const GradientTile<T> tile{2,          1,         1,           x.data(),
                             x.stride(), dz.data(), dz.stride(), kPanel<T>};
  const Update<T> u{rule, T(0.5), T(0.5),  T(0.5),  T(0.5), T(0.5), T(0.75),
                    T(1), T(0.5), T(0.25), T(0.25), l1,     decay};
  const PenaltySums sums = kernels.update(tile, u, {w.data(), m.data(), v.data()});
  CHECK(sums.magnitudes == (l1 != 0 ? 2 : 0));
  *squares = sums.squares;
  for (Index j = 1; j < kPanel<T>; ++j) {
    CHECK(w(0, j) == 0);
    CHECK(m(0, j) == 0);
    CHECK(v(0, j) == 0);
  }
  return {w(0, 0), m(0, 0), v(0, 0)};
}

}  // namespace

TEST_CASE_TEMPLATE("update equals the reference", T, float, double) {
  test_update<T>(false);
}

TEST_CASE_TEMPLATE("sparse update equals the reference", T, float, double) {
  test_update<T>(true);
}

TEST_CASE_TEMPLATE("each rule makes the step of its formula", T, float, double) {
  const auto check = [](const Kernels<T>& kernels, Rule rule, double w, double m,
                        double v) {
    double squares = 0;
    const auto got = step_by_hand(kernels, rule, &squares);
    CHECK(got[0] == doctest::Approx(w).epsilon(1e-6));
    CHECK(got[1] == T(m));
    CHECK(got[2] == T(v));
    CHECK(squares == 4);
  };
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto& kernels = kernels_of<T>(isa);
    check(kernels, Rule::kSgd, 2 - 0.5 * 2.5, 0.5, 0.25);
    const double velocity = 0.5 * 0.5 - 0.5 * 2.5;
    check(kernels, Rule::kMomentum, 2 + velocity, velocity, 0.25);
    check(kernels, Rule::kNesterov, 2 + 0.5 * velocity - 0.5 * 2.5, velocity, 0.25);
    const double m = 0.5 * 0.5 + 0.5 * 2.5, v = 0.75 * 0.25 + 0.25 * 2.5 * 2.5;
    check(kernels, Rule::kAdam, 2 - 0.5 * m / (std::sqrt(v) + 1), m, v);
    check(kernels, Rule::kNadam, 2 - (0.5 * m + 0.25 * 2.5) / (std::sqrt(v) + 1), m, v);
    const double square = 0.75 * 0.5 + 0.25 * 2.5 * 2.5, sum = 0.5 + 2.5 * 2.5;
    check(kernels, Rule::kRmsprop, 2 - 0.5 * 2.5 / (std::sqrt(square) + 1), square,
          0.25);
    check(kernels, Rule::kAdagrad, 2 - 0.5 * 2.5 / (std::sqrt(sum) + 1), sum, 0.25);
    check(kernels, Rule::kLion, 2 - 0.5, 0.75 * 0.5 + 0.25 * 2.5, 0.25);
  }
}

TEST_CASE_TEMPLATE("l1 joins the gradient and decay the weight", T, float, double) {
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    double squares = 0;
    // g = (1 + 3 + 0.5 * 2 + 1) / 2 = 3 from the weight 2 * (1 - 0.125).
    const auto got =
        step_by_hand(kernels_of<T>(isa), Rule::kSgd, &squares, T(1), T(0.125));
    CHECK(got[0] == T(1.75 - 0.5 * 3));
    CHECK(squares == 4);
  }
}

// A gradient that is not a number must not look like one of sign 0.
TEST_CASE_TEMPLATE("signs of NaN are NaN", T, float, double) {
  for (const auto& isa : available_isas()) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    Guarded<T> g(1, kPanel<T>), w(1, kPanel<T>), m = g, v = g;
    for (Index j = 0; j < kPanel<T>; ++j) {
      g(0, j) = j == 1 ? nan : 0;
      w(0, j) = m(0, j) = v(0, j) = 0;
    }
    const SummedTile<T> tile{1, 1, g.data(), kPanel<T>, kPanel<T>, kPanel<T>};
    const Update<T> u{Rule::kLion, 1, 0, T(0.5), 0, T(0.5), T(0.5), 1, T(0.5), T(0.5)};
    kernels_of<T>(isa).step(tile, u, {w.data(), m.data(), v.data()});
    CHECK(w(0, 0) == 0);
    CHECK(std::isnan(w(0, 1)));
  }
}

TEST_CASE_TEMPLATE("column squares equal the reference", T, float, double) {
  Numbers numbers(5);
  for (const Index n_rows : {1, 2, 3, 15, 16, 17, 129, 511, 512, 513, 1025}) {
    for (const Index stride : {kPanel<T>, 3 * kPanel<T>}) {
      for (const double l1 : {0.0, 0.25}) {
        Guarded<T> g(n_rows, kPanel<T>, stride), w(n_rows, kPanel<T>, stride);
        for (Index i = 0; i < n_rows; ++i) {
          for (Index j = 0; j < kPanel<T>; ++j) {
            g(i, j) = numbers.next<T>() / 8;
            w(i, j) = numbers.next<T>() / 8;
          }
        }
        const GradientPanel<T> panel{n_rows,   stride,  g.data(),
                                     w.data(), T(0.25), static_cast<T>(l1)};
        Guarded<T> expected(1, kPanel<T>), got(1, kPanel<T>);
        reference::column_squares(panel, expected.data());
        for (const auto& isa : available_isas()) {
          CAPTURE(isa);
          CAPTURE(n_rows);
          kernels_of<T>(isa).column_squares(panel, got.data());
          // Multiples of 2^-10: exact in float32 as long as they are below 2^14.
          CHECK(difference(got, expected, [n_rows](T sum) {
                  return n_rows < 100 ? T{-1} : few_roundings(sum);
                }) == "");
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("scaled columns equal the reference", T, float, double) {
  Numbers numbers(6, Digits::kAll);
  for (const Index stride : {kPanel<T>, 3 * kPanel<T>}) {
    const auto factors = matrix<T>(1, kPanel<T>, [&] { return numbers.next<T>(); });
    Guarded<T> w(17, kPanel<T>, stride);
    for (Index i = 0; i < 17; ++i) {
      for (Index j = 0; j < kPanel<T>; ++j) w(i, j) = numbers.next<T>();
    }
    Guarded<T> expected = w;
    reference::scale_columns(Index{17}, stride, factors.data(), expected.data());
    for (const auto& isa : available_isas()) {
      Guarded<T> got = w;
      kernels_of<T>(isa).scale_columns(17, stride, factors.data(), got.data());
      CHECK(difference_in_bits(got, expected) == "");
    }
  }
}

TEST_CASE_TEMPLATE("moving average equals the reference", T, float, double) {
  Numbers numbers(7, Digits::kAll);
  for (const Index n_panels : {1, 2, 33}) {
    const Index n = n_panels * kPanel<T>;
    const auto w = matrix<T>(1, n, [&] { return numbers.next<T>(); });
    const auto former = matrix<T>(1, n, [&] { return numbers.next<T>(); });
    for (const double rate : {1.0, 0.1, 1e-3}) {
      Guarded<T> expected = former;
      reference::average(n, static_cast<T>(rate), w.data(), expected.data());
      for (const auto& isa : available_isas()) {
        CAPTURE(isa);
        Guarded<T> got = former;
        kernels_of<T>(isa).average(n, static_cast<T>(rate), w.data(), got.data());
        CHECK(difference(got, expected, [](T) { return few_roundings(T{1}); }) == "");
      }
    }
  }
}

TEST_CASE("rates of a moving average weight its steps by powers of the decay") {
  for (const double decay : {0.5, 0.9, 0.999}) {
    double average = 0, expected = 0, weights = 0;
    for (Index n = 1; n <= 100; ++n) {
      const double value = std::sin(static_cast<double>(n));
      average += average_rate(decay, n) * (value - average);
      expected = decay * expected + value;
      weights = decay * weights + 1;
      CHECK(average == doctest::Approx(expected / weights).epsilon(1e-12));
    }
    CHECK(average_rate(decay, 1) == 1);
  }
}

// Dozat's schedule with PyTorch's numbers, by the library's own powers.
TEST_CASE("nadam's rates follow their formula") {
  const RuleSettings settings{Rule::kNadam, 0.9, 0.9, 0.999, 1e-8};
  const auto mu = [](double t) { return 0.9 * (1 - 0.5 * std::pow(0.96, 0.004 * t)); };
  double product = 1;
  for (Index t = 1; t <= 200; ++t) {
    const auto n = static_cast<double>(t);
    product *= mu(n);
    const double root = std::sqrt(1 - std::pow(0.999, n));
    const auto u = update_for_step<double>(settings, t, 0.01, 0, 1);
    CHECK(u.gradient_rate ==
          doctest::Approx(0.01 * root * (1 - mu(n)) / (1 - product)).epsilon(1e-12));
    CHECK(u.rate == doctest::Approx(0.01 * root * mu(n + 1) / (1 - product * mu(n + 1)))
                        .epsilon(1e-12));
    CHECK(u.epsilon == doctest::Approx(1e-8 * root).epsilon(1e-12));
  }
  CHECK(nadam_product(0.9, 1'000'000'000) == 0);
  CHECK(nadam_product(0, 1) == 0);
}

TEST_CASE("decay goes by the plain rate") {
  RuleSettings settings{Rule::kAdam, 0.9, 0.9, 0.999, 1e-8};
  settings.weight_decay = 0.25;
  for (const Rule rule : kRules) {
    settings.rule = rule;
    CHECK(update_for_step<double>(settings, 3, 0.5, 0, 8).decay == 0.125);
  }
}

TEST_CASE("adam's rate carries both bias corrections") {
  const RuleSettings settings{Rule::kAdam, 0.9, 0.9, 0.999, 1e-8};
  for (const Index t : {1, 2, 3, 10, 1000, 123456}) {
    CAPTURE(t);
    const auto u = update_for_step<double>(settings, t, 0.01, 0.5, 4);
    const auto n = static_cast<double>(t);
    const double expected =
        0.01 * std::sqrt(1 - std::pow(0.999, n)) / (1 - std::pow(0.9, n));
    CHECK(u.rate == doctest::Approx(expected).epsilon(1e-12));
    CHECK(u.scale == 0.25);
    CHECK(u.penalty == 0.5);
    CHECK(u.beta_1 == 0.9);
    CHECK(u.beta_2 == 0.999);
    CHECK(u.epsilon == 1e-8);
    CHECK(u.rest_1 == 1 - 0.9);
    CHECK(u.rest_2 == 1 - 0.999);
  }
}

TEST_CASE("what beta leaves is exact in float32") {
  const auto u = update_for_step<float>({Rule::kAdam, 0, 0.9, 0.999, 1e-8}, 1, 1, 0, 1);
  CHECK(u.rest_2 == 0.001f);  // 1 - 0.999f is 5e-5 of it away
}

TEST_CASE("other rules take the rate as it is given") {
  for (const Rule rule : {Rule::kSgd, Rule::kMomentum, Rule::kNesterov, Rule::kRmsprop,
                          Rule::kAdagrad, Rule::kLion}) {
    const auto u = update_for_step<float>({rule, 0.5, 0.9, 0.999, 1e-8}, 7, 0.25, 0, 8);
    CHECK(u.rate == 0.25f);
    CHECK(u.momentum == 0.5f);
    CHECK(u.scale == 0.125f);
  }
}

TEST_CASE("a rule keeps as many moments as its formula needs") {
  CHECK(n_moments(Rule::kSgd) == 0);
  CHECK(n_moments(Rule::kMomentum) == 1);
  CHECK(n_moments(Rule::kNesterov) == 1);
  CHECK(n_moments(Rule::kRmsprop) == 1);
  CHECK(n_moments(Rule::kAdagrad) == 1);
  CHECK(n_moments(Rule::kLion) == 1);
  CHECK(n_moments(Rule::kAdam) == 2);
  CHECK(n_moments(Rule::kNadam) == 2);
}
