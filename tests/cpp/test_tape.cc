// The tape: its gradients are those of training, it gives the same bits on any number
// of threads, and it refuses what does not fit.
#include <atomic>
#include <stdexcept>
#include <thread>

#include "fastbp/train/full_batch.h"
#include "fastbp/train/predict.h"
#include "fastbp/train/tape.h"
#include "learning_task.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

const Poll kNever = [] { return false; };
constexpr std::uint64_t kSeed = 0x123456789;

// Hidden layers that do otherwise in training.
std::vector<Recipe> regularised() {
  std::vector<Recipe> recipes;
  for (const auto norm : {LayerSpec::Kind::kDense, LayerSpec::Kind::kLayerNorm,
                          LayerSpec::Kind::kBatchNorm}) {
    for (const bool is_sparse : {false, true}) {
      Recipe recipe;
      recipe.is_sparse = is_sparse;
      recipe.has_weights = true;
      recipe.activations = {Activation::kGelu, Activation::kRelu};
      recipe.norm = norm;
      recipe.dropout = 0.25;
      recipes.push_back(recipe);
    }
  }
  return recipes;
}

// What a backward pass from the loss gives, for the rows of a task as they lie.
template <class T>
struct Passed {
  std::vector<T> losses, gradient, dx;

  Passed(LearningTask<T>& task, int n_threads, bool is_training = false) {
    Samples<T> samples = task.samples();
    Network<T>& network = task.network();
    Tape<T> tape(network, samples.x);
    pass(tape, network.loss(), samples, {is_training, kSeed}, n_threads);
  }
  Passed(LearningTask<T>& task, Tape<T>& tape, bool is_training) {
    pass(tape, task.network().loss(), task.samples(), {is_training, kSeed}, 1);
  }

  bool operator==(const Passed&) const = default;

 private:
  void pass(Tape<T>& tape, const LossOf<T>& loss, const Samples<T>& samples,
            typename Tape<T>::Mode mode, int n_threads) {
    REQUIRE(tape.forward(samples.x, samples.weights, mode, n_threads, kNever));
    losses.resize(static_cast<std::size_t>(samples.x.n_rows()));
    dx.resize(static_cast<std::size_t>(samples.x.n_rows() * samples.x.n_cols()));
    const Buffer<T>& made = tape.gradient();
    REQUIRE(tape.is_current());
    REQUIRE(tape.backward(loss, samples.targets, samples.weights, losses.data(), true,
                          dx.data(), n_threads, kNever));
    gradient.assign(made.data(), made.data() + made.size());
  }
};

// Losses and gradients of a tape are those of the full batch, to the last bit.
template <class T>
void check_against_full_batch(const Recipe& recipe, bool is_training) {
  LearningTask<T> task(recipe);
  Samples<T> samples = task.samples();
  samples.order = nullptr;
  Buffer<T> expected(task.network().parameters().size());
  bool finished = false;
  const double loss = loss_and_gradient(task.network(), samples, 0, expected.data(), 1,
                                        kNever, &finished, kSeed);
  REQUIRE(finished);

  const Passed<T> passed(task, 1, is_training);
  double weight = 0, sum = 0;
  for (Index i = 0; i < samples.n_rows; ++i) {
    weight += samples.weights[i];
    sum += static_cast<double>(passed.losses[static_cast<std::size_t>(i)]);
  }
  CHECK(loss == sum / weight);
  const T scale = static_cast<T>(1 / weight);
  Index n_different = 0;
  for (Index i = 0; i < expected.size(); ++i) {
    n_different += expected[i] != scale * passed.gradient[static_cast<std::size_t>(i)];
  }
  CHECK(n_different == 0);
}

}  // namespace

TEST_CASE_TEMPLATE("gradients through a tape are those of the full batch", T, float,
                   double) {
  for (const bool is_sparse : {false, true}) {
    Recipe recipe;
    recipe.is_sparse = is_sparse;
    recipe.has_weights = true;
    check_against_full_batch<T>(recipe, false);
  }
}

TEST_CASE_TEMPLATE("a tape of a training step has its dropout and its statistics", T,
                   float, double) {
  for (const Recipe& recipe : regularised()) check_against_full_batch<T>(recipe, true);
}

