// The promise of kernels.h: sums are chains of fused multiply-adds of a fixed shape, so
// that all instruction sets that have them give the same bits. And the choice among
// them.
#include <cmath>
#include <cstdlib>
#include <optional>
#include <stdexcept>

#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

// Checks that the solutions of all instruction sets have the same bits.
template <class T, class Solve>
void check_same_bits(const Solve& solve) {
  std::optional<Solution<T>> first;
  for (const auto& isa : fused_isas()) {
    CAPTURE(isa);
    const Solution<T> solution = solve(kernels_of<T>(isa));
    if (!first) first = solution;
    CHECK(difference_in_bits(solution, *first) == "");
  }
}

template <class T, class Problem>
void check_same_bits(const Problem& problem, const Shape& s) {
  CAPTURE(s.rows);
  CAPTURE(s.inner);
  CAPTURE(s.cols);
  check_same_bits<T>([&](const Kernels<T>& kernels) { return problem.solve(kernels); });
}

Numbers rough(std::size_t seed) { return Numbers(seed, Digits::kAll); }

// The sum over i < n of a(i) b(i), as kernels.h promises it.
template <class T, class A, class B>
T chain(Index n, const A& a, const B& b) {
  T sum = 0;
  for (Index first = 0; first < n; first += kSumChunk) {
    T piece = 0;
    for (Index i = first; i < std::min(n, first + kSumChunk); ++i) {
      piece = std::fma(a(i), b(i), piece);
    }
    sum = first == 0 ? piece : sum + piece;
  }
  return sum;
}

// FASTBP_ISA for the length of a scope.
class Forced {
 public:
  explicit Forced(const std::string& isa) {
    const char* before = std::getenv("FASTBP_ISA");
    if (before != nullptr) before_ = before;
    set(isa);
  }
  ~Forced() { set(before_); }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;

 private:
  // An empty name forces nothing.
  static void set(const std::string& isa) {
#ifdef _WIN32
    _putenv_s("FASTBP_ISA", isa.c_str());
#else
    setenv("FASTBP_ISA", isa.c_str(), 1);
#endif
  }
  std::string before_;
};

std::string refusal(const std::string& isa) {
  try {
    kernel_table(isa);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// --- Same bits ---------------------------------------------------------------------

TEST_CASE_TEMPLATE("products have the same bits on all fused paths", T, float, double) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const Activation a = kActivations[i++ % kActivations.size()];
    check_same_bits<T>(ForwardProblem<T>(s, a, false, rough(i)), s);
    check_same_bits<T>(ForwardProblem<T>(s, a, true, rough(i)), s);
    check_same_bits<T>(BackwardProblem<T>(s, a, rough(i)), s);
  }
}

TEST_CASE_TEMPLATE("steps have the same bits on all fused paths", T, float, double) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const Rule rule = kRules[(i + i / 16) % kRules.size()];
    const double l1 = i / 32 % 2 == 0 ? 0 : 0.1;
    ++i;
    for (const bool is_sparse : {false, true}) {
      check_same_bits<T>(GradientProblem<T>(s, i % 2 == 0, is_sparse, rough(i)), s);
      check_same_bits<T>(UpdateProblem<T>(s, rule, 0.1, l1, is_sparse, rough(i)), s);
    }
  }
}

TEST_CASE_TEMPLATE("losses have the same bits on all fused paths", T, float, double) {
  for (const LossSettings& pair : loss_pairs()) {
    for (const Index outputs : some_sizes()) {
      CAPTURE(static_cast<int>(pair.kind));
      CAPTURE(static_cast<int>(pair.output));
      CAPTURE(outputs);
      const LossProblem<T> problem(pair, 17, outputs, 50, rough(1));
      check_same_bits<T>([&](const Kernels<T>& k) { return problem.solve(k); });
    }
  }
}

TEST_CASE_TEMPLATE("outputs have the same bits on all fused paths", T, float, double) {
  for (const Output output : kOutputActivations) {
    for (const Index outputs : some_sizes()) {
      CAPTURE(static_cast<int>(output));
      CAPTURE(outputs);
      const LossProblem<T> problem({Loss::kSquaredError, output}, 17, outputs, 50,
                                   rough(1));
      check_same_bits<T>([&](const Kernels<T>& k) { return problem.outputs(k); });
    }
  }
}

