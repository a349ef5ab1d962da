// The kernels as naive loops: what each entry of the table in kernels.h means, in the
// order of that table. The tests compare every instruction set with this file; nothing
// else includes it. Arithmetic is wider than T where the platform has something wider,
// so that what comes out is the formula, rounded once.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "fastbp/base/sizes.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp::reference {

using Wide = long double;

// Element (i, j) of a matrix in column panels of panel_size elements.
template <class T>
T& element(T* panels, Index panel_size, Index i, Index j,
           Index row_stride = kPanel<T>) {
  return panels[j / kPanel<T> * panel_size + i * row_stride + j % kPanel<T>];
}

// --- Products ----------------------------------------------------------------------

inline constexpr Wide kSeluLambda = 1.0507009873554804934193349852946L;
inline constexpr Wide kSeluAlpha = 1.6732632423543772848170429916717L;

inline Wide logistic(Wide z) { return 1 / (1 + std::exp(-z)); }
inline Wide softplus(Wide z) {
  return std::max(z, Wide{0}) + std::log1p(std::exp(-std::abs(z)));
}
inline Wide normal_cdf(Wide z) {
  return std::erfc(-z / std::numbers::sqrt2_v<Wide>) / 2;
}

inline Wide activate(Activation kind, Wide slope, Wide z) {
  switch (kind) {
    case Activation::kIdentity:
      break;
    case Activation::kLogistic:
      return logistic(z);
    case Activation::kTanh:
      return std::tanh(z);
    case Activation::kRelu:
      return std::max(z, Wide{0});
    case Activation::kLeakyRelu:
      return z < 0 ? slope * z : z;
    case Activation::kElu:
      return z < 0 ? std::expm1(z) : z;
    case Activation::kSelu:
      return kSeluLambda * (z < 0 ? kSeluAlpha * std::expm1(z) : z);
    case Activation::kHardTanh:
      return std::clamp(z, Wide{-1}, Wide{1});
    case Activation::kGelu:
      return z * normal_cdf(z);
    case Activation::kSilu:
      return z * logistic(z);
    case Activation::kMish:
      return z * std::tanh(softplus(z));
    case Activation::kSoftplus:
      return softplus(z);
  }
  return z;
}

// The derivative at z, of the activations that store it.
inline Wide stored_derivative(Activation kind, Wide z) {
  switch (kind) {
    case Activation::kGelu:
      return normal_cdf(z) + z * std::exp(-z * z / 2) *
                                 std::numbers::inv_sqrtpi_v<Wide> /
                                 std::numbers::sqrt2_v<Wide>;
    case Activation::kSilu:
      return logistic(z) + z * logistic(z) * logistic(-z);
    case Activation::kMish: {
      const Wide t = std::tanh(softplus(z));
      return t + z * (1 - t * t) * logistic(z);
    }
    default:  // softplus
      return logistic(z);
  }
}

// The derivative of the others at z, expressed by y = activate(z); or what was stored.
inline Wide derivative(Activation kind, Wide slope, Wide y) {
  switch (kind) {
    case Activation::kIdentity:
      break;
    case Activation::kLogistic:
      return y * (1 - y);
    case Activation::kTanh:
      return 1 - y * y;
    case Activation::kRelu:
      return y > 0 ? 1 : 0;
    case Activation::kLeakyRelu:
      return y > 0 ? 1 : slope;
    case Activation::kElu:
      return y > 0 ? 1 : y + 1;
    case Activation::kSelu:
      return y > 0 ? kSeluLambda : y + kSeluLambda * kSeluAlpha;
    case Activation::kHardTanh:
      return std::abs(y) < 1 ? 1 : 0;
    case Activation::kGelu:
    case Activation::kSilu:
    case Activation::kMish:
    case Activation::kSoftplus:
      return y;
  }
  return 1;
}

// y = activation(x W + b), with product(r, j) = (x W)(r, j).
template <class T, class Product>
void finish_forward(const Forward<T>& f, const Product& product) {
  for (Index r = 0; r < f.n_rows; ++r) {
    for (Index j = 0; j < f.n_panels * kPanel<T>; ++j) {
      const Wide z = product(r, j) + Wide{f.bias[j]};
      f.y[r * f.y_stride + j] = static_cast<T>(activate(f.activation, f.slope, z));
      if (f.derivative != nullptr && stores_derivative(f.activation)) {
        f.derivative[r * f.derivative_stride + j] =
            static_cast<T>(stored_derivative(f.activation, z));
      }
    }
  }
}

