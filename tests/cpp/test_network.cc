// The network: gradients against finite differences, predictions, and what is refused.
#include <cmath>
#include <stdexcept>

#include "fastbp/train/full_batch.h"
#include "fastbp/train/predict.h"
#include "learning_task.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

constexpr std::array kLosses = {Loss::kSoftmaxCrossEntropy, Loss::kBinaryCrossEntropy,
                                Loss::kSquaredError, Loss::kPoisson};

template <class T>
double loss_of(LearningTask<T>& task, Buffer<T>& gradient, int n_threads) {
  bool finished = false;
  const double loss =
      loss_and_gradient(task.network(), task.samples(), task.recipe().penalty,
                        gradient.data(), n_threads, Poll(), &finished);
  CHECK(finished);
  return loss;
}

template <class T>
double loss_of(LearningTask<T>& task) {
  Buffer<T> unused(task.network().parameters().size());
  return loss_of(task, unused, 1);
}

template <class T>
std::vector<T> predictions(const LearningTask<T>& task, const Network<T>& network,
                           bool raw, int n_threads) {
  const Rows& x = task.samples().x;
  std::vector<T> out(static_cast<std::size_t>(x.n_rows() * network.n_out()));
  CHECK(predict(network, x, raw ? Predicted::kRaw : Predicted::kOutputs, out.data(),
                n_threads, Poll()));
  return out;
}