TEST_CASE_TEMPLATE("functions have the same bits on all fused paths", T, float,
                   double) {
  using Elementwise = void (*)(Index, const T*, T*);
  constexpr std::array<Elementwise Kernels<T>::*, 4> kFunctions = {
      &Kernels<T>::exp, &Kernels<T>::log, &Kernels<T>::tanh, &Kernels<T>::logistic};
  constexpr Index kWords = 1 << 12;
  Numbers numbers(1);
  const auto x = matrix<T>(64, kWords, [&] {
    const auto high = static_cast<std::uint64_t>(numbers.integer(0, 0x7fffffff));
    const auto low = static_cast<std::uint64_t>(numbers.integer(0, 0x7fffffff));
    const auto value = std::bit_cast<T>(static_cast<Word<T>>(high << 33 ^ low << 1));
    return std::isnan(value) ? T{0}
                             : value;  // of NaN only that it stays NaN is promised
  });
  for (const auto function : kFunctions) {
    check_same_bits<T>([&](const Kernels<T>& kernels) {
      Guarded<T> y(x.rows(), x.cols());
      for (Index r = 0; r < x.rows(); ++r) {
        (kernels.*function)(x.cols(), &x.data()[r * x.stride()], &y(r, 0));
        for (Index j = 0; j < y.cols(); ++j) {
          if (std::isnan(y(r, j))) y(r, j) = guard<T>();
        }
      }
      return Solution<T>{{y}};
    });
  }
  for (const Activation activation : kActivations) {
    CAPTURE(static_cast<int>(activation));
    check_same_bits<T>([&](const Kernels<T>& kernels) {
      Guarded<T> y(x.rows(), x.cols()), derivative = y;
      for (Index r = 0; r < x.rows(); ++r) {
        apply(kernels, activation, x.cols(), &x.data()[r * x.stride()], &y(r, 0),
              &derivative(r, 0));
      }
      return Solution<T>{{y, derivative}};
    });
  }
}

// --- Chains ------------------------------------------------------------------------

TEST_CASE_TEMPLATE("forward sums are chains of fused multiply-adds", T, float, double) {
  for (const Index n_in : {1, 3, 100, 511, 512, 513, 1100}) {
    const Shape s{15, n_in, 33};
    const ForwardProblem<T> problem(s, Activation::kIdentity, false, rough(1));
    Guarded<T> expected(s.rows, problem.bias().cols());
    for (Index r = 0; r < s.rows; ++r) {
      for (Index j = 0; j < expected.cols(); ++j) {
        expected(r, j) = problem.bias()(0, j) +
                         chain<T>(
                             n_in, [&](Index i) { return problem.x()(r, i); },
                             [&](Index i) {
                               return reference::element(problem.weights().data(),
                                                         n_in * kPanel<T>, i, j);
                             });
      }
    }
    for (const auto& isa : fused_isas()) {
      CAPTURE(isa);
      CAPTURE(n_in);
      CHECK(difference(problem.solve(kernels_of<T>(isa)).arrays[0], expected) == "");
    }
  }
}

TEST_CASE_TEMPLATE("backward sums are chains of fused multiply-adds", T, float,
                   double) {
  for (const Index n_out : {1, 3, 100, 511, 512, 513, 1100}) {
    const Shape s{15, n_out, 33};
    const BackwardProblem<T> problem(s, Activation::kIdentity, rough(1));
    const Index panel_size = problem.mirror_rows() * kPanel<T>;
    Guarded<T> expected(s.rows, round_up(s.cols, kPanel<T>));
    for (Index r = 0; r < s.rows; ++r) {
      for (Index i = 0; i < expected.cols(); ++i) {
        expected(r, i) = chain<T>(
            n_out, [&](Index j) { return problem.dz()(r, j); },
            [&](Index j) {
              return reference::element(problem.mirror().data(), panel_size, j, i);
            });
      }
    }
    for (const auto& isa : fused_isas()) {
      CAPTURE(isa);
      CAPTURE(n_out);
      CHECK(difference(problem.solve(kernels_of<T>(isa)).arrays[0], expected) == "");
    }
  }
}

TEST_CASE_TEMPLATE("gradient sums are chains of fused multiply-adds", T, float,
                   double) {
  for (const Index n_batch : {1, 3, 100, 511, 512, 513, 1100}) {
    const Shape s{15, n_batch, 9};
    const GradientProblem<T> problem(s, false, false, rough(1));
    const TileProblem<T>& tile = problem.tile();
    Guarded<T> expected = tile.target([] { return T{0}; });
    const Index panel_size = expected.rows() / (tile.dz().cols() / kPanel<T>)*kPanel<T>;
    for (Index i = 0; i < s.rows; ++i) {
      for (Index j = 0; j < tile.dz().cols(); ++j) {
        reference::element(expected.data(), panel_size, i, j) = chain<T>(
            n_batch, [&](Index r) { return tile.x()(r, i); },
            [&](Index r) { return tile.dz()(r, j); });
      }
    }
    for (const auto& isa : fused_isas()) {
      CAPTURE(isa);
      CAPTURE(n_batch);
      CHECK(difference(problem.solve(kernels_of<T>(isa)).arrays[0], expected) == "");
    }
  }
}

