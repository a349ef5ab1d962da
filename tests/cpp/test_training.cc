// Training as a whole: it learns, it gives the same bits on any number of threads and
// on any processor, and what is interrupted leaves no trace.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <map>
#include <stdexcept>
#include <thread>

#include "fastbp/train/predict.h"
#include "learning_task.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

constexpr int kEpochs = 8;

// Sanitized and emulated training is slow, and few epochs show whether two runs differ.
constexpr int kFewEpochs = kThinning == 1 ? kEpochs : 2;

// FNV-1a, 64 bits (Fowler, Noll and Vo).
template <class T>
std::uint64_t hash(const Buffer<T>& buffer) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(buffer.data());
  std::uint64_t h = 0xcbf29ce484222325u;
  for (Index i = 0; i < buffer.size() * static_cast<Index>(sizeof(T)); ++i) {
    h = (h ^ bytes[i]) * 0x100000001b3u;
  }
  return h;
}

std::string hexadecimal(std::uint64_t n) {
  std::ostringstream text;
  text << std::hex << "0x" << n;
  return text.str();
}

// Every rule, loss and activation, dense and sparse, with and without weights; and the
// hash of the weights after kEpochs epochs, in float32 and float64. Other bits mean
// that results of users change: such a change belongs into CHANGELOG.md.
struct Trained {
  std::string name;
  Recipe recipe;
  std::uint64_t float32, float64;
};

Recipe with_layers(Recipe recipe, LayerSpec::Kind norm, double dropout) {
  recipe.norm = norm;
  recipe.dropout = dropout;
  return recipe;
}

const std::vector<Trained>& trainings() {
  using A = Activation;
  static const std::vector<Trained> all = {
      {"softmax, adam",
       {Loss::kSoftmaxCrossEntropy,
        {A::kRelu, A::kTanh},
        Rule::kAdam,
        0.01,
        0.1,
        false,
        false},
       0xea0aad8b80c24c3d,
       0xf7120a0894589026},
      {"binary, nesterov, weights",
       {Loss::kBinaryCrossEntropy,
        {A::kLogistic},
        Rule::kNesterov,
        0.1,
        0,
        false,
        true},
       0x570c968dcf91fb55,
       0x2c2afe9005236bd3},
      {"squared error, momentum",
       {Loss::kSquaredError,
        {A::kLeakyRelu, A::kIdentity},
        Rule::kMomentum,
        0.002,
        0.5,
        false,
        false},
       0x74585fd6103fd4ec,
       0xfaa1472a210005cb},
      {"poisson, sgd, sparse, weights",
       {Loss::kPoisson, {A::kTanh, A::kRelu}, Rule::kSgd, 0.05, 0.01, true, true},
       0x348368dcc646ec10,
       0x29522c0e49299bb6},
      {"softmax, adam, stored derivatives",
       {Loss::kSoftmaxCrossEntropy,
        {A::kGelu, A::kSilu, A::kMish, A::kSoftplus, A::kSelu},
        Rule::kAdam,
        0.01,
        0.1,
        true,
        false},
       0x6f9a5e9f9a83079f,
       0x5c22652b650ce094},
      {"squared error, rmsprop, l1",
       {Loss::kSquaredError, {A::kTanh}, Rule::kRmsprop, 0.01, 0, false, true, 0.1},
       0xe96336ba6a1f38a5,
       0xb04f2f9a15b38e34},
      {"softmax, adagrad, max_norm",
       {Loss::kSoftmaxCrossEntropy,
        {A::kRelu, A::kRelu},
        Rule::kAdagrad,
        0.05,
        0.1,
        false,
        true,
        0,
        0,
        1},
       0x7334552dd9b5b0d8,
       0xe01bc2be83131179},
      {"binary, lion, decay",
       {Loss::kBinaryCrossEntropy,
        {A::kTanh},
        Rule::kLion,
        0.003,
        0,
        true,
        false,
        0,
        0.5},
       0xe65a8e9c81c3833a,
       0x147dfa41af50e25f},
      {"softmax, nadam, everything",
       {Loss::kSoftmaxCrossEntropy,
        {A::kTanh, A::kLeakyRelu},
        Rule::kNadam,
        0.01,
        0.1,
        false,
        true,
        0.05,
        0.1,
        1.5,
        0.25},
       0x881944cb7d9669a1,
       0xd4dcf8ecf82a3f2a},
      {"poisson, nesterov, clip_norm",
       {Loss::kPoisson,
        {A::kTanh},
        Rule::kNesterov,
        0.05,
        0,
        false,
        false,
        0,
        0,
        kNoLimit,
        0.5},
       0x5f237941e0a3d084,
       0x8d470f829a45f825},
      {"softmax, adam, layer norm, dropout",
       with_layers({Loss::kSoftmaxCrossEntropy,
                    {A::kGelu, A::kRelu, A::kTanh},
                    Rule::kAdam,
                    0.01,
                    0,
                    false,
                    true},
                   LayerSpec::Kind::kLayerNorm, 0.125),
       0xf4c141b0b9121179, 0xa38a616aec6b5607},
      {"squared error, momentum, batch norm, dropout, sparse",
       with_layers({Loss::kSquaredError,
                    {A::kTanh, A::kSilu},
                    Rule::kMomentum,
                    0.01,
                    0,
                    true,
                    true},
                   LayerSpec::Kind::kBatchNorm, 0.0625),
       0xe324d01120a3fd9d, 0xce22ad9fc58f471f},
      {"softmax, nadam, batch norm, clip_norm, max_norm",
       with_layers({Loss::kSoftmaxCrossEntropy,
                    {A::kRelu, A::kLeakyRelu},
                    Rule::kNadam,
                    0.01,
                    0.1,
                    false,
                    false,
                    0.05,
                    0.1,
                    1.5,
                    0.25},
                   LayerSpec::Kind::kBatchNorm, 0),
       0x6723f307205d83b6, 0x522b682add7dfa72}};
  return all;
}

