// The products of forward and backward pass against the reference. The numbers are
// small integers, so that all sums are exact and results must be equal.
#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

bool is_exact(Activation a) {
  return a == Activation::kIdentity || a == Activation::kRelu ||
         a == Activation::kLeakyRelu || a == Activation::kHardTanh;
}

// Error bounds of kernels.h: 2 ulp in float32, 4 ulp in float64.
template <class T>
T rounding(T value) {
  constexpr T kUlps = sizeof(T) == sizeof(float) ? 2 : 4;
  return kUlps * std::numeric_limits<T>::epsilon() * std::abs(value);
}

template <class T>
T rounding_of_smooth(T value) {
  return 6 * std::numeric_limits<T>::epsilon() * std::abs(value);
}

template <class T>
T rounding_of_derivative(T) {
  return 3 * std::numeric_limits<T>::epsilon();
}

template <class T>
void test_forward(bool is_sparse) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const Activation activation = kActivations[i++ % kActivations.size()];
    const ForwardProblem<T> problem(s, activation, is_sparse, Numbers(i));
    const auto expected = problem.solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.inner);
      CAPTURE(s.cols);
      CAPTURE(static_cast<int>(activation));
      const auto got = problem.solve(kernels_of<T>(isa));
      if (is_exact(activation)) {
        CHECK(difference(got, expected) == "");
      } else if (stores_derivative(activation)) {
        CHECK(difference(got.arrays[0], expected.arrays[0], rounding_of_smooth<T>) ==
              "");
        CHECK(difference(got.arrays[1], expected.arrays[1],
                         rounding_of_derivative<T>) == "");
      } else {
        CHECK(difference(got, expected, rounding<T>) == "");
      }
    }
  }
}

template <class T>
void test_gradient(bool is_sparse) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const bool add = i++ % 2 == 0;
    const GradientProblem<T> problem(s, add, is_sparse, Numbers(i));
    const auto expected = problem.solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.inner);
      CAPTURE(s.cols);
      CAPTURE(add);
      CHECK(difference(problem.solve(kernels_of<T>(isa)), expected) == "");
    }
  }
}

}  // namespace

TEST_CASE_TEMPLATE("forward equals the reference", T, float, double) {
  test_forward<T>(false);
}

TEST_CASE_TEMPLATE("sparse forward equals the reference", T, float, double) {
  test_forward<T>(true);
}

TEST_CASE_TEMPLATE("backward equals the reference", T, float, double) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const Activation activation = kActivations[i++ % kActivations.size()];
    const BackwardProblem<T> problem(s, activation, Numbers(i));
    const auto expected = problem.solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.inner);
      CAPTURE(s.cols);
      CAPTURE(static_cast<int>(activation));
      const auto got = problem.solve(kernels_of<T>(isa));
      if (activation == Activation::kSelu) {  // whose constants have many digits
        CHECK(difference(got, expected, rounding<T>) == "");
      } else {
        CHECK(difference(got, expected) == "");
      }
    }
  }
}

TEST_CASE_TEMPLATE("gradient equals the reference", T, float, double) {
  test_gradient<T>(false);
}

TEST_CASE_TEMPLATE("sparse gradient equals the reference", T, float, double) {
  test_gradient<T>(true);
}

TEST_CASE_TEMPLATE("an empty sum leaves bias and zero", T, float, double) {
  const Shape empty{3, 0, 17};
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto& kernels = kernels_of<T>(isa);
    const ForwardProblem<T> forward(empty, Activation::kIdentity, false, Numbers(1));
    const GradientProblem<T> gradient(empty, false, false, Numbers(1));
    CHECK(difference(forward.solve(kernels), forward.solve(reference::kernels<T>())) ==
          "");
    CHECK(difference(gradient.solve(kernels),
                     gradient.solve(reference::kernels<T>())) == "");
  }
}

TEST_CASE_TEMPLATE("transpose turns the rows it is given", T, float, double) {
  Numbers numbers(1);
  const auto rows =
      panels<T>(kPanel<T>, kPanel<T>, kPanel<T>, [&] { return numbers.next<T>(); });
  for (Index n_rows = 1; n_rows <= kPanel<T>; ++n_rows) {
    CAPTURE(n_rows);
    Guarded<T> expected(kPanel<T>, kPanel<T>, kPanel<T>);
    for (Index i = 0; i < n_rows; ++i) {
      for (Index j = 0; j < kPanel<T>; ++j) expected(j, i) = rows(i, j);
    }
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      Guarded<T> mirror(kPanel<T>, kPanel<T>, kPanel<T>);
      kernels_of<T>(isa).transpose(rows.data(), n_rows, mirror.data());
      CHECK(difference(mirror, expected) == "");
    }
  }
}