TEST_CASE_TEMPLATE("column squares have the same bits on all fused paths", T, float,
                   double) {
  for (const Index n_rows : {1, 17, 512, 1300}) {
    Numbers numbers = rough(1);
    const auto g = matrix<T>(n_rows, kPanel<T>, [&] { return numbers.next<T>(); });
    const auto w = matrix<T>(n_rows, kPanel<T>, [&] { return numbers.next<T>(); });
    std::vector<Guarded<T>> results;
    for (const auto& isa : fused_isas()) {
      results.emplace_back(1, kPanel<T>);
      kernels_of<T>(isa).column_squares(
          {n_rows, g.stride(), g.data(), w.data(), T(0.3), T(0.1)},
          results.back().data());
      CHECK(difference_in_bits(results.back(), results.front()) == "");
    }
  }
}

TEST_CASE_TEMPLATE("a moving average has the same bits on all fused paths", T, float,
                   double) {
  Numbers numbers = rough(1);
  const Index n = 5 * kPanel<T>;
  const auto w = matrix<T>(1, n, [&] { return numbers.next<T>(); });
  const auto former = matrix<T>(1, n, [&] { return numbers.next<T>(); });
  std::vector<Guarded<T>> results;
  for (const auto& isa : fused_isas()) {
    results.push_back(former);
    kernels_of<T>(isa).average(n, T(0.3), w.data(), results.back().data());
    CHECK(difference_in_bits(results.back(), results.front()) == "");
  }
}

// A zero adds nothing to a chain, so sparse rows have the bits of dense ones.
TEST_CASE_TEMPLATE("sparse forward has the bits of dense forward", T, float, double) {
  const Index n_in = 200, n_out = 100;
  Numbers numbers = rough(1);
  const auto weights = panels<T>(n_in, n_out, n_in, [&] { return numbers.next<T>(); });
  const auto bias = padded_matrix<T>(1, n_out, [&] { return numbers.next<T>(); });
  auto x = matrix<T>(1, n_in, [] { return T{0}; });
  std::vector<Entry<T>> entries;
  for (Index j = 1; j < n_in; j += 1 + j % 4) {
    entries.push_back({j, numbers.next<T>()});
    x(0, j) = entries.back().value;
  }
  const Index first = 0, last = static_cast<Index>(entries.size());
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    Guarded<T> dense(1, bias.cols()), sparse(1, bias.cols());
    Forward<T> f{1,
                 n_in,
                 bias.cols() / kPanel<T>,
                 x.data(),
                 x.stride(),
                 weights.data(),
                 bias.data(),
                 Activation::kTanh,
                 0,
                 dense.data(),
                 dense.stride()};
    kernels_of<T>(isa).forward(f);
    f.y = sparse.data();
    kernels_of<T>(isa).sparse_forward(f, {entries.data(), &first, &last});
    CHECK(difference_in_bits(sparse, dense) == "");
  }
}

// --- Choice ------------------------------------------------------------------------

TEST_CASE("baseline is compiled and available") {
  CHECK(compiled_isas().front() == "baseline");
  CHECK(available_isas().front() == "baseline");
}

TEST_CASE("available paths are among the compiled ones") {
  const auto compiled = compiled_isas();
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    CHECK(std::count(compiled.begin(), compiled.end(), isa) == 1);
  }
}

TEST_CASE("the path forced by FASTBP_ISA is the active one") {
  for (const auto& isa : available_isas()) {
    const Forced forced(isa);
    CHECK(std::string(kernel_table().isa) == isa);
  }
}

TEST_CASE("the best available path is active by default") {
  const Forced nothing("");
  CHECK(std::string(kernel_table().isa) == available_isas().back());
}

TEST_CASE("a path named by the caller goes before FASTBP_ISA") {
  const Forced forced(available_isas().back());
  CHECK(std::string(kernel_table("baseline").isa) == "baseline");
}

TEST_CASE("a path that cannot run is refused by name") {
  for (const std::string name : {"sse9", "AVX2", "baseline ", "avx"}) {
    const std::string text = refusal(name);
    CHECK(contains(text, "isa='" + name + "'"));
    CHECK(contains(text, "available: baseline"));
    CHECK(contains(text, "compiled: baseline"));
  }
  const auto available = available_isas();
  for (const auto& isa : compiled_isas()) {
    const bool can_run = std::count(available.begin(), available.end(), isa) == 1;
    CHECK(refusal(isa).empty() == can_run);
  }
}

TEST_CASE("an unknown FASTBP_ISA is refused and not ignored") {
  const Forced forced("pdp11");
  CHECK(contains(refusal(""), "FASTBP_ISA='pdp11'"));
}
