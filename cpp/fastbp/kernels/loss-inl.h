// Losses of all other kinds, row by row (lectures 000, 002 and 004: squared error,
// cross-entropy, its symmetric form, KL divergence). kernels.h has the formulas.
#pragma once

namespace fastbp {
namespace {

// --- Sums over outputs --------------------------------------------------------------

// The derivative of a loss with respect to z, and the loss, of each lane.
template <class T>
struct PointLoss {
  Vec<T> dz, loss;
};

// point(z, y, column) gives the PointLoss of outputs column, column + 1 ...
template <bool kIsWeighed, class T, class Point>
FASTBP_NOINLINE void sum_of_points_of(const LossBlock<T>& b, Point point) {
  using V = Vec<T>;
  for (Index r = 0; r < b.n_rows; ++r) {
    const T weight = b.row_weights[r];
    Lanes<T> losses(0);
    for_row_vectors<T>(b.n_outputs, [&](int c, Index column, auto inside) {
      const V y = V::load(b.y + r * b.y_stride + column);
      PointLoss<T> of = point(V::load(b.z + r * b.z_stride + column), y, column);
      auto in = inside;
      if constexpr (kIsWeighed) {
        const V entry_weight = select(
            inside, V::load(b.entry_weights + r * b.entry_weights_stride + column),
            V(0));
        of = {of.dz * entry_weight, of.loss * entry_weight};
        in = less(V(0), entry_weight);
      }
      select(in, of.dz * V(weight), V(0)).store(b.dz + r * b.dz_stride + column);
      losses.at[c] = losses.at[c] + select(in, of.loss, V(0));
    });
    b.loss[r] = losses.sum() * weight;
  }
}

template <class T, class Point>
void sum_of_points(const LossBlock<T>& b, Point point) {
  if (b.entry_weights != nullptr) return sum_of_points_of<true>(b, point);
  sum_of_points_of<false>(b, point);
}

// The derivative of a loss with respect to p, and the loss.
template <class T>
struct OutputLoss {
  Vec<T> dp, loss;
};

// For any output that is no softmax: of_output(p, y, column) gives the OutputLoss.
template <class T, class OfOutput>
void through_output(Output output, const LossBlock<T>& b, OfOutput of_output) {
  using V = Vec<T>;
  sum_of_points(b, [=](V z, V y, Index column) -> PointLoss<T> {
    const V p = output_at(output, z);
    const OutputLoss<T> at = of_output(p, y, column);
    return {at.dp * output_derivative(output, p), at.loss};
  });
}

// --- Losses of classes ---------------------------------------------------------------

// The loss of one class, and p times its derivative with respect to p, which is finite
// where p is 0.
template <class T>
struct ClassLoss {
  Vec<T> p_dp, loss;
};

template <class T>
Vec<T> clipped_log(Vec<T> p) {
  return log(clip_probability(p));
}

template <class T>
struct CrossEntropy {
  using V = Vec<T>;
  ClassLoss<T> operator()(V p, V y) const {
    return {V(0) - y, V(0) - y * clipped_log(p)};
  }
};

template <class T>
struct KlDivergence {
  using V = Vec<T>;
  ClassLoss<T> operator()(V p, V y) const {
    return {V(0) - y, select(less(V(0), y), y * (log(y) - clipped_log(p)),
                             V(0) * p)};  // NaN is not hidden
  }
};

// T.-Y. Lin et al., 2017, arXiv:1708.02002.
template <class T>
struct Focal {
  using V = Vec<T>;
  V gamma;
  ClassLoss<T> operator()(V p, V y) const {
    const V log_p = clipped_log(p);
    const V q = clip_probability(V(1) - p);
    const V weighted = y * exp(gamma * log(q));
    return {weighted * (gamma * p * log_p / q - V(1)), V(0) - weighted * log_p};
  }
};

// Y. Wang et al., 2019, arXiv:1908.06112; lecture 000, "Training error".
template <class T>
struct SymmetricCrossEntropy {
  using V = Vec<T>;
  V alpha, beta, log_zero;
  ClassLoss<T> operator()(V p, V y) const {
    const V reverse = V(0) - beta * (p * max(log(y), log_zero));
    return {reverse - alpha * y, reverse - alpha * (y * clipped_log(p))};
  }
};

// Of a softmax. There is dp_j / dz_i = p_j (delta_ij - p_i): with h = p dL/dp, the
// derivative is dL/dz_i = h_i - p_i sum(h).
template <class T, class OfClass>
FASTBP_NOINLINE void softmax_classes(const LossBlock<T>& b, OfClass of_class) {
  using V = Vec<T>;
  for (Index r = 0; r < b.n_rows; ++r) {
    T* dz = b.dz + r * b.dz_stride;  // holds p until the end
    const T* y = b.y + r * b.y_stride;
    const V sum(shifted_exp(b.z + r * b.z_stride, b.n_outputs, dz));
    Lanes<T> losses(0), totals(0);
    for_row_vectors<T>(b.n_outputs, [&](int c, Index at, auto inside) {
      const V p = V::load(dz + at) / sum;
      p.store(dz + at);
      const ClassLoss<T> of = of_class(p, V::load(y + at));
      losses.at[c] = losses.at[c] + select(inside, of.loss, V(0));
      totals.at[c] = totals.at[c] + select(inside, of.p_dp, V(0));
    });
    const T weight = b.row_weights[r];
    b.loss[r] = losses.sum() * weight;
    const V total(totals.sum());
    for_row_vectors<T>(b.n_outputs, [&](int, Index at, auto inside) {
      const V p = V::load(dz + at);
      const ClassLoss<T> of = of_class(p, V::load(y + at));
      select(inside, (of.p_dp - p * total) * V(weight), V(0)).store(dz + at);
    });
  }
}

// Of a softmax, or of logistic outputs, each a softmax of two classes.
template <class T, class OfClass>
void classes(Output output, const LossBlock<T>& b, OfClass of_class) {
  using V = Vec<T>;
  if (output == Output::kSoftmax) return softmax_classes(b, of_class);
  sum_of_points(b, [=](V z, V y, Index) -> PointLoss<T> {
    const V p = logistic(z), q = logistic(V(0) - z);
    const ClassLoss<T> is = of_class(p, y), is_not = of_class(q, V(1) - y);
    return {q * is.p_dp - p * is_not.p_dp, is.loss + is_not.loss};
  });
}

// --- All losses ----------------------------------------------------------------------

template <class T>
void squared_error(Output output, const LossBlock<T>& b) {
  using V = Vec<T>;
  if (output == Output::kIdentity) {
    return sum_of_points(b, [](V z, V y, Index) -> PointLoss<T> {
      const V d = y - z;
      return {z - y, V(T(0.5)) * (d * d)};
    });
  }
  if (output == Output::kSoftmax) {
    return softmax_classes(b, [](V p, V y) -> ClassLoss<T> {
      const V d = p - y;
      return {p * d, V(T(0.5)) * (d * d)};
    });
  }
  through_output(output, b, [](V p, V y, Index) -> OutputLoss<T> {
    const V d = p - y;
    return {d, V(T(0.5)) * (d * d)};
  });
}

template <class T>
void linear(Output output, const LossBlock<T>& b) {
  using V = Vec<T>;
  if (output == Output::kSoftmax) {
    return softmax_classes(b, [](V p, V y) -> ClassLoss<T> { return {p * y, p * y}; });
  }
  through_output(output, b, [](V p, V y, Index) -> OutputLoss<T> {
    return {y, p * y};
  });
}

// For losses with a logarithm of p, and any output that is no softmax: of_output(p, y,
// held, slope) gives the PointLoss, with held = p, but no less than the smallest normal
// number, and slope = dp / dz / held. It is at most 1 for a softplus or logistic p,
// where 1 / p may overflow, and 1 where such a p is too small to divide by.
template <class T, class OfOutput>
void through_positive_output(Output output, const LossBlock<T>& b, OfOutput of_output) {
  using V = Vec<T>;
  const bool has_limit = output == Output::kSoftplus || output == Output::kLogistic;
  sum_of_points(b, [=](V z, V y, Index) -> PointLoss<T> {
    const V smallest(Format<T>::kSmallestNormal);
    const V p = output_at(output, z);
    const V held = max(p, smallest);
    V slope = output_derivative(output, p) / held;
    if (has_limit) slope = select(less(p, smallest), V(1), slope);
    return of_output(p, y, held, slope);
  });
}

template <class T>
void poisson(Output output, const LossBlock<T>& b) {
  using V = Vec<T>;
  if (output == Output::kExp) {
    return sum_of_points(b, [](V z, V y, Index) -> PointLoss<T> {
      const V p = exp(z);
      const V y_log_ratio = select(less(V(0), y), y * (log(y) - z), V(0));
      return {p - y, y_log_ratio - y + p};
    });
  }
  through_positive_output(output, b, [](V p, V y, V held, V slope) -> PointLoss<T> {
    const V y_log_ratio = select(less(V(0), y), y * (log(y) - log(held)), V(0));
    return {(held - y) * slope, y_log_ratio - y + p};
  });
}

template <class T>
void gamma(Output output, const LossBlock<T>& b) {
  using V = Vec<T>;
  if (output == Output::kExp) {
    return sum_of_points(b, [](V z, V y, Index) -> PointLoss<T> {
      const V ratio = y * exp(V(0) - z);
      return {V(1) - ratio, ratio - V(1) - (log(y) - z)};
    });
  }
  through_positive_output(output, b, [](V, V y, V held, V slope) -> PointLoss<T> {
    const V ratio = y / held;
    return {(V(1) - ratio) * slope, ratio - V(1) - (log(y) - log(held))};
  });
}

// down where d < 0, up where d > 0, at 0 and NaN: d.
template <class T>
Vec<T> by_sign(Vec<T> d, Vec<T> down, Vec<T> up) {
  using V = Vec<T>;
  return select(less(d, V(0)), down, select(less(V(0), d), up, d));
}

template <class T>
void loss(const LossSpec& s, const LossBlock<T>& b) {
  using V = Vec<T>;
  switch (s.kind) {
    case Loss::kSoftmaxCrossEntropy:
      return softmax_cross_entropy(b);
    case Loss::kBinaryCrossEntropy:
      return sum_of_points(b, [](V z, V y, Index) -> PointLoss<T> {
        const V p = logistic(z);
        const V q = clip_probability(p);
        return {p - y, V(0) - (y * log(q) + (V(1) - y) * log(V(1) - q))};
      });
    case Loss::kSquaredError:
      return squared_error(s.output, b);
    case Loss::kPoisson:
      return poisson(s.output, b);
    case Loss::kGamma:
      return gamma(s.output, b);
    case Loss::kLinear:
      return linear(s.output, b);
    case Loss::kAbsoluteError:
      return through_output(s.output, b, [](V p, V y, Index) -> OutputLoss<T> {
        return {by_sign(p - y, V(-1), V(1)), abs(p - y)};
      });
    case Loss::kHuber: {
      const V delta(static_cast<T>(s.delta));
      return through_output(s.output, b, [=](V p, V y, Index) -> OutputLoss<T> {
        const V d = p - y, a = abs(d), m = min(a, delta);
        return {max(min(d, delta), V(0) - delta), m * (a - V(T(0.5)) * m)};
      });
    }
    case Loss::kLogCosh:
      return through_output(s.output, b, [](V p, V y, Index) -> OutputLoss<T> {
        return {tanh(p - y), log_cosh(p - y)};
      });
    case Loss::kQuantile:
      return through_output(s.output, b, [&b](V p, V y, Index column) -> OutputLoss<T> {
        const V level = V::load(b.levels + column), rest = V(1) - level;
        const V d = p - y;
        return {by_sign(d, V(0) - level, rest), max(rest * d, V(0) - level * d)};
      });
    case Loss::kCrossEntropy:
      return classes(s.output, b, CrossEntropy<T>{});
    case Loss::kKlDivergence:
      return classes(s.output, b, KlDivergence<T>{});
    case Loss::kFocal:
      return classes(s.output, b, Focal<T>{static_cast<T>(s.gamma)});
    case Loss::kSymmetricCrossEntropy:
      return classes(
          s.output, b,
          SymmetricCrossEntropy<T>{static_cast<T>(s.alpha), static_cast<T>(s.beta),
                                   static_cast<T>(s.log_zero)});
  }
}

}  // namespace
}  // namespace fastbp