template <class T>
void forward(const Forward<T>& f) {
  finish_forward(f, [&f](Index r, Index j) {
    Wide sum = 0;
    for (Index i = 0; i < f.n_in; ++i) {
      const T w = element(f.weights, f.n_in * kPanel<T>, i, j);
      sum += Wide{f.x[r * f.x_stride + i]} * Wide{w};
    }
    return sum;
  });
}

template <class T>
void sparse_forward(const Forward<T>& f, const SparseRows<T>& x) {
  finish_forward(f, [&](Index r, Index j) {
    Wide sum = 0;
    for (Index e = x.first[r]; e < x.last[r]; ++e) {
      const T w = element(f.weights, f.panel_size, x.entries[e].col, j, f.row_stride);
      sum += Wide{x.entries[e].value} * Wide{w};
    }
    return sum;
  });
}

template <class T>
void activate(const Forward<T>& f) {
  finish_forward(f, [&f](Index r, Index j) { return Wide{f.y[r * f.y_stride + j]}; });
}

template <class T>
void chain(const Backward<T>& b) {
  for (Index r = 0; r < b.n_rows; ++r) {
    for (Index i = 0; i < b.n_panels * kPanel<T>; ++i) {
      T& dx = b.dx[r * b.dx_stride + i];
      const Wide slope = derivative(b.activation, b.slope, b.x[r * b.x_stride + i]);
      dx = static_cast<T>(dx * slope);
    }
  }
}

// The mirror holds the transposed weights: element (j, i) is W(i, j).
template <class T>
void backward(const Backward<T>& b) {
  for (Index r = 0; r < b.n_rows; ++r) {
    for (Index i = 0; i < b.n_panels * kPanel<T>; ++i) {
      Wide sum = 0;
      for (Index j = 0; j < b.n_out; ++j) {
        const T w = element(b.mirror, b.mirror_rows * kPanel<T>, j, i);
        sum += Wide{b.dz[r * b.dz_stride + j]} * Wide{w};
      }
      b.dx[r * b.dx_stride + i] = static_cast<T>(sum);
    }
  }
  chain(b);
}

// --- Gradients and steps -----------------------------------------------------------

template <class T>
Index row_stride(const GradientTile<T>&) {
  return kPanel<T>;
}
template <class Tile>
Index row_stride(const Tile& tile) {
  return tile.row_stride;
}

// Element (i, j) of a tile of x^T dz.
template <class T>
Wide gradient_of(const GradientTile<T>& g, Index i, Index j) {
  Wide sum = 0;
  for (Index r = 0; r < g.n_batch; ++r) {
    sum += Wide{g.x[r * g.x_stride + i]} * Wide{g.dz[r * g.dz_stride + j]};
  }
  return sum;
}

template <class T>
Wide gradient_of(const SparseGradientTile<T>& g, Index i, Index j) {
  Wide sum = 0;
  for (Index r = 0; r < g.n_batch; ++r) {
    for (Index e = g.x.first[r]; e < g.x.last[r]; ++e) {
      const Entry<T>& x = g.x.entries[e];
      if (x.col == g.first_in + i)
        sum += Wide{x.value} * Wide{g.dz[r * g.dz_stride + j]};
    }
  }
  return sum;
}

template <class T>
Wide gradient_of(const SummedTile<T>& g, Index i, Index j) {
  return g.gradient[i * g.gradient_stride + j];
}

template <class T, class Tile>
void gradient(const Tile& g, T* out, bool add) {
  for (Index i = 0; i < g.n_in; ++i) {
    for (Index j = 0; j < g.n_panels * kPanel<T>; ++j) {
      T& to = element(out, g.panel_size, i, j, row_stride(g));
      to = static_cast<T>(gradient_of(g, i, j) + (add ? Wide{to} : 0));
    }
  }
}

inline Wide sign(Wide x) { return x < 0 ? -1 : (x > 0 ? 1 : x); }

