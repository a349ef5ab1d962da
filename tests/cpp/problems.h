// A problem is one call of a kernel with all the arrays that it reads. solve() runs the
// kernel of any table, be it of an instruction set or the reference, and returns all
// that it wrote.
#pragma once

#include "fastbp/kernels/reference.h"
#include "fastbp/nn/loss.h"
#include "fastbp/optim/rule.h"
#include "testing.h"

namespace fastbp::testing {

inline constexpr std::array kActivations = {
    Activation::kIdentity, Activation::kLogistic,  Activation::kTanh,
    Activation::kRelu,     Activation::kLeakyRelu, Activation::kElu,
    Activation::kSelu,     Activation::kHardTanh,  Activation::kGelu,
    Activation::kSilu,     Activation::kMish,      Activation::kSoftplus};

template <class T>
struct Solution {
  std::vector<Guarded<T>> arrays;
  double returned = 0, returned_too = 0;
};

// Compares by difference(array, array, how...).
template <class T, class... How>
std::string difference(const Solution<T>& got, const Solution<T>& expected,
                       const How&... how) {
  for (std::size_t i = 0; i < got.arrays.size(); ++i) {
    const std::string text = difference(got.arrays[i], expected.arrays[i], how...);
    if (!text.empty()) return "array " + std::to_string(i) + " " + text;
  }
  return "";
}

template <class T>
std::string difference_in_bits(const Solution<T>& got, const Solution<T>& expected) {
  for (std::size_t i = 0; i < got.arrays.size(); ++i) {
    const std::string text = difference_in_bits(got.arrays[i], expected.arrays[i]);
    if (!text.empty()) return "array " + std::to_string(i) + " " + text;
  }
  return same_bits(got.returned, expected.returned) &&
                 same_bits(got.returned_too, expected.returned_too)
             ? ""
             : "different returned number";
}

// --- Arrays of a problem -----------------------------------------------------------

// (rows, cols) of make(i, j).
template <class T, class Make>
Guarded<T> matrix(Index rows, Index cols, const Make& make) {
  Guarded<T> m(rows, cols);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) m(i, j) = make();
  }
  return m;
}

// The same with zeros up to a whole panel.
template <class T, class Make>
Guarded<T> padded_matrix(Index rows, Index cols, const Make& make) {
  Guarded<T> m(rows, round_up(cols, kPanel<T>));
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < m.cols(); ++j) m(i, j) = j < cols ? make() : T{0};
  }
  return m;
}

// (rows, cols) in panels of panel_rows >= rows rows; those beyond `rows` are guards.
template <class T, class Make>
Guarded<T> panels(Index rows, Index cols, Index panel_rows, const Make& make) {
  const Index width = round_up(cols, kPanel<T>);
  Guarded<T> m(width / kPanel<T> * panel_rows, kPanel<T>, kPanel<T>);
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < width; ++j) {
      reference::element(m.data(), panel_rows * kPanel<T>, i, j) =
          j < cols ? make() : T{0};
    }
  }
  return m;
}

// A sparse matrix of which about a third of the elements are stored. Some rows are
// empty, some have a column twice.
template <class T>
class SparseMatrix {
 public:
  SparseMatrix(Index rows, Index cols, Numbers& numbers) {
    for (Index r = 0; r < rows; ++r) {
      entries_.push_back({0, guard<T>()});
      first_.push_back(static_cast<Index>(entries_.size()));
      for (Index j = 0; j < cols && r % 5 != 4; ++j) {
        const Index n = numbers.integer(0, 8) == 0 ? 2 : numbers.integer(0, 3) / 3;
        for (Index k = 0; k < n; ++k) entries_.push_back({j, numbers.next<T>()});
      }
      last_.push_back(static_cast<Index>(entries_.size()));
    }
    entries_.push_back({0, guard<T>()});
  }

  SparseRows<T> view() const { return {entries_.data(), first_.data(), last_.data()}; }

 private:
  std::vector<Entry<T>> entries_;
  std::vector<Index> first_, last_;
};

// --- Products ----------------------------------------------------------------------

// Weights and the gradients that meet them are a power of two smaller than whole
// numbers: results are still exact, and of the size that activations expect.
inline constexpr double kSmall = 1.0 / 64;
inline constexpr double kSlope = 0.25;

template <class T>
class ForwardProblem {
 public:
  ForwardProblem(const Shape& s, Activation activation, bool is_sparse, Numbers numbers)
      : shape_(s),
        activation_(activation),
        is_sparse_(is_sparse),
        x_(matrix<T>(s.rows, s.inner, [&] { return numbers.next<T>(); })),
        sparse_x_(is_sparse ? s.rows : 0, s.inner, numbers),
        weights_(panels<T>(s.inner, s.cols, s.inner,
                           [&] { return numbers.next<T>() * T{kSmall}; })),
        bias_(padded_matrix<T>(1, s.cols,
                               [&] { return numbers.next<T>() * T{kSmall}; })) {}

