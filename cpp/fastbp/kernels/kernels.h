// The kernels: all arithmetic on arrays that the core does, as a table of functions for
// each instruction set. This header is their contract; reference.h has the naive loop
// of each.
//
// Layout. A weight matrix (n_in, n_out) lies in column panels of kPanel columns (one
// cache line wide): element (i, j) is at [j / kPanel][i][j % kPanel]. The last panel is
// padded with zeros, and every kernel keeps padding at zero. Matrices of activations
// are row-major with a stride that is a multiple of kPanel, so that whole panels can be
// read and written in every row.
//
// Arithmetic. Every element of a matrix product is one chain of fused multiply-adds in
// the order of the summed index, cut into pieces of kSumChunk (gradients of sparse
// rows: kSparseSumChunk) whose sums are added in order. It does not depend on tile
// sizes, on the rows beside it or on the instruction set: AVX2, AVX-512 and NEON give
// the same bits (baseline has no fused multiply-add and gives others).
#pragma once

#include <cstdint>

#include "fastbp/base/index.h"

namespace fastbp {

template <class T>
inline constexpr Index kPanel = kCacheLine / static_cast<Index>(sizeof(T));

// Whether n columns leave the second half of their last panel empty.
template <class T>
constexpr bool has_half_panel(Index n) {
  return n % kPanel<T> > 0 && n % kPanel<T> <= kPanel<T> / 2;
}

// Long sums lose digits (error ~ length), and operands of this many rows stay in cache.
inline constexpr Index kSumChunk = 512;
// Of sparse rows, few of which have a number to add.
inline constexpr Index kSparseSumChunk = 16 * kSumChunk;

// A product's tile is at most this many panels wide, on any instruction set.
inline constexpr Index kMaxTilePanels = 2;
// Rows of a tile of a weight gradient, at most: 8 x 6 or 4 x 12 of a micro-kernel. The
// part of x that they need, 96 kB of a chunk of float32, leaves room in a
// second-level cache of 256 kB.
inline constexpr Index kMaxTileHeight = 48;

enum class Activation {
  kIdentity,
  kLogistic,
  kTanh,
  kRelu,
  kLeakyRelu,
  kElu,
  kSelu,
  kHardTanh,
  kGelu,
  kSilu,
  kMish,
  kSoftplus,
  kSign,  // forward only, like step: their derivative is 0 wherever there is one
  kStep,
};
// What the output layer makes of its pre-activations.
enum class Output { kIdentity, kLogistic, kTanh, kSoftplus, kExp, kSoftmax };
enum class Loss {
  kSoftmaxCrossEntropy,
  kBinaryCrossEntropy,
  kSquaredError,
  kPoisson,
  kAbsoluteError,
  kHuber,
  kLogCosh,
  kQuantile,
  kGamma,
  kCrossEntropy,
  kKlDivergence,
  kFocal,
  kSymmetricCrossEntropy,
  kLinear,
};
// By the number of their moments: none, one (from kMomentum), two (from kAdam).
enum class Rule {
  kSgd,
  kMomentum,
  kNesterov,
  kRmsprop,
  kAdagrad,
  kLion,
  kAdam,
  kNadam
};

// Whether the derivative of an activation is no function of its output (or one that is
// dear): then the forward pass of training stores it, while z is in registers, and the
// backward pass multiplies by what was stored.
constexpr bool stores_derivative(Activation a) {
  return a == Activation::kGelu || a == Activation::kSilu || a == Activation::kMish ||
         a == Activation::kSoftplus;
}

// Whether `chain` asks an output for no more than its sign. Then dropout may overwrite
// it: it keeps signs, and where it puts a zero the gradient is one as well.
constexpr bool needs_only_sign(Activation a) {
  return a == Activation::kIdentity || a == Activation::kRelu ||
         a == Activation::kLeakyRelu || stores_derivative(a);
}

// y = activation(x W + b), for a block of rows. Largest error of an activation over the
// whole range, where it is not exact: that of exp below; 6 ulp if it stores its
// derivative, which is within 3 epsilon. At infinity: the limits.
template <class T>
struct Forward {
  Index n_rows, n_in, n_panels;
  const T* x;  // (n_rows, n_in)
  Index x_stride;
  const T* weights;  // panels (n_in, n_panels)
  const T* bias;     // (n_panels * kPanel)
  Activation activation;
  T slope;  // of leaky relu for negative arguments
  T* y;     // (n_rows, n_panels * kPanel)
  Index y_stride;
  bool is_half_panel = false;  // there is only padding in the second half of the last
                               // panel, whose products are then not computed
  // Weights in other layouts: element (i, j) at j / kPanel * panel_size +
  // i * row_stride + j % kPanel.
  Index panel_size = n_in * kPanel<T>;
  Index row_stride = kPanel<T>;
  // activation'(z), like y; null if nobody wants it. Only written by activations that
  // store their derivative.
  T* derivative = nullptr;
  Index derivative_stride = 0;
};

// One non-zero of a sparse row.
template <class T>
struct Entry {
  Index col;
  T value;
};

// A block of sparse rows: row r has the entries first[r] .. last[r] - 1, sorted by
// column.
template <class T>
struct SparseRows {
  const Entry<T>* entries;
  const Index* first;
  const Index* last;
};

// dx = (dz W^T) * activation'(z), the gradient with respect to the pre-activations z of
// the layer below. x is the output of that layer, or what its forward pass has stored
// if its activation stores its derivative.
template <class T>
struct Backward {
  Index n_rows, n_out, n_panels;
  const T* dz;  // (n_rows, n_out)
  Index dz_stride;
  const T* mirror;    // panels (n_out, n_panels) of the transposed weights
  Index mirror_rows;  // rows of a mirror panel: n_out rounded up to kPanel
  Activation activation;
  T slope;
  const T* x;  // (n_rows, n_panels * kPanel)
  Index x_stride;
  T* dx;  // like x
  Index dx_stride;
  bool is_half_panel = false;  // as in Forward
};

// A tile of a weight gradient, x^T dz: n_in rows of n_panels panels, summed over
// n_batch rows.
template <class T>
struct GradientTile {
  Index n_batch;
  Index n_in, n_panels;  // n_in <= kMaxTileHeight, n_panels <= kMaxTilePanels
  const T* x;            // (n_batch, n_in), its first column the tile's first row
  Index x_stride;
  const T* dz;  // (n_batch, n_panels * kPanel), its first column the tile's first
  Index dz_stride;
  Index panel_size;  // elements from a panel to the next in the arrays that the tile
                     // goes to
  bool is_half_panel = false;  // as in Forward
};

// The same for sparse x: columns first_in .. first_in + n_in - 1; n_in <=
// kSparseTileRows.
inline constexpr Index kSparseTileRows = 256;

template <class T>
struct SparseGradientTile {
  Index n_batch, first_in, n_in, n_panels;
  SparseRows<T> x;
  const T* dz;
  Index dz_stride;
  Index panel_size;
  Index row_stride = kPanel<T>;  // from a row of a panel to the next, likewise
};

// The same when the sum has already been taken.
template <class T>
struct SummedTile {
  Index n_in, n_panels;  // n_panels <= kMaxTilePanels
  const T* gradient;     // (n_in, n_panels * kPanel)
  Index gradient_stride;
  Index panel_size, row_stride;
};

// How a parameter w is changed, given the sum G of its gradient over the batch:
// g = (G + penalty * w + l1 * sign(w)) * scale and w -= decay * w, then
//   sgd       w -= rate * g
//   momentum  v = momentum * v - rate * g;  w += v
//   nesterov  v likewise;                   w += momentum * v - rate * g
//   rmsprop   v = beta_2 * v + (1 - beta_2) * g^2;  w -= rate * g / (sqrt(v) + epsilon)
//   adagrad   v += g^2;                     w likewise
//   lion      w -= rate * sign(beta_1 * m + (1 - beta_1) * g);
//             m = beta_2 * m + (1 - beta_2) * g
//   adam      m = beta_1 * m + (1 - beta_1) * g;  v = beta_2 * v + (1 - beta_2) * g^2;
//             w -= rate * m / (sqrt(v) + epsilon), `rate` including the bias
//             corrections
//   nadam     m and v likewise;
//             w -= (rate * m + gradient_rate * g) / (sqrt(v) + epsilon)
// (lecture 002, momentum; docs/optimizers.md has the sources). sign(0) = 0.
template <class T>
struct Update {
  Rule rule;
  T scale, penalty, rate, momentum, beta_1, beta_2, epsilon;
  T rest_1, rest_2;  // 1 - beta, which a subtraction in float32 would spoil
  T gradient_rate = 0;
  T l1 = 0, decay = 0;

