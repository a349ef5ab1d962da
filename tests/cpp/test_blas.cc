// Products by a BLAS: its calls, the elementwise kernels that follow them, the layer
// against the built-in one, and training.
#include <cmath>
#include <stdexcept>

#include "fastbp/nn/blas_dense.h"
#include "fastbp/train/full_batch.h"
#include "learning_task.h"
#include "naive_blas.h"
#include "problems.h"
#if FASTBP_CBLAS
#include "fastbp/kernels/system_blas.h"
#endif

using namespace fastbp;
using namespace fastbp::testing;

namespace {

constexpr std::array kLosses = {Loss::kSoftmaxCrossEntropy, Loss::kBinaryCrossEntropy,
                                Loss::kSquaredError, Loss::kPoisson};

// Of the layers' and recipes' cases, which are counted. 7 has no common divisor with
// the numbers of activations, rules and so on: the thinned cases have all of them too.
constexpr int kStep = kThinning == 1 ? 1 : 7;

template <class T>
std::vector<Blas<T>> providers() {
  std::vector<Blas<T>> all = {naive_blas<T, std::int32_t>(),
                              naive_blas<T, std::int64_t>()};
#if FASTBP_CBLAS
  all.push_back(system_blas<T>());
#endif
  return all;
}

// Bounds of elementwise functions in kernels.h, and a rounding more.
template <class T>
T roundings(T value) {
  return 8 * std::numeric_limits<T>::epsilon() * (1 + std::abs(value));
}

// --- Layers ------------------------------------------------------------------------

// The same layer twice, with the same parameters, gradient and optimizer state.
template <class T>
class Twins {
 public:
  Twins(Index n_in, Index n_out, const Blas<T>& blas, Activation activation)
      : n_in_(n_in),
        n_out_(n_out),
        builtin_(n_in, n_out),
        blas_(n_in, n_out),
        builtin_layer_(kernels<T>(kernel_table()), n_in, n_out, {activation, T{kSlope}},
                       false, builtin_.parameters.data(), 0),
        blas_layer_(kernels<T>(kernel_table()), n_in, n_out, {activation, T{kSlope}},
                    blas, blas_.parameters.data(), 0) {
    start();
  }

  // What one rule leaves, another cannot always go on from: a negative square.
  void start() {
    Numbers numbers(7);
    fill(&State::parameters, numbers);
    fill(&State::gradient, numbers);
    fill(&State::moment_1, numbers);
    fill(&State::moment_2, numbers);
    for (Index i = 0; i < builtin_layer_.n_tiles(false); ++i) builtin_layer_.refresh(i);
  }

  void update(const Input<T>& x, MatrixView<const T> dz, const Update<T>& rule,
              double* squares) {
    squares[0] = update(builtin_layer_, builtin_, x, dz, rule).squares;
    squares[1] = update(blas_layer_, blas_, x, dz, rule).squares;
  }

  void gradient(const Input<T>& x, MatrixView<const T> dz, bool add) {
    for (Index i = 0; i < builtin_layer_.n_tiles(x.is_sparse()); ++i) {
      builtin_layer_.gradient(i, {x, {}, dz}, builtin_.gradient.data(), add);
    }
    for (Index i = 0; i < blas_layer_.n_tiles(x.is_sparse()); ++i) {
      blas_layer_.gradient(i, {x, {}, dz}, blas_.gradient.data(), add);
    }
  }

  // Parameters, gradient and moments.
  bool are_equal() const {
    return equal(&State::parameters) && equal(&State::gradient) &&
           equal(&State::moment_1) && equal(&State::moment_2);
  }

  const Layer<T>& builtin() const { return builtin_layer_; }
  const Layer<T>& blas() const { return blas_layer_; }

 private:
  struct State {
    State(Index n_in, Index n_out)
        : parameters(Dense<T>::n_parameters_of(n_in, n_out)),
          gradient(parameters.size()),
          moment_1(parameters.size()),
          moment_2(parameters.size()) {}
    Buffer<T> parameters, gradient, moment_1, moment_2;
  };