  // Outputs and derivatives; those that are not stored are all guards.
  Solution<T> solve(const Kernels<T>& kernels) const {
    Guarded<T> y(shape_.rows, bias_.cols()), derivative = y;
    Forward<T> f{shape_.rows,
                 shape_.inner,
                 bias_.cols() / kPanel<T>,
                 is_sparse_ ? nullptr : x_.data(),
                 x_.stride(),
                 weights_.data(),
                 bias_.data(),
                 activation_,
                 T{kSlope},
                 y.data(),
                 y.stride(),
                 has_half_panel<T>(shape_.cols)};
    f.derivative = derivative.data();
    f.derivative_stride = derivative.stride();
    if (is_sparse_) {
      kernels.sparse_forward(f, sparse_x_.view());
    } else {
      kernels.forward(f);
    }
    return {{y, derivative}};
  }

  const Guarded<T>& x() const { return x_; }
  const Guarded<T>& weights() const { return weights_; }
  const Guarded<T>& bias() const { return bias_; }

 private:
  Shape shape_;
  Activation activation_;
  bool is_sparse_;
  Guarded<T> x_;
  SparseMatrix<T> sparse_x_;
  Guarded<T> weights_, bias_;
};

template <class T>
class BackwardProblem {
 public:
  // (rows, inner) gradients go through weights (inner, cols).
  BackwardProblem(const Shape& s, Activation activation, Numbers numbers)
      : shape_(s),
        activation_(activation),
        mirror_rows_(round_up(s.inner, kPanel<T>)),
        dz_(matrix<T>(s.rows, s.inner, [&] { return numbers.next<T>(); })),
        mirror_(panels<T>(s.inner, s.cols, mirror_rows_,
                          [&] { return numbers.next<T>() * T{kSmall}; })),
        x_(matrix<T>(s.rows, round_up(s.cols, kPanel<T>),
                     [&] { return numbers.next<T>() / 8; })) {}

  Solution<T> solve(const Kernels<T>& kernels) const {
    Guarded<T> dx(shape_.rows, x_.cols());
    kernels.backward({shape_.rows, shape_.inner, x_.cols() / kPanel<T>, dz_.data(),
                      dz_.stride(), mirror_.data(), mirror_rows_, activation_,
                      T{kSlope}, x_.data(), x_.stride(), dx.data(), dx.stride(),
                      has_half_panel<T>(shape_.cols)});
    return {{dx}};
  }

  const Guarded<T>& dz() const { return dz_; }
  const Guarded<T>& mirror() const { return mirror_; }
  Index mirror_rows() const { return mirror_rows_; }

 private:
  Shape shape_;
  Activation activation_;
  Index mirror_rows_;
  Guarded<T> dz_, mirror_, x_;
};

// y = activation(x) and its derivative, for any n, by the kernels that follow a
// product.
template <class T>
void apply(const Kernels<T>& kernels, Activation activation, Index n, const T* x, T* y,
           T* derivative) {
  const Index width = round_up(n, kPanel<T>);
  const auto size = static_cast<std::size_t>(width);
  // -0 leaves even the sign of zero as it is.
  std::vector<T> bias(size, -T{0}), value(size), stored(size), chained(size, T{1});
  std::copy_n(x, n, value.data());
  Forward<T> f{1,           0,          width / kPanel<T>, nullptr,      0,    nullptr,
               bias.data(), activation, T{kSlope},         value.data(), width};
  f.derivative = stored.data();
  kernels.activate(f);
  const T* by = stores_derivative(activation) ? stored.data() : value.data();
  kernels.chain({1, 0, width / kPanel<T>, nullptr, 0, nullptr, 0, activation, T{kSlope},
                 by, width, chained.data(), width});
  std::copy_n(value.data(), n, y);
  std::copy_n(chained.data(), n, derivative);
}

// --- Gradients and steps -----------------------------------------------------------