  // The rule for biases and gains, whose size is their own affair.
  Update without_penalties() const {
    Update rule_alone = *this;
    rule_alone.penalty = rule_alone.l1 = rule_alone.decay = 0;
    return rule_alone;
  }
};

// Sums over weights before a step, of which a loss makes its penalties. A sum is zero
// if its penalty is.
struct PenaltySums {
  double squares = 0, magnitudes = 0;

  void add(const PenaltySums& other) {
    squares += other.squares;
    magnitudes += other.magnitudes;
  }
};

// Parameters and their optimizer state, at the same offset of each flat buffer.
template <class T>
struct Parameters {
  T* weights;
  T* moment_1;  // the first that the rule has; unused by sgd
  T* moment_2;  // v of adam and nadam
};

// All rows of one panel of the sum G of a gradient, and of its weights W.
template <class T>
struct GradientPanel {
  Index n_rows, row_stride;
  const T* gradient;
  const T* weights;
  T penalty, l1;
};

// A loss with its parameters, and the output activation that it follows. Of one output
// with the target y:
//
//   squared error           (y - p)^2 / 2
//   absolute error          |y - p|; 0 is its derivative at 0
//   huber                   (y - p)^2 / 2 up to |y - p| = delta, then
//                           delta * (|y - p| - delta / 2)
//   log cosh                log(cosh(y - p))
//   quantile                level * (y - p), or (level - 1) * (y - p) if that is
//                           negative; 0 is its derivative at 0
//   poisson                 y log(y / p) - y + p, half the deviance
//   gamma                   y / p - 1 - log(y / p), half the deviance
//   linear                  y p, for a gradient y that was computed elsewhere
//   cross entropy           -y log(p)
//   kl divergence           y log(y / p)
//   focal                   -y (1 - p)^gamma log(p)
//   symmetric cross entropy -alpha y log(p) - beta p max(log(y), log_zero)
//
// The last four are of classes: for a logistic output the same of 1 - y and 1 - p is
// added, so that one output is two classes. The softmax cross-entropy takes labels
// instead of y; the binary one is that of a logistic output. docs/losses.md has the
// sources.
struct LossSpec {
  Loss kind;
  Output output;
  double delta = 1;                           // huber, > 0
  double gamma = 2;                           // focal, >= 0
  double alpha = 1, beta = 1, log_zero = -4;  // symmetric; log_zero < 0
};

// Value and gradient of a loss for a block of rows, from the pre-activations z of the
// output layer. With p the output and w the row's weight times that of the entry:
//   loss[r] = sum over outputs of w * value(y, p),   dz = its derivative with respect
//   to z.
// Probabilities are clipped to [eps, 1 - eps] in values, as in scikit-learn, and p to
// the smallest normal number in poisson and gamma; where loss and output are a natural
// pair (both cross-entropies, squared error and identity, poisson and exp), dz is
// w * (p - y) for all z.
template <class T>
struct LossBlock {
  Index n_rows, n_outputs;
  const T* z;  // (n_rows, n_outputs)
  Index z_stride;
  const Index* labels;  // softmax cross-entropy: (n_rows), in [0, n_outputs)
  const T* y;           // others: (n_rows, n_outputs)
  Index y_stride;
  const T* row_weights;  // (n_rows)
  T* dz;
  Index dz_stride;
  T* loss;                           // (n_rows)
  const T* levels = nullptr;         // quantile: (n_outputs), whole panels
  const T* entry_weights = nullptr;  // null or like y, for losses that are no softmax;
  Index entry_weights_stride = 0;    // an entry without weight may hold anything
};

// p from z, for prediction. z, whose rows hold whole panels, may be overwritten.
template <class T>
struct OutputBlock {
  Index n_rows, n_outputs;
  T* z;
  Index z_stride;
  T* p;  // (n_rows, n_outputs), written up to n_outputs only
  Index p_stride;
};

// Rows, or columns, of x that are brought to mean 0 and variance 1: n = (x - mean) *
// scale, scale = 1 / sqrt(variance + kNormEpsilon).
inline constexpr double kNormEpsilon = 1e-5;  // as in PyTorch

template <class T>
struct Normalized {
  Index n_rows, n_cols;
  const T* x;  // (n_rows, whole panels)
  Index x_stride;
  // Mean and scale. Of rows: statistics[r * stride] and the number after it. Of
  // columns: statistics[j] and statistics[stride + j], for whole panels.
  T* statistics;
  Index statistics_stride;
};

// y = activation(gain * n + bias).
template <class T>
struct NormForward {
  Normalized<T> x;
  const T* gain;  // (whole panels), like bias zero beyond n_cols
  const T* bias;
  Activation activation;
  T slope;
  T* y;  // like x
  Index y_stride;
  T* derivative = nullptr;  // as in Forward
  Index derivative_stride = 0;
};

// From dz, the gradient with respect to gain * n + bias, that of x; zero beyond n_cols.
template <class T>
struct NormBackward {
  Normalized<T> x;
  const T* gain;
  const T* dz;  // like x, zero beyond n_cols
  Index dz_stride;
  T* dx;
  Index dx_stride;
  // Of columns: the sums over the batch of dz, then of dz * n, each for whole panels;
  // and the share of each row in the statistics, its weight by the sum of weights.
  const T* sums = nullptr;
  Index sums_stride = 0;
  const T* row_weights = nullptr;  // (n_rows)
  T total_weight = 1;
};

// The columns of one panel of x, for their statistics.
template <class T>
struct PanelStatistics {
  Index n_rows;
  const T* x;  // (n_rows, kPanel)
  Index x_stride;
  const T* row_weights;  // (n_rows)
  T total_weight;
  T* mean;   // (kPanel)
  T* scale;  // (kPanel)
  // Mean and variance of former batches, or null: running = (1 - kNormMomentum) *
  // running + kNormMomentum * that of this batch, its variance times `correction`.
  T* running_mean;
  T* running_variance;
  T correction;
};
inline constexpr double kNormMomentum = 0.1;  // as in PyTorch

// The numbers of dropout, by Philox4x32-10 (Salmon, Moraes, Dror and Shaw, Parallel
// random numbers: as easy as 1, 2, 3, SC 2011): four words from a counter of four words
// and a key of two.
using Word32 = std::uint32_t;
inline constexpr Index kPhiloxCounters = 16;  // computed together
struct PhiloxKey {
  Word32 counter_1, counter_2, counter_3;  // of a block of numbers
  Word32 key_0, key_1;
};

// Dropout of a block of rows (Srivastava et al., 2014; inverted, so that nothing is
// left to do in prediction): y = x * scale, or 0 where a number of 16 bits is below
// `threshold`. The number of column j of row r: with b = j / 128 and the 16 counters
// (16 b ... 16 b + 15, first_row + r, step, layer), word k of all of them is line k of
// 64 bytes; as an array of kPanel little-endian integers of the size of T, line k has
// the numbers of sizeof(T) / 2 panels, 16 bits of each integer for each panel, from the
// lowest. Elements of a panel are in the order of the integers.
inline constexpr Index kDropoutColumns = 128;
inline constexpr double kDropoutSteps = 65536;

template <class T>
struct Dropout {
  Index n_rows, n_panels;
  const T* x;
  Index x_stride;
  T* y;  // may be x
  Index y_stride;
  PhiloxKey key;  // counter_1 that of the first row
  T threshold;    // in [0, kDropoutSteps)
  T scale;        // kDropoutSteps / (kDropoutSteps - threshold)
};

template <class T>
struct Kernels {
  void (*forward)(const Forward<T>&);
  void (*sparse_forward)(const Forward<T>&, const SparseRows<T>&);  // x unused
  void (*backward)(const Backward<T>&);