TEST_CASE_TEMPLATE("a tape of a prediction is another one", T, float, double) {
  for (const Recipe& recipe : regularised()) {
    LearningTask<T> task(recipe);
    Samples<T> samples = task.samples();
    Network<T>& network = task.network();
    const Index n_out = network.n_out();
    Tape<T> tape(network, samples.x);
    REQUIRE(tape.forward(samples.x, nullptr, {}, 2, kNever));
    std::vector<T> outputs(static_cast<std::size_t>(samples.x.n_rows() * n_out));
    REQUIRE(predict(network, samples.x, Predicted::kRaw, outputs.data(), 1, kNever));
    const auto z = tape.output(network.n_layers() - 1);
    Index n_different = 0;
    for (Index i = 0; i < z.rows; ++i) {
      for (Index j = 0; j < n_out; ++j) {
        n_different += z.row(i)[j] != outputs[static_cast<std::size_t>(i * n_out + j)];
      }
    }
    CHECK(n_different == 0);
    CHECK_FALSE(Passed<T>(task, 1, true) == Passed<T>(task, 1, false));
  }
}

TEST_CASE_TEMPLATE("a tape gives the same bits on any number of threads", T, float,
                   double) {
  for (const bool is_sparse : {false, true}) {
    Recipe recipe;
    recipe.activations = {Activation::kGelu, Activation::kTanh};
    recipe.is_sparse = is_sparse;
    LearningTask<T> task(recipe);
    const Passed<T> expected(task, 1);
    for (int n_threads = 2; n_threads <= 4; ++n_threads) {
      CHECK(Passed<T>(task, n_threads) == expected);
    }
  }
  for (const Recipe& recipe : regularised()) {
    LearningTask<T> task(recipe);
    const Passed<T> expected(task, 1, true);
    for (int n_threads = 2; n_threads <= 4; ++n_threads) {
      CHECK(Passed<T>(task, n_threads, true) == expected);
    }
  }
}

TEST_CASE_TEMPLATE("a tape is current until parameters are changed", T, float, double) {
  LearningTask<T> task{Recipe{}};
  const Samples<T> samples = task.samples();
  Network<T>& network = task.network();
  Tape<T> tape(network, samples.x);
  REQUIRE(tape.forward(samples.x, nullptr, {}, 1, kNever));
  CHECK_FALSE(network.change([] { return false; }));
  CHECK(tape.is_current());
  CHECK(network.change([] { return true; }));
  CHECK_FALSE(tape.is_current());
  REQUIRE(tape.forward(samples.x, nullptr, {}, 1, kNever));
  CHECK(tape.is_current());
}

TEST_CASE_TEMPLATE("a tape that is used again gives the same bits", T, float, double) {
  for (const Recipe& recipe : regularised()) {
    LearningTask<T> task(recipe);
    Samples<T> samples = task.samples();
    Tape<T> tape(task.network(), samples.x);
    REQUIRE(tape.has_room(samples.x) == !recipe.is_sparse);
    for (const bool is_training : {true, false, true}) {
      CHECK(Passed<T>(task, tape, is_training) == Passed<T>(task, 1, is_training));
    }
  }
}

// The first of them makes what the first layer keeps for the gradient at the inputs.
TEST_CASE_TEMPLATE("several threads may have the first gradients at once", T, float,
                   double) {
  LearningTask<T> alone{Recipe{}};
  const Passed<T> expected(alone, 1);
  constexpr int kCallers = 4;
  for (int round = 0; round < 5; ++round) {
    LearningTask<T> task{Recipe{}};
    std::atomic<int> n_ready{0}, n_right{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        ++n_ready;
        while (n_ready < kCallers) std::this_thread::yield();
        if (Passed<T>(task, 1) == expected) ++n_right;
      });
    }
    for (auto& caller : callers) caller.join();
    CHECK(n_right == kCallers);
  }
}

TEST_CASE("a tape refuses labels that are not there") {
  LearningTask<double> task{Recipe{}};
  const Rows& x = task.dense_rows();
  Tape<double> tape(task.network(), x);
  REQUIRE(tape.forward(x, nullptr, {}, 1, kNever));
  std::vector<double> losses(static_cast<std::size_t>(x.n_rows()));
  for (const Index label : {-1, 5}) {
    task.labels().back() = label;
    const std::string message =
        "y[99] = " + std::to_string(label) + " is not a class index in [0, 5)";
    CHECK_THROWS_WITH_AS(
        tape.backward(task.network().loss(), task.samples().targets, nullptr,
                      losses.data(), false, nullptr, 1, kNever),
        message.c_str(), std::invalid_argument);
  }
}

TEST_CASE("a tape refuses rows of another width") {
  LearningTask<float> task{Recipe{}};
  const float x[3] = {1, 2, 3};
  const Rows rows(
      1, 3, DenseArray{reinterpret_cast<const char*>(x), 12, 4, Element::kFloat32});
  CHECK_THROWS_AS(Tape<float>(task.network(), rows), std::invalid_argument);
}