template <class T>
std::uint64_t expected_hash(const Trained& training) {
  return sizeof(T) == sizeof(float) ? training.float32 : training.float64;
}

template <class T>
struct Result {
  std::vector<double> losses;
  Buffer<T> parameters, running;
  RuleState<T> state;
};

template <class T>
Result<T> train(const Recipe& recipe, int n_threads, int n_epochs = kFewEpochs,
                const KernelTable& table = kernel_table()) {
  LearningTask<T> task(recipe, table);
  Trainer<T> trainer(task.network(), recipe.settings());
  Result<T> result;
  for (int epoch = 0; epoch < n_epochs; ++epoch) {
    result.losses.push_back(run_epoch(task, trainer, n_threads));
  }
  result.parameters = copy_of(task.network().parameters());
  result.running = copy_of(task.network().running());
  result.state = std::move(trainer.state());
  return result;
}

// What one thread makes of it, once for all tests.
template <class T>
const Result<T>& alone(const Trained& training) {
  static std::map<std::string, Result<T>> all;
  const auto [at, is_new] = all.try_emplace(training.name);
  if (is_new) at->second = train<T>(training.recipe, 1);
  return at->second;
}

// The rows of a task so many times over that an epoch takes seconds.
template <class T>
std::vector<Index> endless(const LearningTask<T>& task) {
  std::vector<Index> order;
  for (int i = 0; i < 30'000; ++i) {
    order.insert(order.end(), task.samples().order,
                 task.samples().order + task.samples().n_rows);
  }
  return order;
}

}  // namespace

// There is no time for it in thin builds: there the trainings with hashes see to it.
TEST_CASE_TEMPLATE("loss falls with every rule and loss" * doctest::skip(kThinning > 1),
                   T, float, double) {
  for (const Trained& training : trainings()) {
    CAPTURE(training.name);
    const auto losses = train<T>(training.recipe, 1, 50).losses;
    CHECK(losses.back() < 0.7 * losses.front());
  }
}

TEST_CASE_TEMPLATE("any number of threads gives the same bits", T, float, double) {
  for (const Trained& training : trainings()) {
    CAPTURE(training.name);
    const Result<T>& one = alone<T>(training);
    for (const int n_threads : kThreadCounts) {
      CAPTURE(n_threads);
      const auto together = train<T>(training.recipe, n_threads);
      CHECK(together.losses == one.losses);
      CHECK(same_bits(together.parameters, one.parameters));
      CHECK(same_bits(together.running, one.running));
      for (int i = 0; i < n_moments(training.recipe.rule); ++i) {
        CHECK(same_bits(together.state.moments[i], one.state.moments[i]));
      }
    }
  }
}

TEST_CASE_TEMPLATE("every processor with fused multiply-add gives the same bits", T,
                   float, double) {
  for (const Trained& training : trainings()) {
    CAPTURE(training.name);
    for (const auto& isa : fused_isas()) {
      CAPTURE(isa);
      const auto result = train<T>(training.recipe, 2, kEpochs, kernel_table(isa));
      CHECK(result.losses.back() < result.losses.front());
      CHECK(hexadecimal(hash(result.parameters)) ==
            hexadecimal(expected_hash<T>(training)));
    }
  }
}

// Run by ctest with each instruction set forced.
TEST_CASE("the network uses the instruction set that FASTBP_ISA names") {
  const char* forced = std::getenv("FASTBP_ISA");
  LearningTask<float> task{Recipe()};
  const bool is_forced = forced != nullptr && *forced != 0;
  const std::string expected = is_forced ? forced : available_isas().back();
  CHECK(task.network().isa() == expected);
}