  // Gradient of a tile, stored or added to what is there.
  void (*gradient)(const GradientTile<T>&, T* out, bool add);
  void (*sparse_gradient)(const SparseGradientTile<T>&, T* out, bool add);

  // Gradient of a tile and the step, without storing the gradient.
  PenaltySums (*update)(const GradientTile<T>&, const Update<T>&, const Parameters<T>&);
  PenaltySums (*sparse_update)(const SparseGradientTile<T>&, const Update<T>&,
                               const Parameters<T>&);

  // The elementwise halves of forward, backward and update, for products that were made
  // elsewhere. activate: y holds x W; x and weights are unused. chain: dx holds dz W^T;
  // dz and mirror are unused.
  void (*activate)(const Forward<T>&);
  void (*chain)(const Backward<T>&);
  PenaltySums (*step)(const SummedTile<T>&, const Update<T>&, const Parameters<T>&);

  // For norms. column_squares: sums[j] = the sum of g^2 over the rows of column j of a
  // panel, g = G + penalty * w + l1 * sign(w), in pieces of kSumChunk rows.
  // scale_columns: column j of a panel of n_rows rows *= factors[j].
  void (*column_squares)(const GradientPanel<T>&, T* sums);
  void (*scale_columns)(Index n_rows, Index row_stride, const T* factors, T* weights);