// x^T dz for a tile (rows, cols) in the middle of a larger array of panels, summed over
// `inner` rows of a batch. Tiles are at most kMaxTileHeight x kMaxTilePanels.
template <class T>
class TileProblem {
 public:
  TileProblem(const Shape& s, bool is_sparse, Numbers& numbers)
      : n_batch_(s.inner),
        n_in_(std::min(s.rows, kMaxTileHeight)),
        n_out_(std::min(s.cols, kMaxTilePanels * kPanel<T>)),
        is_sparse_(is_sparse),
        x_(matrix<T>(n_batch_, n_in_, [&] { return numbers.next<T>(); })),
        sparse_x_(is_sparse ? n_batch_ : 0, kFirstIn + n_in_ + 2, numbers),
        dz_(padded_matrix<T>(n_batch_, n_out_,
                             [&] { return numbers.next<T>() * T{kSmall}; })) {}

  // An array that the tile goes to, with guards in the rows around it.
  template <class Make>
  Guarded<T> target(const Make& make) const {
    return panels<T>(n_in_, n_out_, n_in_ + kRowsBetween, make);
  }

  template <class UseDense, class UseSparse>
  PenaltySums visit(const UseDense& use_dense, const UseSparse& use_sparse) const {
    const Index n_panels = dz_.cols() / kPanel<T>;
    const Index panel_size = (n_in_ + kRowsBetween) * kPanel<T>;
    if (is_sparse_) {
      return use_sparse({n_batch_, kFirstIn, n_in_, n_panels, sparse_x_.view(),
                         dz_.data(), dz_.stride(), panel_size});
    }
    return use_dense({n_batch_, n_in_, n_panels, x_.data(), x_.stride(), dz_.data(),
                      dz_.stride(), panel_size, has_half_panel<T>(n_out_)});
  }

  Index n_batch() const { return n_batch_; }
  const Guarded<T>& x() const { return x_; }
  const Guarded<T>& dz() const { return dz_; }

 private:
  static constexpr Index kFirstIn = 5;
  static constexpr Index kRowsBetween = 3;
  Index n_batch_, n_in_, n_out_;
  bool is_sparse_;
  Guarded<T> x_;
  SparseMatrix<T> sparse_x_;
  Guarded<T> dz_;
};

template <class T>
class GradientProblem {
 public:
  GradientProblem(const Shape& s, bool add, bool is_sparse, Numbers numbers)
      : tile_(s, is_sparse, numbers),
        add_(add),
        before_(tile_.target([&] { return add ? numbers.next<T>() : guard<T>(); })) {}

  Solution<T> solve(const Kernels<T>& kernels) const {
    Guarded<T> out = before_;
    tile_.visit(
        [&](const GradientTile<T>& g) {
          kernels.gradient(g, out.data(), add_);
          return PenaltySums();
        },
        [&](const SparseGradientTile<T>& g) {
          kernels.sparse_gradient(g, out.data(), add_);
          return PenaltySums();
        });
    return {{out}};
  }

  const TileProblem<T>& tile() const { return tile_; }

 private:
  TileProblem<T> tile_;
  bool add_;
  Guarded<T> before_;
};

template <class T>
class UpdateProblem {
 public:
  // With l1 there is decay too.
  UpdateProblem(const Shape& s, Rule rule, double penalty, double l1, bool is_sparse,
                Numbers numbers)
      : tile_(s, is_sparse, numbers),
        update_{rule,
                static_cast<T>(1.0 / static_cast<double>(s.inner)),
                static_cast<T>(penalty),
                T(0.3),
                T(0.9),
                T(0.8),
                T(0.7),
                T(1e-8),
                T(0.2),
                T(0.3),
                T(0.1),
                static_cast<T>(l1),
                static_cast<T>(l1 / 2)},
        weights_(tile_.target([&] { return numbers.next<T>() / 8; })),
        moment_1_(tile_.target([&] { return numbers.next<T>() / 8; })),
        // Away from zero, by which adaptive rules divide.
        moment_2_(
            tile_.target([&] { return T(0.25) + std::abs(numbers.next<T>()) / 8; })) {}

  // Weights and both moments. A moment that the rule does not have is all guards.
  Solution<T> solve(const Kernels<T>& kernels) const {
    Guarded<T> w = weights_, m = moment_1_, v = moment_2_;
    const Guarded<T> none = tile_.target([] { return guard<T>(); });
    const bool is_square =
        update_.rule == Rule::kRmsprop || update_.rule == Rule::kAdagrad;
    if (is_square) m = moment_2_;
    if (n_moments(update_.rule) < 1) m = none;
    if (n_moments(update_.rule) < 2) v = none;
    const Parameters<T> parameters{w.data(), m.data(), v.data()};
    const PenaltySums sums = tile_.visit(
        [&](const GradientTile<T>& g) {
          return kernels.update(g, update_, parameters);
        },
        [&](const SparseGradientTile<T>& g) {
          return kernels.sparse_update(g, update_, parameters);
        });
    return {{w, m, v}, sums.squares, sums.magnitudes};
  }

