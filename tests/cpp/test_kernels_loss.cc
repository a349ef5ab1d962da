// Losses, their gradients and the output activations against the reference and against
// numbers known in closed form.
#include <cmath>

#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

constexpr std::array kLosses = {Loss::kSoftmaxCrossEntropy, Loss::kBinaryCrossEntropy,
                                Loss::kSquaredError, Loss::kPoisson};

template <class T>
constexpr T kEps = std::numeric_limits<T>::epsilon();

// Sums of up to 129 terms, each a few roundings from the exact one; weights up to 2.
template <class T>
T few_roundings(T value) {
  return 32 * kEps<T> * (1 + std::abs(value));
}

// A row (or several) with all its numbers given.
template <class T>
LossProblem<T> given(Loss kind, const std::vector<T>& z, const std::vector<T>& y,
                     T weight) {
  LossProblem<T> problem(kind, 1, static_cast<Index>(z.size()), 1, Numbers(1));
  problem.weights()(0, 0) = weight;
  for (std::size_t j = 0; j < z.size(); ++j) {
    problem.z()(0, static_cast<Index>(j)) = z[j];
    problem.y()(0, static_cast<Index>(j)) = y[j];
    if (y[j] == 1) problem.labels()[0] = static_cast<Index>(j);
  }
  return problem;
}