  // average += rate * (w - average), fused; n is a multiple of kPanel.
  void (*average)(Index n, T rate, const T* weights, T* average);

  // Layer normalization (Ba, Kiros and Hinton, 2016): layer_norm computes the
  // statistics of the rows as well. Batch normalization (Ioffe and Szegedy, 2015) of
  // columns: column_statistics first. Sums are one for each lane of a panel over the
  // panels of a row, then over the lanes in a tree; or over the rows in order, in
  // pieces of kSumChunk.
  void (*layer_norm)(const NormForward<T>&);
  void (*layer_norm_backward)(const NormBackward<T>&);
  void (*batch_norm)(const NormForward<T>&);
  void (*batch_norm_backward)(const NormBackward<T>&);
  void (*column_statistics)(const PanelStatistics<T>&);

  // Sums over the rows of dz and of dz * n, for one panel of x and dz: the gradients of
  // bias and gain.
  void (*layer_norm_sums)(const NormBackward<T>&, Index panel, T* dz_sums, T* dzn_sums);
  void (*batch_norm_sums)(const NormBackward<T>&, Index panel, T* dz_sums, T* dzn_sums);

  // words(k, i): word k of counter (counters[i], key ...), for kPhiloxCounters of them.
  void (*philox)(const PhiloxKey&, const Word32* counters, Word32* words);
  void (*dropout)(const Dropout<T>&);
  // The same for the entries of sparse rows, in place; x and y are unused.
  void (*sparse_dropout)(const Dropout<T>&, Entry<T>* entries, const Index* first,
                         const Index* last);

  // mirror block (kPanel x kPanel) = transpose of n_rows <= kPanel rows of a weight
  // panel.
  void (*transpose)(const T* panel_rows, Index n_rows, T* mirror_block);

  void (*loss)(const LossSpec&, const LossBlock<T>&);
  void (*output)(Output, const OutputBlock<T>&);

  // Elementwise y = f(x), any n. Largest error over the whole range: 2 ulp in float32,
  // 4 ulp in float64; special values as in C.
  void (*exp)(Index n, const T* x, T* y);
  void (*log)(Index n, const T* x, T* y);
  void (*tanh)(Index n, const T* x, T* y);
  void (*logistic)(Index n, const T* x, T* y);
};

struct KernelTable {
  const char* isa;
  Kernels<float> float32;
  Kernels<double> float64;
};

}  // namespace fastbp
