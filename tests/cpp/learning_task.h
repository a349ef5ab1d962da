// A small problem that a network can learn, made of integers only, so that it is the
// same on every machine: inputs in sixteenths, targets that depend on sums of inputs.
#pragma once

#include <cmath>

#include "fastbp/train/trainer.h"
#include "testing.h"

namespace fastbp::testing {

// What to train, and how.
struct Recipe {
  Loss loss = Loss::kSoftmaxCrossEntropy;
  std::vector<Activation> activations = {Activation::kRelu, Activation::kTanh};
  Rule rule = Rule::kSgd;
  double rate = 0.1;
  double penalty = 0;
  bool is_sparse = false;
  bool has_weights = false;
  double l1 = 0, weight_decay = 0, max_norm = kNoLimit, clip_norm = kNoLimit;
  // Of every hidden layer: normalization, if it is not dense, and dropout.
  LayerSpec::Kind norm = LayerSpec::Kind::kDense;
  double dropout = 0;

  RuleSettings settings() const {
    return {rule, 0.9, 0.9, 0.999, 1e-8, l1, weight_decay, max_norm, clip_norm};
  }
};

template <class T>
class LearningTask {
 public:
  // Inputs and hidden layers wider than a tile, and none a multiple of a panel.
  static constexpr Index kInputs = 130, kHidden = 37, kOutputs = 5;
  static constexpr Index kRows = 100;

  explicit LearningTask(const Recipe& recipe, const KernelTable& table = kernel_table(),
                        const Blas<T>& blas = {})
      : network_(table, kInputs, layers(recipe), recipe.loss, blas), recipe_(recipe) {
    make_inputs();
    make_targets();
    make_order();
    set_weights();
  }

  // Everything but the weights that the recipe asks for can be exchanged.
  Samples<T> samples() const {
    return {recipe_.is_sparse ? sparse_rows() : dense_rows(), targets(),
            recipe_.has_weights ? row_weights_.data() : nullptr, order_.data(),
            static_cast<Index>(order_.size())};
  }

  Network<T>& network() { return network_; }
  const Recipe& recipe() const { return recipe_; }
  std::vector<Index>& order() { return order_; }
  std::vector<double>& row_weights() { return row_weights_; }
  std::vector<Index>& labels() { return labels_; }
  Guarded<T>& values() { return values_; }

  const Rows& dense_rows() const { return dense_rows_; }
  const Rows& sparse_rows() const { return sparse_rows_; }

 private:
  static std::vector<LayerSpec> layers(const Recipe& recipe) {
    using Kind = LayerSpec::Kind;
    constexpr double kSlope = 0.125;
    const LayerSpec dropout{Kind::kDropout, 0, {}, 0, recipe.dropout};
    std::vector<LayerSpec> layers;
    if (recipe.dropout > 0) layers.push_back(dropout);
    for (const Activation activation : recipe.activations) {
      layers.push_back({Kind::kDense, kHidden, activation, kSlope});
      if (recipe.norm != Kind::kDense) {
        layers.back().activation = Activation::kIdentity;
        layers.push_back({recipe.norm, 0, activation, kSlope});
      }
      if (recipe.dropout > 0) layers.push_back(dropout);
    }
    layers.push_back({Kind::kDense, kOutputs});
    return layers;
  }

  Targets<T> targets() const {
    if (recipe_.loss == Loss::kSoftmaxCrossEntropy) return {labels_.data(), {}};
    return {nullptr, {values_.data(), kRows, kOutputs, values_.stride()}};
  }

  // About half of the inputs are zero.
  void make_inputs() {
    Numbers numbers(1);
    indptr_.push_back(0);
    for (Index i = 0; i < kRows; ++i) {
      for (Index j = 0; j < kInputs; ++j) {
        const Index sixteenths = std::max<Index>(0, numbers.integer(-16, 16));
        x_.push_back(static_cast<float>(sixteenths) / 16);
        if (sixteenths == 0) continue;
        indices_.push_back(static_cast<std::int32_t>(j));
        data_.push_back(x_.back());
      }
      indptr_.push_back(static_cast<Index>(indices_.size()));
    }
    constexpr auto kSize = static_cast<Index>(sizeof(float));
    dense_rows_ = Rows(kRows, kInputs,
                       DenseArray{reinterpret_cast<const char*>(x_.data()),
                                  kInputs * kSize, kSize, Element::kFloat32});
    sparse_rows_ = Rows(kRows, kInputs,
                        CsrArray{reinterpret_cast<const char*>(indptr_.data()),
                                 reinterpret_cast<const char*>(indices_.data()),
                                 reinterpret_cast<const char*>(data_.data()),
                                 Element::kInt32, Element::kInt64, Element::kFloat32});
  }