TEST_CASE_TEMPLATE("sparse rows give the bits of the same rows in dense form", T, float,
                   double) {
  for (const Trained& training : trainings()) {
    CAPTURE(training.name);
    Recipe other = training.recipe;
    other.is_sparse = !other.is_sparse;
    CHECK(same_bits(train<T>(other, 2).parameters, alone<T>(training).parameters));
  }
}

TEST_CASE_TEMPLATE("padding of weights and moments stays zero", T, float, double) {
  for (const Trained& training : trainings()) {
    CAPTURE(training.name);
    LearningTask<T> task(training.recipe);
    const auto check = [&](const Buffer<T>& flat) {
      Buffer<T> repacked(flat.size());  // with zeros in the padding
      for (Index l = 0; l < task.network().n_dense(); ++l) {
        const Dense<T>& layer = task.network().dense(l);
        std::vector<T> coef(static_cast<std::size_t>(layer.n_in() * layer.n_out()));
        std::vector<T> intercept(static_cast<std::size_t>(layer.n_out()));
        layer.unpack(flat.data(), coef.data(), intercept.data());
        layer.pack(coef.data(), intercept.data(), repacked.data());
      }
      for (Index i = 0; i < task.network().n_norms(); ++i) {
        const Norm<T>& norm = task.network().norm(i);
        for (const Index first : {norm.gain_offset(), norm.bias_offset()}) {
          std::copy_n(flat.data() + first, norm.n_out(), repacked.data() + first);
        }
      }
      CHECK(std::equal(flat.data(), flat.data() + flat.size(), repacked.data()));
    };
    check(alone<T>(training).parameters);
    for (int i = 0; i < n_moments(training.recipe.rule); ++i) {
      check(alone<T>(training).state.moments[i]);
    }
  }
}

// --- Regrouping --------------------------------------------------------------------

TEST_CASE_TEMPLATE("a pass that begins alone goes on with a team where it was", T,
                   float, double) {
  LearningTask<T> task{Recipe()};
  Pass<T> pass(task.network(), task.samples(), kBatchSize);
  Pace pace;
  pace.stay_alone(Clock::time_point::max());
  std::vector<Index> batches;
  std::array<std::atomic<int>, 5> n_members{};  // of each batch
  const auto nothing = [&](const auto& step) {
    ++n_members[static_cast<std::size_t>(step.batch)];
    return step.for_each_tile([](Index, auto&, Index, const auto&) {});
  };
  const auto on_batch = [&](const auto& step, double) {
    CHECK(step.number == step.batch);
    batches.push_back(step.batch);
    if (step.batch == 1) pace.stay_alone(Clock::time_point());
  };
  CHECK(pass.run(2, Poll(), nothing, on_batch, &pace));
  CHECK(batches == std::vector<Index>{0, 1, 2, 3, 4});
  const std::vector<int> sizes(n_members.begin(), n_members.end());
  CHECK(sizes == std::vector<int>{1, 1, 2, 2, 2});
}

// --- Interruption ------------------------------------------------------------------

TEST_CASE_TEMPLATE("an epoch ends early when poll says so, or throws", T, float,
                   double) {
  for (const int n_threads : {1, 3}) {
    CAPTURE(n_threads);
    LearningTask<T> task{Recipe()};
    Trainer<T> trainer(task.network(), {});
    Samples<T> samples = task.samples();
    const auto order = endless(task);
    samples.order = order.data();
    samples.n_rows = static_cast<Index>(order.size());
    bool finished = true;
    const auto run = [&](const Poll& poll) {
      trainer.run_epoch(samples, kBatchSize, 0.1, 0, n_threads, poll, &finished);
    };
    run([] { return true; });
    CHECK_FALSE(finished);
    CHECK_THROWS_WITH_AS(run([]() -> bool { throw std::runtime_error("enough"); }),
                         "enough", std::runtime_error);
  }
}

// --- Weights of rows ---------------------------------------------------------------