 private:
  TileProblem<T> tile_;
  Update<T> update_;
  Guarded<T> weights_, moment_1_, moment_2_;
};

// --- Losses ------------------------------------------------------------------------

inline constexpr std::array kOutputActivations = {Output::kIdentity, Output::kLogistic,
                                                  Output::kTanh,     Output::kSoftplus,
                                                  Output::kExp,      Output::kSoftmax};

// All pairs of a loss and an output activation that have arithmetic of their own.
inline const std::vector<LossSettings>& loss_pairs() {
  using L = Loss;
  using O = Output;
  static const std::vector<LossSettings> all = [] {
    std::vector<LossSettings> pairs = {L::kSoftmaxCrossEntropy,
                                       L::kBinaryCrossEntropy,
                                       L::kGamma,
                                       {L::kPoisson, O::kSoftplus},
                                       {L::kGamma, O::kSoftplus}};
    for (const L loss : {L::kCrossEntropy, L::kKlDivergence, L::kFocal,
                         L::kSymmetricCrossEntropy, L::kSquaredError, L::kLinear}) {
      for (const O output : {O::kSoftmax, O::kLogistic})
        pairs.push_back({loss, output});
    }
    for (const O output : {O::kIdentity, O::kTanh, O::kSoftplus, O::kExp}) {
      pairs.push_back({L::kSquaredError, output});
    }
    for (const L loss : {L::kPoisson, L::kAbsoluteError, L::kHuber, L::kLogCosh,
                         L::kQuantile, L::kLinear}) {
      pairs.push_back(loss);
    }
    for (LossSettings& pair : pairs) {
      pair.delta = 0.75;
      pair.alpha = 0.5;
    }
    return pairs;
  }();
  return all;
}

template <class T>
class LossProblem {
 public:
  // Pre-activations of about the given size.
  LossProblem(const LossSettings& loss, Index rows, Index outputs, double size,
              Numbers numbers)
      : loss_(loss),
        z_(matrix<T>(rows, outputs,
                     [&] { return static_cast<T>(size) * numbers.next<T>() / 8; })),
        y_(matrix<T>(rows, outputs, [&] { return target(numbers); })),
        weights_(matrix<T>(1, rows, [&] { return T(numbers.integer(0, 4)) / 2; })),
        levels_(padded_matrix<T>(1, outputs,
                                 [&] { return T(numbers.integer(1, 15)) / 16; })),
        entry_weights_(padded_matrix<T>(rows, outputs,
                                        [&] { return T(numbers.integer(0, 2)) / 2; })) {
    for (Index r = 0; r < rows; ++r) labels_.push_back(numbers.integer(0, outputs - 1));
  }

  // Gradients and losses.
  Solution<T> solve(const Kernels<T>& kernels) const { return solve(kernels, false); }
  Solution<T> solve(const Kernels<T>& kernels, bool weighs_entries) const {
    Guarded<T> dz(z_.rows(), round_up(z_.cols(), kPanel<T>));
    Guarded<T> losses(1, z_.rows());
    LossBlock<T> block{z_.rows(),      z_.cols(),   z_.data(),     z_.stride(),
                       labels_.data(), y_.data(),   y_.stride(),   weights_.data(),
                       dz.data(),      dz.stride(), losses.data(), levels_.data()};
    if (weighs_entries) {
      block.entry_weights = entry_weights_.data();
      block.entry_weights_stride = entry_weights_.stride();
    }
    kernels.loss(loss_, block);
    return {{dz, losses}};
  }

  Solution<T> outputs(const Kernels<T>& kernels) const {
    Guarded<T> z = z_, p(z_.rows(), z_.cols());
    kernels.output(loss_.output,
                   {z.rows(), z.cols(), z.data(), z.stride(), p.data(), p.stride()});
    return {{p}};
  }

  Guarded<T>& z() { return z_; }
  Guarded<T>& y() { return y_; }
  Guarded<T>& weights() { return weights_; }
  Guarded<T>& entry_weights() { return entry_weights_; }
  std::vector<Index>& labels() { return labels_; }

 private:
  T target(Numbers& numbers) const {
    if (loss_.kind == Loss::kPoisson) return T(numbers.integer(0, 6));
    if (loss_.kind == Loss::kGamma) return T(numbers.integer(1, 24)) / 8;
    if (reference::is_of_classes(loss_.kind)) return T(numbers.integer(0, 4)) / 4;
    return numbers.next<T>();
  }

  LossSettings loss_;
  Guarded<T> z_, y_, weights_, levels_, entry_weights_;
  std::vector<Index> labels_;
};

}  // namespace fastbp::testing
