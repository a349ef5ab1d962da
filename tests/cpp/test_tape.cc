// The tape: its gradients are those of training, it gives the same bits on any number
// of threads, and it can be stopped.
#include "fastbp/train/full_batch.h"
#include "fastbp/train/tape.h"
#include "learning_task.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

const Poll kNever = [] { return false; };

// What a backward pass from the loss gives, for the rows of a task as they lie.
template <class T>
struct Passed {
  std::vector<T> losses, gradient, dx;

  Passed(LearningTask<T>& task, int n_threads) {
    Samples<T> samples = task.samples();
    Network<T>& network = task.network();
    Tape<T> tape(network, samples.x);
    REQUIRE(tape.forward(samples.x, samples.weights, n_threads, kNever));
    losses.resize(static_cast<std::size_t>(samples.x.n_rows()));
    gradient.resize(static_cast<std::size_t>(network.parameters().size()));
    dx.resize(static_cast<std::size_t>(samples.x.n_rows() * network.n_in()));
    REQUIRE(tape.loss_backward(samples.targets, losses.data(), gradient.data(),
                               dx.data(), n_threads, kNever));
  }

  bool operator==(const Passed&) const = default;
};

}  // namespace

TEST_CASE_TEMPLATE("gradients through a tape are those of the full batch", T, float,
                   double) {
  for (const bool is_sparse : {false, true}) {
    Recipe recipe;
    recipe.is_sparse = is_sparse;
    recipe.has_weights = true;
    LearningTask<T> task(recipe);
    Samples<T> samples = task.samples();
    samples.order = nullptr;
    Buffer<T> expected(task.network().parameters().size());
    bool finished = false;
    const double loss = loss_and_gradient(task.network(), samples, 0, expected.data(),
                                          1, kNever, &finished);
    REQUIRE(finished);

    const Passed<T> passed(task, 1);
    double weight = 0, sum = 0;
    for (Index i = 0; i < samples.n_rows; ++i) {
      weight += samples.weights[i];
      sum += static_cast<double>(passed.losses[static_cast<std::size_t>(i)]);
    }
    CHECK(loss == sum / weight);
    const T scale = static_cast<T>(1 / weight);
    Index n_different = 0;
    for (Index i = 0; i < expected.size(); ++i) {
      n_different +=
          expected[i] != scale * passed.gradient[static_cast<std::size_t>(i)];
    }
    CHECK(n_different == 0);
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
}

TEST_CASE("a tape refuses rows of another width") {
  LearningTask<float> task{Recipe{}};
  const float x[3] = {1, 2, 3};
  const Rows rows(
      1, 3, DenseArray{reinterpret_cast<const char*>(x), 12, 4, Element::kFloat32});
  CHECK_THROWS_AS(Tape<float>(task.network(), rows), std::invalid_argument);
}