namespace {

std::atomic<int> n_slow_products{0};

// In place of a product of large matrices.
void slow_gemm(char*, char*, std::int32_t*, std::int32_t*, std::int32_t*, float*,
               float*, std::int32_t*, float*, std::int32_t*, float*, float*,
               std::int32_t*) {
  ++n_slow_products;
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

TEST_CASE("poll is asked between the layers that a block of rows goes through") {
  constexpr int kLayers = 40, kSoon = 20;  // half of them take 0.2 s
  Recipe recipe;
  recipe.activations.assign(kLayers - 1, Activation::kTanh);
  LearningTask<float> task(recipe, kernel_table(), Blas<float>(&slow_gemm));
  const Rows& x = task.dense_rows();
  std::vector<float> out(static_cast<std::size_t>(x.n_rows() * task.kOutputs));
  CHECK_FALSE(
      predict(task.network(), x, Predicted::kRaw, out.data(), 1, [] { return true; }));
  CHECK(n_slow_products < kSoon);

  Trainer<float> trainer(task.network(), {});
  for (const int way : {1, 2}) {  // forward, and back
    CAPTURE(way);
    n_slow_products = 0;
    bool finished = true;
    trainer.run_epoch(
        task.samples(), task.kRows, 0.1, 0, 1,
        [&] { return way == 1 || n_slow_products > kLayers; }, &finished);
    CHECK_FALSE(finished);
    CHECK(n_slow_products < (way - 1) * kLayers + kSoon);
  }
}

TEST_CASE_TEMPLATE("a batch whose weights are all zero is skipped", T, float, double) {
  for (const Rule rule : kRules) {
    CAPTURE(static_cast<int>(rule));
    Recipe recipe;
    recipe.rule = rule;
    recipe.rate = 0.01;
    recipe.has_weights = true;
    LearningTask<T> all(recipe), some(recipe);
    // The second batch of `all` has no weight; `some` does not have it at all.
    const auto second = all.order().begin() + kBatchSize;
    for (auto row = second; row != second + kBatchSize; ++row) {
      all.row_weights()[static_cast<std::size_t>(*row)] = 0;
    }
    some.order().erase(some.order().begin() + kBatchSize,
                       some.order().begin() + 2 * kBatchSize);
    const RuleSettings settings{rule, 0.9, 0.9, 0.999, 1e-8};
    Trainer<T> with(all.network(), settings), without(some.network(), settings);
    for (int epoch = 0; epoch < 2; ++epoch) {
      const double sum =
          run_epoch(all, with, 2) * static_cast<double>(all.order().size());
      const double expected =
          run_epoch(some, without, 2) * static_cast<double>(some.order().size());
      CHECK(sum == doctest::Approx(expected).epsilon(1e-12));
    }
    CHECK(with.state().t == 2 * 4);  // of 5 batches
    CHECK(without.state().t == 2 * 4);
    CHECK(same_bits(all.network().parameters(), some.network().parameters()));
  }
}

TEST_CASE("an epoch without any weight does nothing") {
  Recipe recipe;
  recipe.has_weights = true;
  LearningTask<double> task(recipe);
  std::fill(task.row_weights().begin(), task.row_weights().end(), 0.0);
  Trainer<double> trainer(task.network(), {Rule::kAdam, 0.9, 0.9, 0.999, 1e-8});
  const auto before = copy_of(task.network().parameters());
  CHECK(run_epoch(task, trainer, 2) == 0);
  CHECK(trainer.state().t == 0);
  CHECK(same_bits(task.network().parameters(), before));
}

TEST_CASE("a row of weight two counts like the row taken twice") {
  Recipe recipe;
  recipe.has_weights = true;
  LearningTask<double> weighted(recipe), repeated(recipe);
  weighted.order() = {3, 7, 11};
  repeated.order() = {3, 7, 7, 11};
  std::fill(weighted.row_weights().begin(), weighted.row_weights().end(), 1.0);
  std::fill(repeated.row_weights().begin(), repeated.row_weights().end(), 1.0);
  weighted.row_weights()[7] = 2;
  Trainer<double> a(weighted.network(), {}), b(repeated.network(), {});
  CHECK(run_epoch(weighted, a, 1) == doctest::Approx(run_epoch(repeated, b, 1)));
  CHECK(largest_difference(weighted.network().parameters(),
                           repeated.network().parameters()) <= 1e-14);
}

TEST_CASE("equal rates for all steps train as the one rate, and each has its step") {
  LearningTask<double> one{Recipe()}, many{Recipe()}, halted{Recipe()}, last{Recipe()};
  Trainer<double> a(one.network(), {}), b(many.network(), {}), c(halted.network(), {}),
      d(last.network(), {});
  run_epoch(one, a, 2);
  const auto n_rows = static_cast<Index>(many.order().size());
  const Index n_steps = ceil_div(n_rows, kBatchSize);
  std::vector<double> rates(static_cast<std::size_t>(n_steps), many.recipe().rate);
  const auto run = [&](LearningTask<double>& task, Trainer<double>& trainer) {
    bool finished = false;
    trainer.run_epoch(task.samples(), kBatchSize, Rates(rates.data()),
                      task.recipe().penalty, 2, Poll(), &finished);
    CHECK(finished);
  };
  run(many, b);
  CHECK(same_bits(one.network().parameters(), many.network().parameters()));

  // A rate of zero in all steps but the last: as if its rows were the only ones.
  std::fill(rates.begin(), rates.end() - 1, 0.0);
  run(halted, c);
  last.order().erase(last.order().begin(),
                     last.order().begin() + (n_steps - 1) * kBatchSize);
  run_epoch(last, d, 2);
  CHECK(same_bits(halted.network().parameters(), last.network().parameters()));
}