// The new value of a parameter w with the scaled gradient g; changes its moments.
template <class T>
Wide step(const Update<T>& u, Wide w, Wide g, T& moment_1, T& moment_2) {
  switch (u.rule) {
    case Rule::kSgd:
      break;
    case Rule::kMomentum:
    case Rule::kNesterov: {
      const Wide velocity = u.momentum * Wide{moment_1} - u.rate * g;
      moment_1 = static_cast<T>(velocity);
      return w + (u.rule == Rule::kMomentum ? velocity
                                            : u.momentum * velocity - u.rate * g);
    }
    case Rule::kRmsprop:
    case Rule::kAdagrad: {
      const Wide v = u.rule == Rule::kAdagrad
                         ? Wide{moment_1} + g * g
                         : u.beta_2 * Wide{moment_1} + u.rest_2 * g * g;
      moment_1 = static_cast<T>(v);
      return w - u.rate * g / (std::sqrt(v) + u.epsilon);
    }
    case Rule::kLion: {
      const Wide direction = sign(u.beta_1 * Wide{moment_1} + u.rest_1 * g);
      moment_1 = static_cast<T>(u.beta_2 * Wide{moment_1} + u.rest_2 * g);
      return w - u.rate * direction;
    }
    case Rule::kAdam:
    case Rule::kNadam: {
      const Wide m = u.beta_1 * Wide{moment_1} + u.rest_1 * g;
      const Wide v = u.beta_2 * Wide{moment_2} + u.rest_2 * g * g;
      moment_1 = static_cast<T>(m);
      moment_2 = static_cast<T>(v);
      const Wide ahead = u.rule == Rule::kNadam ? u.gradient_rate * g : 0;
      return w - (u.rate * m + ahead) / (std::sqrt(v) + u.epsilon);
    }
  }
  return w - u.rate * g;
}

template <class T, class Tile>
PenaltySums update(const Tile& tile, const Update<T>& u,
                   const Parameters<T>& parameters) {
  Wide squares = 0, magnitudes = 0;
  T none{};  // in place of a moment that the rule does not have
  const auto moment = [&](T* panels, bool used, Index i, Index j) -> T& {
    return used ? element(panels, tile.panel_size, i, j, row_stride(tile)) : none;
  };
  for (Index i = 0; i < tile.n_in; ++i) {
    for (Index j = 0; j < tile.n_panels * kPanel<T>; ++j) {
      T& w = element(parameters.weights, tile.panel_size, i, j, row_stride(tile));
      T& m = moment(parameters.moment_1, u.rule >= Rule::kMomentum, i, j);
      T& v = moment(parameters.moment_2, u.rule >= Rule::kAdam, i, j);
      const Wide g =
          (gradient_of(tile, i, j) + Wide{u.penalty} * w + u.l1 * sign(w)) * u.scale;
      squares += Wide{w} * w;
      magnitudes += std::abs(Wide{w});
      w = static_cast<T>(step(u, Wide{w} - Wide{u.decay} * w, g, m, v));
    }
  }
  return {u.penalty != 0 ? static_cast<double>(squares) : 0,
          u.l1 != 0 ? static_cast<double>(magnitudes) : 0};
}

template <class T>
void column_squares(const GradientPanel<T>& panel, T* sums) {
  for (Index j = 0; j < kPanel<T>; ++j) {
    Wide sum = 0;
    for (Index i = 0; i < panel.n_rows; ++i) {
      const Wide w = panel.weights[i * panel.row_stride + j];
      const Wide g = panel.gradient[i * panel.row_stride + j] + panel.penalty * w +
                     panel.l1 * sign(w);
      sum += g * g;
    }
    sums[j] = static_cast<T>(sum);
  }
}

template <class T>
void scale_columns(Index n_rows, Index row_stride, const T* factors, T* weights) {
  for (Index i = 0; i < n_rows; ++i) {
    for (Index j = 0; j < kPanel<T>; ++j) weights[i * row_stride + j] *= factors[j];
  }
}

// --- Normalization -----------------------------------------------------------------

template <bool kOfRows, class T>
Wide normalized(const Normalized<T>& x, Index r, Index j) {
  const T* s = x.statistics + (kOfRows ? r * x.statistics_stride : j);
  const Index to_scale = kOfRows ? 1 : x.statistics_stride;
  return (Wide{x.x[r * x.x_stride + j]} - Wide{s[0]}) * Wide{s[to_scale]};
}