  // Output k sees the inputs k, k + 5, k + 10 ...: the largest sum is the label; sums
  // above the mean are 1 for binary targets, and counts and numbers for the others.
  void make_targets() {
    for (Index i = 0; i < kRows; ++i) {
      std::array<Index, kOutputs> sums{};  // in sixteenths
      for (Index j = 0; j < kInputs; ++j) {
        sums[static_cast<std::size_t>(j % kOutputs)] +=
            static_cast<Index>(16 * x_[static_cast<std::size_t>(i * kInputs + j)]);
      }
      labels_.push_back(std::max_element(sums.begin(), sums.end()) - sums.begin());
      for (Index k = 0; k < kOutputs; ++k) {
        const Index above = sums[static_cast<std::size_t>(k)] - 107;  // the mean
        T value = static_cast<T>(above) / 32;
        if (recipe_.loss == Loss::kBinaryCrossEntropy) value = above > 0 ? 1 : 0;
        if (recipe_.loss == Loss::kPoisson) value = static_cast<T>((above + 107) / 32);
        values_(i, k) = value;
      }
    }
  }

  // Each row once, and weights 0.5, 1, 1.5, 2.
  void make_order() {
    Numbers numbers(2);
    for (Index i = 0; i < kRows; ++i) {
      order_.push_back(i * 37 % kRows);
      row_weights_.push_back(static_cast<double>(numbers.integer(1, 4)) / 2);
    }
  }

  // Multiples of 1/128 between -1/4 and 1/4, biases likewise.
  void set_weights() {
    Numbers numbers(3);
    const auto fill = [&](Index n) {
      std::vector<T> v(static_cast<std::size_t>(n));
      for (T& v_i : v) v_i = static_cast<T>(numbers.integer(-32, 32)) / 128;
      return v;
    };
    for (Index l = 0; l < network_.n_dense(); ++l) {
      Dense<T>& layer = network_.dense(l);
      const auto coef = fill(layer.n_in() * layer.n_out());
      const auto intercept = fill(layer.n_out());
      layer.pack(coef.data(), intercept.data(), network_.parameters().data());
    }
    network_.change([] { return true; });
  }

  Network<T> network_;
  Recipe recipe_;
  std::vector<float> x_, data_;
  std::vector<Index> indptr_;
  std::vector<std::int32_t> indices_;
  Rows dense_rows_{0, 0, DenseArray{}}, sparse_rows_{0, 0, CsrArray{}};
  std::vector<Index> labels_, order_;
  Guarded<T> values_{kRows, kOutputs};
  std::vector<double> row_weights_;
};

// Fewer and more threads than tasks, even and odd; sanitized and emulated ones are
// slow.
inline const std::vector<int> kThreadCounts =
    kThinning == 1 ? std::vector<int>{2, 3, 4, 8} : std::vector<int>{3, 8};

// Batches of 24: the last one is short.
inline constexpr Index kBatchSize = 24;

template <class T>
double run_epoch(LearningTask<T>& task, Trainer<T>& trainer, int n_threads) {
  bool finished = false;
  const double loss =
      trainer.run_epoch(task.samples(), kBatchSize, task.recipe().rate,
                        task.recipe().penalty, n_threads, Poll(), &finished);
  CHECK(finished);
  return loss / static_cast<double>(task.order().size());
}

template <class T>
bool same_bits(const Buffer<T>& a, const Buffer<T>& b) {
  return a.size() == b.size() && std::equal(a.data(), a.data() + a.size(), b.data(),
                                            [](T x, T y) { return same_bits(x, y); });
}

template <class T>
double largest_difference(const Buffer<T>& a, const Buffer<T>& b) {
  double largest = 0;
  for (Index i = 0; i < a.size(); ++i) {
    const auto d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (std::isnan(d)) return d;
    largest = std::max(largest, d);
  }
  return largest;
}

template <class T>
Buffer<T> copy_of(const Buffer<T>& from) {
  Buffer<T> copy(from.size());
  copy.copy_from(from);
  return copy;
}

}  // namespace fastbp::testing