  static PenaltySums update(Layer<T>& layer, State& state, const Input<T>& x,
                            MatrixView<const T> dz, const Update<T>& rule) {
    PenaltySums sums;
    for (Index i = 0; i < layer.n_tiles(x.is_sparse()); ++i) {
      sums.add(layer.update(i, {x, {}, dz}, rule,
                            {state.moment_1.data(), state.moment_2.data()}));
    }
    return sums;
  }

  // Multiples of 1/4, not negative.
  void fill(Buffer<T> State::*buffer, Numbers& numbers) {
    std::vector<T> coef(static_cast<std::size_t>(n_in_ * n_out_));
    std::vector<T> intercept(static_cast<std::size_t>(n_out_));
    for (T& w : coef) w = std::abs(numbers.next<T>()) / 4;
    for (T& b : intercept) b = std::abs(numbers.next<T>()) / 4;
    builtin_layer_.pack(coef.data(), intercept.data(), (builtin_.*buffer).data());
    blas_layer_.pack(coef.data(), intercept.data(), (blas_.*buffer).data());
  }

  bool equal(Buffer<T> State::*buffer) const {
    return unpacked(builtin_layer_, builtin_.*buffer) ==
           unpacked(blas_layer_, blas_.*buffer);
  }

  static std::vector<T> unpacked(const Dense<T>& layer, const Buffer<T>& flat) {
    const Index n = layer.n_in() * layer.n_out();
    std::vector<T> all(static_cast<std::size_t>(n + layer.n_out()));
    layer.unpack(flat.data(), all.data(), all.data() + n);
    return all;
  }

  Index n_in_, n_out_;
  State builtin_, blas_;
  Dense<T> builtin_layer_;
  BlasDense<T> blas_layer_;
};

// Activations as a batch holds them: padding is zero.
template <class T>
struct Activations {
  Activations(Index rows, Index cols)
      : buffer(rows * padded_stride<T>(cols)),
        view{buffer.data(), rows, cols, padded_stride<T>(cols)} {}
  Activations(Index rows, Index cols, Numbers& numbers) : Activations(rows, cols) {
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < cols; ++j) view.row(i)[j] = numbers.next<T>() / 4;
    }
  }

  bool operator==(const Activations& other) const {
    return std::equal(buffer.data(), buffer.data() + buffer.size(),
                      other.buffer.data());
  }

  Buffer<T> buffer;
  MatrixView<T> view;
};

// Around a tile, which is 128 rows high and 8 panels wide, and around a block of tiles
// of the built-in kernels, 32 panels wide.
template <class T>
std::vector<Shape> layer_shapes() {
  constexpr Index kWide = 8 * kPanel<T>;
  std::vector<Shape> shapes = {{3, 128, kWide},
                               {17, 129, kWide + 1},
                               {5, 260, 2 * kWide + 3 * kPanel<T>},
                               {129, 127, kWide - 1},
                               {9, 100, 4 * kWide},
                               {9, 100, 4 * kWide + 3 * kPanel<T> + 1}};
  for (const Index n : {1, 2, 3, 15, 16, 17, 31, 32, 33, 100}) {
    shapes.push_back({n, 7, n});
    shapes.push_back({4, n, 19});
  }
  return shapes;
}

template <class T>
Update<T> update_of(Rule rule) {
  return {rule,   T(0.5), T(0.25), T(0.3), T(0.9),
          T(0.8), T(0.7), T(1e-8), T(0.2), T(0.3)};
}

// --- Training ----------------------------------------------------------------------

