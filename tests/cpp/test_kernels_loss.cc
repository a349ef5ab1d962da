// Losses, their gradients and the output activations against the reference and against
// numbers known in closed form.
#include <cmath>
#include <numbers>
#include <tuple>

#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

template <class T>
constexpr T kEps = std::numeric_limits<T>::epsilon();

// Sums of up to 129 terms, each a few roundings from the exact one; weights up to 2.
template <class T>
T few_roundings(T value) {
  return 32 * kEps<T> * (1 + std::abs(value));
}

// A row (or several) with all its numbers given.
template <class T>
LossProblem<T> given(const LossSettings& loss, const std::vector<T>& z,
                     const std::vector<T>& y, T weight) {
  LossProblem<T> problem(loss, 1, static_cast<Index>(z.size()), 1, Numbers(1));
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
  constexpr std::array<Index, 3> kRows = {1, 3, 17};
  std::size_t n_sizes = 0;
  for (const LossSettings& pair : loss_pairs()) {
    for (const Index outputs : some_sizes()) {
      const Index in_turn = kRows[n_sizes++ % kRows.size()];
      for (const Index rows : kRows) {
        if (kThinning > 1 && rows != in_turn) continue;
        const LossProblem<T> problem(pair, rows, outputs, 4,
                                     Numbers(static_cast<std::uint64_t>(outputs)));
        const auto expected = problem.solve(reference::kernels<T>());
        for (const auto& isa : available_isas()) {
          CAPTURE(isa);
          CAPTURE(static_cast<int>(pair.kind));
          CAPTURE(static_cast<int>(pair.output));
          CAPTURE(rows);
          CAPTURE(outputs);
          const auto got = problem.solve(kernels_of<T>(isa));
          CHECK(difference(got, expected, few_roundings<T>) == "");
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("weights of entries equal the reference", T, float, double) {
  for (const LossSettings& pair : loss_pairs()) {
    if (pair.output == Output::kSoftmax) continue;
    for (const Index outputs : some_sizes()) {
      const LossProblem<T> problem(pair, 5, outputs, 4,
                                   Numbers(static_cast<std::uint64_t>(outputs)));
      const auto expected = problem.solve(reference::kernels<T>(), true);
      for (const auto& isa : available_isas()) {
        CAPTURE(isa);
        CAPTURE(static_cast<int>(pair.kind));
        CAPTURE(outputs);
        const auto got = problem.solve(kernels_of<T>(isa), true);
        CHECK(difference(got, expected, few_roundings<T>) == "");
      }
    }
  }
}

TEST_CASE_TEMPLATE("an entry without weight may hold anything", T, float, double) {
  LossProblem<T> problem = given<T>(Loss::kSquaredError, {1, 5}, {3, 2}, T(1));
  problem.y()(0, 0) = std::numeric_limits<T>::quiet_NaN();
  problem.entry_weights()(0, 0) = 0;
  problem.entry_weights()(0, 1) = T(0.5);
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto got = problem.solve(kernels_of<T>(isa), true);
    CHECK(got.arrays[0](0, 0) == 0);
    CHECK(got.arrays[0](0, 1) == T(1.5));
    CHECK(got.arrays[1](0, 0) == T(2.25));
  }
}

TEST_CASE_TEMPLATE("outputs equal the reference", T, float, double) {
  for (const Output output : kOutputActivations) {
    for (const Index outputs : some_sizes()) {
      const LossProblem<T> problem({Loss::kSquaredError, output}, 5, outputs, 8,
                                   Numbers(static_cast<std::uint64_t>(outputs)));
      const auto expected = problem.outputs(reference::kernels<T>());
      for (const auto& isa : available_isas()) {
        CAPTURE(isa);
        CAPTURE(static_cast<int>(output));
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

TEST_CASE_TEMPLATE("losses of differences of any size are those of the formula", T,
                   float, double) {
  constexpr double kLog2 = std::numbers::ln2;
  const double eps = 8 * static_cast<double>(kEps<T>);
  LossSettings huber(Loss::kHuber);
  huber.delta = 2;
  // |d|, its sign; d^2 / 2 and d, then 2 (|d| - 1) and 2; |d| - log 2 and tanh(d).
  check_row(given<T>(Loss::kAbsoluteError, {1, 2, 4}, {3, 2, 1}, T(2)), 10, {-2, 0, 2},
            0);
  check_row(given<T>(huber, {1, 0, 1000}, {0, 2, 0}, T(1)), 0.5 + 2 + 1998, {1, -2, 2},
            0);
  check_row(given<T>(Loss::kLogCosh, {0, 10000}, {0, 0}, T(1)), 10000 - kLog2, {0, 1},
            10000 * eps);
  check_row(given<T>(Loss::kLogCosh, {T(-0.001)}, {0}, T(1)), 4.99999916666689e-7,
            {-0.000999999666666800}, 1e-3 * eps);
  check_row(given<T>(Loss::kLogCosh, {1}, {0}, T(1)), 0.433780830483027,
            {0.761594155955765}, eps);
  // y / p - 1 - log(y / p), also where p overflows.
  check_row(given<T>(Loss::kGamma, {0, 0}, {1, 2}, T(1)), 1 - kLog2, {0, -1}, eps);
  check_row(given<T>(Loss::kGamma, {1000}, {1}, T(1)), 999, {1}, 1000 * eps);
}

// d = -1, 0, 1 under the levels 1/4 and 3/4.
TEST_CASE_TEMPLATE("a quantile loss weighs both sides by its level", T, float, double) {
  for (const auto& [level, under, over] :
       {std::tuple{0.25, 0.25, 0.75}, {0.75, 0.75, 0.25}}) {
    std::array<T, 16> levels{};
    std::fill_n(levels.begin(), 3, static_cast<T>(level));
    const std::array<T, 16> z = {1, 2, 3}, y = {2, 2, 2};
    const T weight = 1;
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      std::array<T, 16> dz{};
      T loss = 0;
      kernels_of<T>(isa).loss(LossSettings(Loss::kQuantile),
                              {1, 3, z.data(), 16, nullptr, y.data(), 16, &weight,
                               dz.data(), 16, &loss, levels.data()});
      CHECK(loss == T(1));
      CHECK(dz[0] == T(-under));
      CHECK(dz[1] == 0);
      CHECK(dz[2] == T(over));
    }
  }
}

TEST_CASE_TEMPLATE("a row without weight has no loss and no gradient", T, float,
                   double) {
  for (const LossSettings& pair : loss_pairs()) {
    CAPTURE(static_cast<int>(pair.kind));
    const T low = pair.kind == Loss::kGamma ? 1 : 0;  // its targets are positive
    check_row(given<T>(pair, {3, -2, 1}, {low, 1, low}, T(0)), 0, {0, 0, 0}, 0);
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

// dp / dz and p are equal in the limit, whose quotient must not be 0 / 0 or overflow.
TEST_CASE_TEMPLATE("gradients stay finite where a softplus output vanishes", T, float,
                   double) {
  const double eps = static_cast<double>(kEps<T>);
  const double least = std::log(static_cast<double>(std::numeric_limits<T>::min()));
  for (const Output output : {Output::kSoftplus, Output::kLogistic}) {
    CAPTURE(static_cast<int>(output));
    for (const T z : {T(-50), T(-90), T(-110), T(-720), T(-1000)}) {
      CAPTURE(z);
      const double log_p = std::max(static_cast<double>(z), least);
      check_row(given<T>({Loss::kPoisson, output}, {z}, {10}, T(1)),
                10 * (std::log(10.0) - log_p) - 10, {-10}, 10000 * eps);
    }
    const double ratio = std::exp(50.0);
    check_row(given<T>({Loss::kGamma, output}, {-50}, {1}, T(1)), ratio - 51, {-ratio},
              100 * eps * ratio);
  }
}

TEST_CASE_TEMPLATE("infinite and NaN logits are not hidden", T, float, double) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto& kernels = kernels_of<T>(isa);
    for (const LossSettings& pair : loss_pairs()) {
      CAPTURE(static_cast<int>(pair.kind));
      CAPTURE(static_cast<int>(pair.output));
      const auto got = given<T>(pair, {1, kNaN, 2}, {0, 1, 0}, T(1)).solve(kernels);
      // The gradient of the linear loss is given.
      CHECK((std::isnan(got.arrays[0](0, 1)) || pair.kind == Loss::kLinear));
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