// Checks the loss and the gradients of a problem of one row.
template <class T>
void check_row(const LossProblem<T>& problem, double loss,
               const std::vector<double>& dz, double tolerance) {
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto got = problem.solve(kernels_of<T>(isa));
    CHECK(std::abs(static_cast<double>(got.arrays[1](0, 0)) - loss) <= tolerance);
    for (std::size_t j = 0; j < dz.size(); ++j) {
      CAPTURE(j);
      const auto d = static_cast<double>(got.arrays[0](0, static_cast<Index>(j)));
      CHECK(std::abs(d - dz[j]) <= tolerance);
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("losses and gradients equal the reference", T, float, double) {
  for (const Loss kind : kLosses) {
    for (const Index outputs : kSizes) {
      for (const Index rows : {1, 3, 17}) {
        const LossProblem<T> problem(kind, rows, outputs, 4,
                                     Numbers(static_cast<std::uint64_t>(outputs)));
        const auto expected = problem.solve(reference::kernels<T>());
        for (const auto& isa : available_isas()) {
          CAPTURE(isa);
          CAPTURE(static_cast<int>(kind));
          CAPTURE(rows);
          CAPTURE(outputs);
          const auto got = problem.solve(kernels_of<T>(isa));
          CHECK(difference(got, expected, few_roundings<T>) == "");
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("outputs equal the reference", T, float, double) {
  for (const Loss kind : kLosses) {
    for (const Index outputs : kSizes) {
      const LossProblem<T> problem(kind, 5, outputs, 8,
                                   Numbers(static_cast<std::uint64_t>(outputs)));
      const auto expected = problem.outputs(reference::kernels<T>());
      for (const auto& isa : available_isas()) {
        CAPTURE(isa);
        CAPTURE(static_cast<int>(kind));
        CAPTURE(outputs);
        const auto got = problem.outputs(kernels_of<T>(isa));
        CHECK(difference(got, expected, few_roundings<T>) == "");
      }
    }
  }
}

TEST_CASE_TEMPLATE("gradients are p - y times the weight", T, float, double) {
  const double eps = 8 * static_cast<double>(kEps<T>);
  const double third = 1.0 / 3, log_3 = std::log(3.0), log_2 = std::log(2.0);
  check_row(given<T>(Loss::kSoftmaxCrossEntropy, {7, 7, 7}, {0, 1, 0}, T(1)), log_3,
            {third, third - 1, third}, eps);
  check_row(given<T>(Loss::kSoftmaxCrossEntropy, {7, 7, 7}, {0, 1, 0}, T(2)), 2 * log_3,
            {2 * third, 2 * third - 2, 2 * third}, eps);
  check_row(given<T>(Loss::kBinaryCrossEntropy, {0, 0}, {1, 0}, T(3)), 6 * log_2,
            {-1.5, 1.5}, 2 * eps);
  check_row(given<T>(Loss::kSquaredError, {1, 5}, {3, 2}, T(0.5)), 0.5 * (2 + 4.5),
            {-1, 1.5}, 0);
  // y log(y / p) - y + p with p = 1; the term y log y vanishes at y = 0.
  check_row(given<T>(Loss::kPoisson, {0, 0}, {2, 0}, T(2)), 2 * (2 * log_2 - 2 + 1 + 1),
            {-2, 2}, eps);
}

TEST_CASE_TEMPLATE("a row without weight has no loss and no gradient", T, float,
                   double) {
  for (const Loss kind : kLosses) {
    CAPTURE(static_cast<int>(kind));
    check_row(given<T>(kind, {3, -2, 1}, {0, 1, 0}, T(0)), 0, {0, 0, 0}, 0);
  }
}

// Probabilities are clipped to [eps, 1 - eps] in the loss, and in the loss only.
TEST_CASE_TEMPLATE("logits of a thousand give clipped losses and exact gradients", T,
                   float, double) {
  const double eps = static_cast<double>(kEps<T>);
  const double worst = -std::log(eps), best = -std::log1p(-eps);
  const double tolerance = 4 * eps * worst;
  check_row(given<T>(Loss::kSoftmaxCrossEntropy, {1000, -1000}, {1, 0}, T(1)), best,
            {0, 0}, tolerance);
  check_row(given<T>(Loss::kSoftmaxCrossEntropy, {1000, -1000}, {0, 1}, T(1)), worst,
            {1, -1}, tolerance);
  check_row(given<T>(Loss::kSoftmaxCrossEntropy, {-1000, -1000}, {0, 1}, T(1)),
            std::log(2.0), {0.5, -0.5}, tolerance);
  check_row(given<T>(Loss::kBinaryCrossEntropy, {1000, -1000}, {1, 0}, T(1)), 2 * best,
            {0, 0}, tolerance);
  check_row(given<T>(Loss::kBinaryCrossEntropy, {1000, -1000}, {0, 1}, T(1)), 2 * worst,
            {1, -1}, 2 * tolerance);
  check_row(given<T>(Loss::kPoisson, {-1000}, {0}, T(1)), 0, {0}, 0);
  check_row(given<T>(Loss::kPoisson, {-1000}, {2}, T(1)), 2 * std::log(2.0) + 2000 - 2,
            {-2}, 2000 * 4 * eps);
}

TEST_CASE_TEMPLATE("infinite and NaN logits are not hidden", T, float, double) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto& kernels = kernels_of<T>(isa);
    for (const Loss kind : kLosses) {
      CAPTURE(static_cast<int>(kind));
      const auto got = given<T>(kind, {1, kNaN, 2}, {0, 1, 0}, T(1)).solve(kernels);
      CHECK(std::isnan(got.arrays[0](0, 1)));
      CHECK(std::isnan(got.arrays[1](0, 0)));
    }
    const auto overflow = given<T>(Loss::kPoisson, {1000}, {1}, T(1)).solve(kernels);
    CHECK(overflow.arrays[0](0, 0) == kInfinity);
    CHECK(overflow.arrays[1](0, 0) == kInfinity);
  }
}

TEST_CASE_TEMPLATE("probabilities of a softmax sum to one", T, float, double) {
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    for (const Index n : kSizes) {
      CAPTURE(n);
      const LossProblem<T> problem(Loss::kSoftmaxCrossEntropy, 3, n, 200, Numbers(1));
      const auto p = problem.outputs(kernels_of<T>(isa)).arrays[0];
      for (Index r = 0; r < p.rows(); ++r) {
        double sum = 0;
        for (Index j = 0; j < n; ++j) sum += static_cast<double>(p(r, j));
        CHECK(sum == doctest::Approx(1).epsilon(16 * static_cast<double>(kEps<T>)));
      }
    }
  }
}