template <class T>
std::vector<T> trained(const Recipe& recipe, const Blas<T>& blas, int n_threads) {
  LearningTask<T> task(recipe, kernel_table(), blas);
  RuleSettings settings = recipe.settings();
  settings.epsilon = 1e-2;  // with 1e-8 rounding errors can grow to whole steps
  Trainer<T> trainer(task.network(), settings);
  for (int epoch = 0; epoch < 2; ++epoch) run_epoch(task, trainer, n_threads);
  std::vector<T> all;
  for (Index l = 0; l < task.network().n_dense(); ++l) {
    const Dense<T>& layer = task.network().dense(l);
    std::vector<T> coef(static_cast<std::size_t>(layer.n_in() * layer.n_out()));
    std::vector<T> intercept(static_cast<std::size_t>(layer.n_out()));
    layer.unpack(task.network().parameters().data(), coef.data(), intercept.data());
    all.insert(all.end(), coef.begin(), coef.end());
    all.insert(all.end(), intercept.begin(), intercept.end());
  }
  return all;
}

template <class T>
double distance(const std::vector<T>& a, const std::vector<T>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(a[i] - b[i])));
  }
  return largest;
}

}  // namespace

// --- Calls -------------------------------------------------------------------------

TEST_CASE_TEMPLATE("a product is that of the row-major matrices", T, float, double) {
  constexpr Index kM = 3, kN = 5, kK = 4, kStride = 9;
  Numbers numbers(1);
  const auto a = matrix<T>(kM, kK, [&] { return numbers.next<T>(); });
  const auto b = matrix<T>(kK, kN, [&] { return numbers.next<T>(); });
  Guarded<T> a_turned(kK, kM), b_turned(kN, kK);
  Guarded<T> expected(kM, kN, kStride), start(kM, kN, kStride);
  for (Index i = 0; i < kK; ++i) {
    for (Index j = 0; j < kM; ++j) a_turned(i, j) = a(j, i);
    for (Index j = 0; j < kN; ++j) b_turned(j, i) = b(i, j);
  }
  for (const bool add : {false, true}) {
    for (Index i = 0; i < kM; ++i) {
      for (Index j = 0; j < kN; ++j) {
        start(i, j) = add ? numbers.next<T>() : guard<T>();
        expected(i, j) = add ? start(i, j) : 0;
        for (Index l = 0; l < kK; ++l) expected(i, j) += a(i, l) * b(l, j);
      }
    }
    for (const Blas<T>& blas : providers<T>()) {
      for (const bool turn_a : {false, true}) {
        for (const bool turn_b : {false, true}) {
          CAPTURE(add);
          CAPTURE(turn_a);
          CAPTURE(turn_b);
          const auto& left = turn_a ? a_turned : a;
          const auto& right = turn_b ? b_turned : b;
          Guarded<T> c = start;
          blas.product(kM, kN, kK, {left.data(), left.stride(), turn_a},
                       {right.data(), right.stride(), turn_b}, c.data(), kStride, add);
          CHECK(difference(c, expected) == "");
        }
      }
    }
  }
}

// Of the squares of 1, 2 and 3, each as long as a piece, but for the last.
TEST_CASE_TEMPLATE("a long sum is cut", T, float, double) {
  constexpr Index kPiece = Blas<T>::kLongestSum;
  constexpr Index kK = 2 * kPiece + 1;
  std::vector<T> numbers, spread;  // one after the other, and every other one
  for (Index i = 0; i < kK; ++i) {
    numbers.push_back(static_cast<T>(1 + i / kPiece));
    spread.push_back(numbers.back());
    spread.push_back(0);
  }
  for (const Blas<T>& blas : providers<T>()) {
    for (const bool turned : {false, true}) {
      for (const bool add : {false, true}) {
        const typename Blas<T>::Factor row{numbers.data(), kK, turned};
        const typename Blas<T>::Factor column{spread.data(), 2, turned};
        T c = 7;
        blas.product(1, 1, kK, turned ? column : row, turned ? row : column, &c, 1,
                     add);
        CHECK(c == static_cast<T>(kPiece * (1 + 4) + 9 + (add ? 7 : 0)));
      }
    }
  }
}