template <class Error, class Make>
std::string message_of(const Make& make) {
  try {
    make();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string refusal(Index n_in, const std::vector<LayerSpec>& layers) {
  return message_of<std::invalid_argument>(
      [&] { Network<float>(kernel_table(), n_in, layers, Loss::kSquaredError); });
}

template <class T>
std::string refusal(LearningTask<T>& task) {
  Trainer<T> trainer(task.network(), {});
  return message_of<std::invalid_argument>([&] { run_epoch(task, trainer, 2); });
}

}  // namespace

// --- Gradients ---------------------------------------------------------------------

// Central differences along the gradient and along random directions; activations are
// smooth ones, because a difference across the corner of relu means nothing.
TEST_CASE("gradients agree with finite differences") {
  using A = Activation;
  // 7 has no common divisor with the 40 cases: the thinned ones have all losses.
  constexpr int kStep = kThinning == 1 ? 1 : 7;
  constexpr int kDirections = kThinning == 1 ? 4 : 1;
  int n_cases = 0;
  for (const Loss loss : kLosses) {
    for (const auto& activations : {std::vector<A>{},
                                    {A::kTanh},
                                    {A::kLogistic, A::kTanh, A::kIdentity},
                                    {A::kGelu, A::kSilu},
                                    {A::kMish, A::kTanh, A::kSoftplus}}) {
      for (const bool is_sparse : {false, true}) {
        if (n_cases++ % kStep != 0) continue;
        CAPTURE(static_cast<int>(loss));
        CAPTURE(activations.size());
        CAPTURE(is_sparse);
        Recipe recipe{loss, activations, Rule::kSgd, 0, 0.5, is_sparse, true};
        LearningTask<double> task(recipe);
        Buffer<double>& w = task.network().parameters();
        Buffer<double> gradient(w.size());
        loss_of(task, gradient, 2);
        const auto start = copy_of(w);
        Numbers numbers(1, Digits::kAll);
        for (int direction = 0; direction < kDirections; ++direction) {
          CAPTURE(direction);
          Buffer<double> d(w.size());
          double slope = 0, norm = 0;
          for (Index i = 0; i < w.size(); ++i) {
            // Padding has no gradient, and must be left at zero.
            d[i] = gradient[i] == 0 ? 0
                   : direction == 0 ? gradient[i]
                                    : numbers.next<double>();
            norm += d[i] * d[i];
          }
          norm = std::sqrt(norm);
          const auto loss_at = [&](double step) {
            for (Index i = 0; i < w.size(); ++i) w[i] = start[i] + step * d[i] / norm;
            task.network().change([] { return true; });
            return loss_of(task);
          };
          for (Index i = 0; i < w.size(); ++i) slope += gradient[i] * d[i] / norm;
          // Fourth order: the error of the formula is below that of rounding.
          const double h = 2e-3;
          const double numeric =
              (8 * (loss_at(h) - loss_at(-h)) - (loss_at(2 * h) - loss_at(-2 * h))) /
              (12 * h);
          double scale = 0;
          for (Index i = 0; i < w.size(); ++i) scale += gradient[i] * gradient[i];
          CHECK(std::abs(numeric - slope) <= 1e-8 * std::sqrt(scale));
        }
      }
    }
  }
}

// One step of gradient descent over one batch of all rows is the gradient itself.
TEST_CASE_TEMPLATE("the trainer steps along the gradient", T, float, double) {
  for (const Loss loss : kLosses) {
    CAPTURE(static_cast<int>(loss));
    const Recipe recipe{loss, {Activation::kRelu}, Rule::kSgd, 0.25, 0.5, false, true};
    LearningTask<T> task(recipe);
    Buffer<T>& w = task.network().parameters();
    Buffer<T> gradient(w.size());
    const double expected = loss_of(task, gradient, 1);
    const auto start = copy_of(w);
    Trainer<T> trainer(task.network(), {});
    bool finished = false;
    const double sum = trainer.run_epoch(task.samples(), 1000, recipe.rate,
                                         recipe.penalty, 2, Poll(), &finished);
    const auto eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(sum == doctest::Approx(expected * 100).epsilon(100 * eps));
    Buffer<T> stepped(w.size());
    for (Index i = 0; i < w.size(); ++i) {
      stepped[i] = start[i] - T(0.25) * gradient[i];
    }
    CHECK(largest_difference(w, stepped) <= 8 * eps);
  }
}

TEST_CASE_TEMPLATE("any number of threads gives the same gradient", T, float, double) {
  for (const Loss loss : kLosses) {
    CAPTURE(static_cast<int>(loss));
    // Without a penalty, which is divided by the number of rows.
    LearningTask<T> task({loss, {Activation::kTanh}, Rule::kSgd, 0, 0, false, true});
    const Index size = task.network().parameters().size();
    Buffer<T> once(size);
    const double loss_once = loss_of(task, once, 1);
    // All rows twelve times: more than one chunk, and the same mean.
    const auto order = task.order();
    for (int i = 0; i < 11; ++i) {
      task.order().insert(task.order().end(), order.begin(), order.end());
    }
    Buffer<T> alone(size);
    const double loss_alone = loss_of(task, alone, 1);
    const auto eps = static_cast<double>(std::numeric_limits<T>::epsilon());
    CHECK(loss_alone == doctest::Approx(loss_once).epsilon(100 * eps));
    CHECK(largest_difference(alone, once) <= 100 * eps);
    for (const int n_threads : kThreadCounts) {
      CAPTURE(n_threads);
      Buffer<T> together(size);
      CHECK(loss_of(task, together, n_threads) == loss_alone);
      CHECK(same_bits(together, alone));
    }
  }
}

TEST_CASE("a poll stops a gradient") {
  LearningTask<float> task{Recipe()};
  std::vector<Index> order;
  for (Index i = 0; i < 3'000'000; ++i) order.push_back(i % 100);
  task.order() = order;
  Buffer<float> gradient(task.network().parameters().size());
  bool finished = true;
  loss_and_gradient(
      task.network(), task.samples(), 0, gradient.data(), 2, [] { return true; },
      &finished);
  CHECK_FALSE(finished);
}

// --- Predictions -------------------------------------------------------------------

TEST_CASE_TEMPLATE("any number of threads gives the same predictions", T, float,
                   double) {
  for (const bool is_sparse : {false, true}) {
    Recipe recipe;
    recipe.is_sparse = is_sparse;
    LearningTask<T> task(recipe);
    const auto alone = predictions(task, task.network(), false, 1);
    for (const int n_threads : kThreadCounts) {
      CAPTURE(n_threads);
      CHECK(predictions(task, task.network(), false, n_threads) == alone);
    }
  }
}

TEST_CASE_TEMPLATE("outputs are the output activation of the raw ones", T, float,
                   double) {
  for (const Loss loss : kLosses) {
    CAPTURE(static_cast<int>(loss));
    LearningTask<T> task({loss, {Activation::kTanh}, Rule::kSgd, 0, 0, false, false});
    const auto raw = predictions(task, task.network(), true, 2);
    const auto out = predictions(task, task.network(), false, 2);
    double largest = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const auto z = static_cast<double>(raw[i]);
      double expected = z;
      if (loss == Loss::kBinaryCrossEntropy) expected = 1 / (1 + std::exp(-z));
      if (loss == Loss::kPoisson) expected = std::exp(z);
      if (loss == Loss::kSoftmaxCrossEntropy) {
        double sum = 0;
        for (std::size_t j = 0; j < 5; ++j)
          sum += std::exp(static_cast<double>(raw[i / 5 * 5 + j]));
        expected = std::exp(z) / sum;
      }
      largest = std::max(largest, std::abs(static_cast<double>(out[i]) - expected));
    }
    CHECK(largest <= 16 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  }
}

TEST_CASE("predicting no rows gives nothing") {
  LearningTask<float> task{Recipe()};
  const Rows none(0, LearningTask<float>::kInputs,
                  DenseArray{nullptr, 0, 0, Element::kFloat32});
  CHECK(predict(task.network(), none, Predicted::kOutputs, static_cast<float*>(nullptr),
                2, Poll()));
}

TEST_CASE("work decides how many of the threads are used") {
  const auto small =
      dense_network<float>(kernel_table(), {4, 3}, {}, 0, Loss::kSquaredError);
  const auto large = dense_network<float>(kernel_table(), {784, 512, 10},
                                          {Activation::kRelu}, 0, Loss::kSquaredError);
  CHECK(threads_for_step(small, 10, 4, 8) == 1);
  CHECK(threads_for_step(large, 1000, 784, 8) == 8);
  CHECK(threads_for_step(large, 1000, 784, 1) == 1);
  CHECK(threads_for_prediction(small, 10, 4, 8) == 1);
  CHECK(threads_for_prediction(large, 100'000, 784, 8) == 8);
  CHECK(threads_for_prediction(large, 1, 784, 8) == 1);
}

// --- Parameters --------------------------------------------------------------------

TEST_CASE_TEMPLATE("parameters are unpacked as they were packed", T, float, double) {
  for (const Index n_in : {1, 17, 130}) {
    for (const Index n_out : {1, 15, 16, 17, 33}) {
      CAPTURE(n_in);
      CAPTURE(n_out);
      auto network =
          dense_network<T>(kernel_table(), {n_in, n_out}, {}, 0, Loss::kSquaredError);
      std::vector<T> coef(static_cast<std::size_t>(n_in * n_out));
      std::vector<T> intercept(static_cast<std::size_t>(n_out));
      Numbers numbers(1, Digits::kAll);
      for (T& w : coef) w = numbers.next<T>();
      for (T& b : intercept) b = numbers.next<T>();
      const Dense<T>& layer = network.dense(0);
      layer.pack(coef.data(), intercept.data(), network.parameters().data());
      std::vector<T> coef_again(coef.size()), intercept_again(intercept.size());
      layer.unpack(network.parameters().data(), coef_again.data(),
                   intercept_again.data());
      CHECK(coef_again == coef);
      CHECK(intercept_again == intercept);
    }
  }
}

TEST_CASE_TEMPLATE("a single infinite or NaN parameter is seen", T, float, double) {
  auto network = dense_network<T>(kernel_table(), {17, 9}, {}, 0, Loss::kSquaredError);
  CHECK(network.is_finite());
  Buffer<T>& w = network.parameters();
  for (const T bad :
       {std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
        std::numeric_limits<T>::quiet_NaN()}) {
    for (const Index i : {Index{0}, w.size() / 2, w.size() - 1}) {
      w[i] = bad;
      CHECK_FALSE(network.is_finite());
      w[i] = std::numeric_limits<T>::max();
      CHECK(network.is_finite());
      w[i] = 0;
    }
  }
}

// --- What is refused ---------------------------------------------------------------

TEST_CASE("networks that cannot be are refused") {
  const LayerSpec dense{LayerSpec::Kind::kDense, 3};
  const std::string ends =
      "the first and the last layer must be dense; only dropout may be before";
  CHECK(refusal(5, {}) == ends);
  CHECK(refusal(5, {{LayerSpec::Kind::kDropout}}) == ends);
  CHECK(refusal(5, {{LayerSpec::Kind::kLayerNorm}, dense}) == ends);
  CHECK(refusal(5, {dense, {LayerSpec::Kind::kDropout}}) == ends);
  CHECK(refusal(5, {{LayerSpec::Kind::kDropout, 0, {}, 0, 1}, dense}) ==
        "rate of dropout must be in [0, 1), got 1.000000");
  CHECK(refusal(5, {{LayerSpec::Kind::kDense, 0}}) ==
        "n_out of a dense layer must be positive, got 0");
  CHECK(refusal(-5, {dense}) == "n_in must be positive, got -5");
}

TEST_CASE("networks larger than 64 bits can count are refused") {
  const auto make = [](const std::vector<Index>& units) {
    return message_of<std::length_error>([&] {
      dense_network<double>(kernel_table(), units, {}, 0, Loss::kSquaredError);
    });
  };
  CHECK(make({Index{1} << 40, Index{1} << 40}).starts_with("size overflow"));
  CHECK(make({Index{1} << 50, Index{1} << 12}).starts_with("size overflow"));
  CHECK(make({std::numeric_limits<Index>::max(), 1}).starts_with("size overflow"));
  CHECK(make({1, std::numeric_limits<Index>::max()}).starts_with("size overflow"));
}

TEST_CASE("rows that are not there are refused") {
  LearningTask<float> task{Recipe()};
  task.order()[3] = 100;
  CHECK(refusal(task) == "order[3] = 100 is not a row of X, which has 100");
  task.order()[3] = -1;
  CHECK(refusal(task) == "order[3] = -1 is not a row of X, which has 100");
}

TEST_CASE("labels that are not there are refused") {
  LearningTask<float> task{Recipe()};
  task.labels()[7] = 5;
  CHECK(refusal(task) == "y[7] = 5 is not a class index in [0, 5)");
  task.labels()[7] = -1;
  CHECK(refusal(task) == "y[7] = -1 is not a class index in [0, 5)");
}

TEST_CASE("X of another width is refused") {
  LearningTask<float> task{Recipe()};
  const float x = 0;
  const Rows narrow(
      1, 1, DenseArray{reinterpret_cast<const char*>(&x), 4, 4, Element::kFloat32});
  const auto text = message_of<std::invalid_argument>([&] {
    predict(task.network(), narrow, Predicted::kOutputs, static_cast<float*>(nullptr),
            1, Poll());
  });
  CHECK(text == "X has 1 columns, the network has 130 inputs");
}