inline Wide norm_scale(Wide variance) {
  return 1 / std::sqrt(variance + static_cast<Wide>(kNormEpsilon));
}

template <bool kOfRows, class T>
void norm(const NormForward<T>& f) {
  for (Index r = 0; r < f.x.n_rows; ++r) {
    for (Index j = 0; j < round_up(f.x.n_cols, kPanel<T>); ++j) {
      const Wide z = f.gain[j] * normalized<kOfRows>(f.x, r, j) + f.bias[j];
      f.y[r * f.y_stride + j] = static_cast<T>(activate(f.activation, f.slope, z));
      if (f.derivative != nullptr && stores_derivative(f.activation)) {
        f.derivative[r * f.derivative_stride + j] =
            static_cast<T>(stored_derivative(f.activation, z));
      }
    }
  }
}

template <class T>
void layer_norm(const NormForward<T>& f) {
  const auto n = static_cast<Wide>(f.x.n_cols);
  for (Index r = 0; r < f.x.n_rows; ++r) {
    const T* x = f.x.x + r * f.x.x_stride;
    Wide mean = 0, variance = 0;
    for (Index j = 0; j < f.x.n_cols; ++j) mean += x[j] / n;
    for (Index j = 0; j < f.x.n_cols; ++j)
      variance += (x[j] - mean) * (x[j] - mean) / n;
    f.x.statistics[r * f.x.statistics_stride] = static_cast<T>(mean);
    f.x.statistics[r * f.x.statistics_stride + 1] =
        static_cast<T>(norm_scale(variance));
  }
  norm<true>(f);
}

template <class T>
void layer_norm_backward(const NormBackward<T>& b) {
  const auto n_cols = static_cast<Wide>(b.x.n_cols);
  for (Index r = 0; r < b.x.n_rows; ++r) {
    const auto dn = [&](Index j) {
      return Wide{b.gain[j]} * b.dz[r * b.dz_stride + j];
    };
    Wide mean = 0, mean_n = 0;
    for (Index j = 0; j < b.x.n_cols; ++j) {
      mean += dn(j) / n_cols;
      mean_n += dn(j) * normalized<true>(b.x, r, j) / n_cols;
    }
    const Wide scale = b.x.statistics[r * b.x.statistics_stride + 1];
    for (Index j = 0; j < round_up(b.x.n_cols, kPanel<T>); ++j) {
      const Wide d = dn(j) - mean - normalized<true>(b.x, r, j) * mean_n;
      b.dx[r * b.dx_stride + j] = j < b.x.n_cols ? static_cast<T>(scale * d) : T{0};
    }
  }
}

template <class T>
void batch_norm_backward(const NormBackward<T>& b) {
  for (Index r = 0; r < b.x.n_rows; ++r) {
    const Wide share = Wide{b.row_weights[r]} / b.total_weight;
    for (Index j = 0; j < round_up(b.x.n_cols, kPanel<T>); ++j) {
      const Wide sum =
          b.sums[j] + normalized<false>(b.x, r, j) * b.sums[b.sums_stride + j];
      const Wide factor = Wide{b.gain[j]} * b.x.statistics[b.x.statistics_stride + j];
      b.dx[r * b.dx_stride + j] =
          static_cast<T>(factor * (b.dz[r * b.dz_stride + j] - share * sum));
    }
  }
}

template <class T>
void column_statistics(const PanelStatistics<T>& p) {
  for (Index j = 0; j < kPanel<T>; ++j) {
    Wide mean = 0, variance = 0;
    for (Index r = 0; r < p.n_rows; ++r) {
      mean += Wide{p.row_weights[r]} * p.x[r * p.x_stride + j] / p.total_weight;
    }
    for (Index r = 0; r < p.n_rows; ++r) {
      const Wide d = p.x[r * p.x_stride + j] - mean;
      variance += Wide{p.row_weights[r]} * d * d / p.total_weight;
    }
    p.mean[j] = static_cast<T>(mean);
    p.scale[j] = static_cast<T>(norm_scale(variance));
    if (p.running_mean == nullptr) continue;
    const auto average = [](T& running, Wide now) {
      constexpr Wide kNew = kNormMomentum;
      running = static_cast<T>((1 - kNew) * running + kNew * now);
    };
    average(p.running_mean[j], mean);
    average(p.running_variance[j], variance * p.correction);
  }
}