TEST_CASE("sizes beyond the integers of the BLAS are refused") {
  const Index large = Index{1} << 31;
  CHECK_THROWS_AS((naive_blas<float, std::int32_t>().check_size(large)),
                  std::length_error);
  CHECK_NOTHROW((naive_blas<float, std::int32_t>().check_size(large - 1)));
  CHECK_NOTHROW((naive_blas<float, std::int64_t>().check_size(large)));
  CHECK(naive_blas<float, std::int32_t>().integer_bits() == 32);
  CHECK(naive_blas<float, std::int64_t>().integer_bits() == 64);
}

TEST_CASE("a layer beyond the integers of the BLAS is refused") {
  float none = 0;
  const auto make = [&](Index n_in, Index n_out) {
    BlasDense<float>(kernels<float>(kernel_table()), n_in, n_out, {},
                     naive_blas<float, std::int32_t>(), &none, 0);
  };
  CHECK_NOTHROW(make(1000, 1000));
  CHECK_THROWS_AS(make(Index{1} << 31, 1), std::length_error);
  CHECK_THROWS_AS(make(1, Index{1} << 31), std::length_error);
}

// --- Kernels -----------------------------------------------------------------------

TEST_CASE_TEMPLATE("activate equals the reference", T, float, double) {
  for (const Shape& s : shapes()) {
    const Activation activation =
        kActivations[static_cast<std::size_t>(s.rows + s.cols) % kActivations.size()];
    Numbers numbers(3);
    const auto start =
        padded_matrix<T>(s.rows, s.cols, [&] { return numbers.next<T>() / 4; });
    const auto bias =
        padded_matrix<T>(1, s.cols, [&] { return numbers.next<T>() / 4; });
    const auto solve = [&](const Kernels<T>& kernels) {
      Guarded<T> y = start;
      kernels.activate({s.rows, 0, y.cols() / kPanel<T>, nullptr, 0, nullptr,
                        bias.data(), activation, T{kSlope}, y.data(), y.stride()});
      return y;
    };
    const auto expected = solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.cols);
      CAPTURE(static_cast<int>(activation));
      CHECK(difference(solve(kernels_of<T>(isa)), expected, roundings<T>) == "");
    }
  }
}

TEST_CASE_TEMPLATE("chain equals the reference", T, float, double) {
  for (const Shape& s : shapes()) {
    const Activation activation =
        kActivations[static_cast<std::size_t>(s.rows + s.cols) % kActivations.size()];
    Numbers numbers(3);
    const auto start =
        padded_matrix<T>(s.rows, s.cols, [&] { return numbers.next<T>(); });
    const auto x =
        padded_matrix<T>(s.rows, s.cols, [&] { return numbers.next<T>() / 8; });
    const auto solve = [&](const Kernels<T>& kernels) {
      Guarded<T> dx = start;
      kernels.chain({s.rows, 0, x.cols() / kPanel<T>, nullptr, 0, nullptr, 0,
                     activation, T{kSlope}, x.data(), x.stride(), dx.data(),
                     dx.stride()});
      return dx;
    };
    const auto expected = solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.cols);
      CAPTURE(static_cast<int>(activation));
      const auto dx = solve(kernels_of<T>(isa));
      if (activation == Activation::kSelu) {  // whose constants have many digits
        CHECK(difference(dx, expected, roundings<T>) == "");
      } else {
        CHECK(difference(dx, expected) == "");
      }
    }
  }
}

