// The fused optimizer step against the reference, and the numbers of one step by hand.
#include <cmath>

#include "fastbp/optim/rule.h"
#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

constexpr std::array kRules = {Rule::kSgd, Rule::kMomentum, Rule::kNesterov,
                               Rule::kAdam};

// Everything in a problem is of the order of 1; a rule has about ten operations.
template <class T>
T few_roundings(T value) {
  return 8 * std::numeric_limits<T>::epsilon() * (1 + std::abs(value));
}

template <class T>
void test_update(bool is_sparse) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const Rule rule = kRules[i++ % kRules.size()];
    const UpdateProblem<T> problem(s, rule, 0.125, is_sparse, Numbers(i));
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
    }
  }
}

// One parameter, from weight 2 and moments 0.5 and 0.25, with two rows whose gradients
// are 1 and 3, penalty 0.5, rate 0.5, momentum and beta_1 0.5, beta_2 0.75, epsilon 1.
// All numbers on the way are exact: g = (1 + 3 + 0.5 * 2) / 2 = 2.5.
template <class T>
std::array<T, 3> step_by_hand(const Kernels<T>& kernels, Rule rule, double* squares) {
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
  const Update<T> u{rule,   T(0.5),  T(0.5), T(0.5), T(0.5),
                    T(0.5), T(0.75), T(1),   T(0.5), T(0.25)};
  *squares = kernels.update(tile, u, {w.data(), m.data(), v.data()});
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
  for (const Rule rule : {Rule::kSgd, Rule::kMomentum, Rule::kNesterov}) {
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
  CHECK(n_moments(Rule::kAdam) == 2);
}