template <bool kOfRows, class T>
void norm_sums(const NormBackward<T>& b, Index panel, T* dz_sums, T* dzn_sums) {
  for (Index lane = 0; lane < kPanel<T>; ++lane) {
    const Index j = panel * kPanel<T> + lane;
    Wide sum = 0, sum_n = 0;
    for (Index r = 0; r < b.x.n_rows; ++r) {
      const Wide dz = b.dz[r * b.dz_stride + j];
      sum += dz;
      sum_n += dz * normalized<kOfRows>(b.x, r, j);
    }
    dz_sums[lane] = static_cast<T>(sum);
    dzn_sums[lane] = static_cast<T>(sum_n);
  }
}

// --- Dropout -----------------------------------------------------------------------

// The four words of one counter.
inline void philox(const PhiloxKey& key, Word32 counter, Word32 (&x)[4]) {
  x[0] = counter, x[1] = key.counter_1, x[2] = key.counter_2, x[3] = key.counter_3;
  Word32 key_0 = key.key_0, key_1 = key.key_1;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product_0 = std::uint64_t{0xD2511F53} * x[0];
    const std::uint64_t product_1 = std::uint64_t{0xCD9E8D57} * x[2];
    x[0] = static_cast<Word32>(product_1 >> 32) ^ x[1] ^ key_0;
    x[1] = static_cast<Word32>(product_1);
    x[2] = static_cast<Word32>(product_0 >> 32) ^ x[3] ^ key_1;
    x[3] = static_cast<Word32>(product_0);
    key_0 += 0x9E3779B9;
    key_1 += 0xBB67AE85;
  }
}

inline void philox(const PhiloxKey& key, const Word32* counters, Word32* words) {
  for (Index i = 0; i < kPhiloxCounters; ++i) {
    Word32 x[4];
    philox(key, counters[i], x);
    for (Index k = 0; k < 4; ++k) words[k * kPhiloxCounters + i] = x[k];
  }
}

// The number of column j of row r.
template <class T>
Word32 dropout_number(PhiloxKey key, Index r, Index j) {
  constexpr Index kWords = static_cast<Index>(sizeof(T)) / 4;  // in an integer
  constexpr Index kLine = kPanel<T> * kWords * 2;              // columns of a line
  const Index in_block = j % kDropoutColumns;
  const Index line = in_block / kLine, part = in_block % kLine / kPanel<T>;
  const Index counter =
      j / kDropoutColumns * kPhiloxCounters + in_block % kPanel<T> * kWords + part / 2;
  key.counter_1 += static_cast<Word32>(r);
  Word32 x[4];
  philox(key, static_cast<Word32>(counter), x);
  return x[line] >> (16 * (part % 2)) & 0xffff;
}

template <class T>
void dropout(const Dropout<T>& d) {
  for (Index r = 0; r < d.n_rows; ++r) {
    for (Index j = 0; j < d.n_panels * kPanel<T>; ++j) {
      const auto number = static_cast<T>(dropout_number<T>(d.key, r, j));
      const T x = d.x[r * d.x_stride + j];
      d.y[r * d.y_stride + j] = number < d.threshold ? T{0} : x * d.scale;
    }
  }
}

template <class T>
void sparse_dropout(const Dropout<T>& d, Entry<T>* entries, const Index* first,
                    const Index* last) {
  for (Index r = 0; r < d.n_rows; ++r) {
    for (Index e = first[r]; e < last[r]; ++e) {
      const auto number = static_cast<T>(dropout_number<T>(d.key, r, entries[e].col));
      T& value = entries[e].value;
      value = number < d.threshold ? T{0} : value * d.scale;
    }
  }
}

template <class T>
void transpose(const T* panel_rows, Index n_rows, T* mirror_block) {
  for (Index i = 0; i < n_rows; ++i) {
    for (Index j = 0; j < kPanel<T>; ++j) {
      mirror_block[j * kPanel<T> + i] = panel_rows[i * kPanel<T> + j];
    }
  }
}

// --- Losses ------------------------------------------------------------------------