TEST_CASE_TEMPLATE("step equals the reference in both layouts", T, float, double) {
  std::size_t i = 0;
  for (const Shape& s : shapes()) {
    const bool row_major = i % 2 == 0;
    const Rule rule = kRules[i++ / 2 % kRules.size()];
    const Index cols = std::min(s.cols, kMaxTilePanels * kPanel<T>);
    Numbers numbers(3);
    const auto number = [&] { return T(0.25) + std::abs(numbers.next<T>()) / 8; };
    const auto target = [&] {
      return row_major ? padded_matrix<T>(s.rows, cols, number)
                       : panels<T>(s.rows, cols, s.rows, number);
    };
    const auto gradient =
        padded_matrix<T>(s.rows, cols, [&] { return numbers.next<T>(); });
    const auto w = target(), m = target(), v = target();
    const auto solve = [&](const Kernels<T>& kernels) {
      Solution<T> solution{{w, m, v}};
      auto& arrays = solution.arrays;
      const SummedTile<T> tile{s.rows,
                               gradient.cols() / kPanel<T>,
                               gradient.data(),
                               gradient.stride(),
                               row_major ? kPanel<T> : s.rows * kPanel<T>,
                               w.stride()};
      solution.returned =
          kernels
              .step(tile, update_of<T>(rule),
                    {arrays[0].data(), arrays[1].data(), arrays[2].data()})
              .squares;
      return solution;
    };
    const auto expected = solve(reference::kernels<T>());
    for (const auto& isa : available_isas()) {
      CAPTURE(isa);
      CAPTURE(s.rows);
      CAPTURE(s.cols);
      CAPTURE(row_major);
      CAPTURE(static_cast<int>(rule));
      const auto got = solve(kernels_of<T>(isa));
      CHECK(difference(got, expected, roundings<T>) == "");
      CHECK(got.returned ==
            doctest::Approx(expected.returned)
                .epsilon(100 * static_cast<double>(std::numeric_limits<T>::epsilon())));
    }
  }
}

// --- The layer against the built-in one --------------------------------------------

// The numbers have few digits: products are exact, and all that follows them is the
// same arithmetic.

TEST_CASE_TEMPLATE("forward and backward have the bits of Dense", T, float, double) {
  int n_cases = 0;
  for (const Blas<T>& blas : providers<T>()) {
    for (const Shape& s : layer_shapes<T>()) {
      for (const Activation activation : kActivations) {
        if (n_cases++ % kStep != 0) continue;
        CAPTURE(s.rows);
        CAPTURE(s.inner);
        CAPTURE(s.cols);
        CAPTURE(static_cast<int>(activation));
        const Twins<T> twins(s.inner, s.cols, blas, activation);
        Numbers numbers(1);
        const Activations<T> x(s.rows, s.inner, numbers), dz(s.rows, s.cols, numbers);
        Activations<T> y(s.rows, s.cols), expected_y(s.rows, s.cols);
        Activations<T> derivative(s.rows, s.cols), expected_derivative(s.rows, s.cols);
        Memory<T> memory, expected_memory;
        memory.rows = derivative.view;
        expected_memory.rows = expected_derivative.view;
        twins.builtin().forward({x.view}, expected_y.view, expected_memory);
        twins.blas().forward({x.view}, y.view, memory);
        CHECK(y == expected_y);
        CHECK(derivative == expected_derivative);
        Activations<T> dx(s.rows, s.inner), expected_dx(s.rows, s.inner);
        const Below<T> below{{activation, T{kSlope}}, x.view};
        const Trace<T> trace{{x.view}, {}, dz.view};
        twins.builtin().backward(trace, below, expected_dx.view);
        twins.blas().backward(trace, below, dx.view);
        CHECK(dx == expected_dx);
      }
    }
  }
}

TEST_CASE_TEMPLATE("gradients and steps have the bits of Dense", T, float, double) {
  int n_cases = 0;
  for (const Blas<T>& blas : providers<T>()) {
    for (const Shape& s : layer_shapes<T>()) {
      for (const bool is_sparse : {false, true}) {
        CAPTURE(s.rows);
        CAPTURE(s.inner);
        CAPTURE(s.cols);
        CAPTURE(is_sparse);
        Twins<T> twins(s.inner, s.cols, blas, Activation::kRelu);
        Numbers numbers(1);
        const Activations<T> dense(s.rows, s.inner, numbers);
        const SparseMatrix<T> sparse(s.rows, s.inner, numbers);
        const Input<T> x =
            is_sparse ? Input<T>{{}, sparse.view()} : Input<T>{dense.view};
        Activations<T> y(s.rows, s.cols), expected_y(s.rows, s.cols);
        twins.builtin().forward(x, expected_y.view, {});
        twins.blas().forward(x, y.view, {});
        CHECK(y == expected_y);
        const Activations<T> dz(s.rows, s.cols, numbers);
        for (const bool add : {true, false}) {
          twins.gradient(x, dz.view, add);
          CHECK(twins.are_equal());
        }
        for (const Rule rule : kRules) {
          if (n_cases++ % kStep != 0) continue;
          double squares[2];
          twins.start();
          twins.update(x, dz.view, update_of<T>(rule), squares);
          CHECK(twins.are_equal());
          CHECK(squares[1] == doctest::Approx(squares[0]).epsilon(1e-5));
        }
      }
    }
  }
}

// --- Training ----------------------------------------------------------------------

TEST_CASE_TEMPLATE("training ends where the built-in kernels end", T, float, double) {
  using A = Activation;
  const double tolerance = sizeof(T) == sizeof(float) ? 1e-4 : 1e-11;
  int n_cases = 0;
  for (const Loss loss : kLosses) {
    for (const Rule rule : kRules) {
      for (const bool is_sparse : {false, true}) {
        CAPTURE(static_cast<int>(loss));
        CAPTURE(static_cast<int>(rule));
        CAPTURE(is_sparse);
        for (const auto& activations :
             {std::vector<A>{A::kTanh, A::kLogistic}, {A::kGelu, A::kSilu, A::kMish}}) {
          if (n_cases++ % kStep != 0) continue;
          const Recipe recipe{loss, activations, rule, 0.01, 0.5, is_sparse, true};
          const auto expected = trained<T>(recipe, {}, 2);
          for (const Blas<T>& blas : providers<T>()) {
            CHECK(distance(trained<T>(recipe, blas, 2), expected) <= tolerance);
          }
        }
      }
    }
  }
}

// naive_gemm rounds differently in blocks of other heights.
TEST_CASE_TEMPLATE("any number of threads gives the same bits", T, float, double) {
  auto blases = providers<T>();
  std::vector<int> thread_counts = {2, 3, 4};
  if (kThinning > 1) {
    blases.resize(1);
    thread_counts = {3};
  }
  for (const Blas<T>& blas : blases) {
    for (const bool is_sparse : {false, true}) {
      for (const bool is_limited : {false, true}) {
        Recipe recipe;
        recipe.is_sparse = is_sparse;
        if (is_limited) recipe.max_norm = recipe.clip_norm = 0.5;
        const auto one = trained<T>(recipe, blas, 1);
        for (const int n_threads : thread_counts) {
          CAPTURE(n_threads);
          CHECK(trained<T>(recipe, blas, n_threads) == one);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("padding stays zero", T, float, double) {
  LearningTask<T> task(Recipe{}, kernel_table(), naive_blas<T, std::int32_t>());
  Trainer<T> trainer(task.network(), {Rule::kAdam, 0.9, 0.9, 0.999, 1e-8});
  run_epoch(task, trainer, 2);
  for (const Buffer<T>* flat :
       {&task.network().parameters(), &trainer.state().moments[0]}) {
    Buffer<T> repacked(flat->size());
    for (Index l = 0; l < task.network().n_dense(); ++l) {
      const Dense<T>& layer = task.network().dense(l);
      std::vector<T> coef(static_cast<std::size_t>(layer.n_in() * layer.n_out()));
      std::vector<T> intercept(static_cast<std::size_t>(layer.n_out()));
      layer.unpack(flat->data(), coef.data(), intercept.data());
      layer.pack(coef.data(), intercept.data(), repacked.data());
    }
    CHECK(std::equal(flat->data(), flat->data() + flat->size(), repacked.data()));
  }
}

TEST_CASE("a network says whether it uses a BLAS") {
  const auto make = [](const Blas<float>& blas) {
    return dense_network<float>(kernel_table(), {4, 3}, {}, 0, Loss::kSquaredError,
                                blas)
        .uses_blas();
  };
  CHECK_FALSE(make({}));
  CHECK(make(naive_blas<float, std::int64_t>()));
}