// p of one row: the output activation that belongs to the loss.
template <class T>
std::vector<Wide> outputs(Loss kind, Index n, const T* z) {
  std::vector<Wide> p(z, z + n);
  const Wide largest = *std::max_element(p.begin(), p.end());
  Wide sum = 0;
  for (Wide& p_j : p) {
    switch (kind) {
      case Loss::kSoftmaxCrossEntropy:
        p_j = std::exp(p_j - largest);
        break;
      case Loss::kBinaryCrossEntropy:
        p_j = logistic(p_j);
        break;
      case Loss::kSquaredError:
        break;
      case Loss::kPoisson:
        p_j = std::exp(p_j);
        break;
    }
    sum += p_j;
  }
  if (kind == Loss::kSoftmaxCrossEntropy) {
    for (Wide& p_j : p) p_j /= sum;
  }
  return p;
}

// Loss of one output for the target y. Probabilities are what T can hold of them.
template <class T>
Wide value(Loss kind, T z, Wide p, Wide y) {
  const Wide eps = std::numeric_limits<T>::epsilon();
  const Wide clipped = std::clamp(Wide{static_cast<T>(p)}, eps, 1 - eps);
  switch (kind) {
    case Loss::kSoftmaxCrossEntropy:
      return y == 0 ? 0 : -std::log(clipped);
    case Loss::kBinaryCrossEntropy:
      return -(y * std::log(clipped) + (1 - y) * std::log(1 - clipped));
    case Loss::kSquaredError:
      break;
    case Loss::kPoisson:
      return (y > 0 ? y * (std::log(y) - z) : 0) - y + p;
  }
  return (y - p) * (y - p) / 2;
}

template <class T>
void loss(Loss kind, const LossBlock<T>& b) {
  for (Index r = 0; r < b.n_rows; ++r) {
    const T* z = b.z + r * b.z_stride;
    const std::vector<Wide> p = outputs(kind, b.n_outputs, z);
    const Wide weight = b.row_weights[r];
    Wide sum = 0;
    for (Index j = 0; j < b.n_outputs; ++j) {
      const Wide y = kind == Loss::kSoftmaxCrossEntropy ? (b.labels[r] == j ? 1 : 0)
                                                        : b.y[r * b.y_stride + j];
      const Wide p_j = p[static_cast<std::size_t>(j)];
      sum += value(kind, z[j], p_j, y);
      b.dz[r * b.dz_stride + j] = static_cast<T>(weight * (p_j - y));
    }
    for (Index j = b.n_outputs; j % kPanel<T> != 0; ++j) b.dz[r * b.dz_stride + j] = 0;
    b.loss[r] = static_cast<T>(weight * sum);
  }
}

template <class T>
void output(Loss kind, const OutputBlock<T>& b) {
  for (Index r = 0; r < b.n_rows; ++r) {
    const std::vector<Wide> p = outputs(kind, b.n_outputs, b.z + r * b.z_stride);
    for (Index j = 0; j < b.n_outputs; ++j) {
      b.p[r * b.p_stride + j] = static_cast<T>(p[static_cast<std::size_t>(j)]);
    }
  }
}

// --- Elementary functions ----------------------------------------------------------

template <class T, Wide (*kFunction)(Wide)>
void elementwise(Index n, const T* x, T* y) {
  for (Index i = 0; i < n; ++i) y[i] = static_cast<T>(kFunction(x[i]));
}

inline Wide exp(Wide x) { return std::exp(x); }
inline Wide log(Wide x) { return std::log(x); }
inline Wide tanh(Wide x) { return std::tanh(x); }

// All of them as a table like that of an instruction set.
template <class T>
Kernels<T> kernels() {
  return {forward<T>,
          sparse_forward<T>,
          backward<T>,
          gradient<T, GradientTile<T>>,
          gradient<T, SparseGradientTile<T>>,
          update<T, GradientTile<T>>,
          update<T, SparseGradientTile<T>>,
          activate<T>,
          chain<T>,
          update<T, SummedTile<T>>,
          column_squares<T>,
          scale_columns<T>,
          layer_norm<T>,
          layer_norm_backward<T>,
          norm<false, T>,
          batch_norm_backward<T>,
          column_statistics<T>,
          norm_sums<true, T>,
          norm_sums<false, T>,
          philox,
          dropout<T>,
          sparse_dropout<T>,
          transpose<T>,
          loss<T>,
          output<T>,
          elementwise<T, exp>,
          elementwise<T, log>,
          elementwise<T, tanh>,
          elementwise<T, logistic>};
}

}  // namespace fastbp::reference
