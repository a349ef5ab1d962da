// Output activations (lectures 000, 001 and 002: softmax and sigmoid output units), for
// prediction and on the way into a loss.
#pragma once

namespace fastbp {
namespace {

// out = exp(z - max z) over n columns, zero in the padding; returns the sum. `out`
// holds whole panels and may be z.
template <class T>
T shifted_exp(const T* z, Index n, T* out) {
  using V = Vec<T>;
  const V lowest(from_word<T>(~kMantissaMask<T>));  // minus infinity
  Lanes<T> most(z[0]), sum(0);
  for_row_vectors<T>(n, [&](int c, Index at, auto inside) {
    most.at[c] = max(most.at[c], select(inside, V::load(z + at), lowest));
  });
  const V largest(most.largest());
  for_row_vectors<T>(n, [&](int c, Index at, auto inside) {
    const V e = select(inside, exp(V::load(z + at) - largest), V(0));
    e.store(out + at);
    sum.at[c] = sum.at[c] + e;
  });
  return sum.sum();
}

// With so few outputs, kPanel rows go through the softmax together, one in each lane:
// no sum or maximum runs across lanes, and exp has no idle ones.
constexpr Index kNarrow = 16;
template <class T>
constexpr Index kBlock = kPanel<T>* kPanel<T>;

// p(i, r) = softmax(z row r) at output i, at columns[i * kPanel + r], for n_rows <=
// kPanel rows; further columns repeat the last.
template <class T>
void softmax_columns(const T* z, Index stride, Index n_rows, Index n_outputs,
                     T* columns) {
  using V = Vec<T>;
  alignas(kCacheLine) T rows[kBlock<T>];
  for (Index panel = 0; panel < n_outputs; panel += kPanel<T>) {
    for (Index r = 0; r < kPanel<T>; ++r) {
      const T* row = z + (r < n_rows ? r : n_rows - 1) * stride + panel;
      for (Index i = 0; i < kPanel<T>; i += V::kLanes)
        V::load(row + i).store(rows + r * kPanel<T> + i);
    }
    transpose_whole_block(rows, columns + panel * kPanel<T>);
  }
  for (Index lane = 0; lane < kPanel<T>; lane += V::kLanes) {
    T* column = columns + lane;
    V largest = V::load(column), sum(0);
    for (Index i = 1; i < n_outputs; ++i)
      largest = max(largest, V::load(column + i * kPanel<T>));
    for (Index i = 0; i < n_outputs; ++i) {
      const V e = exp(V::load(column + i * kPanel<T>) - largest);
      e.store(column + i * kPanel<T>);
      sum = sum + e;
    }
    for (Index i = 0; i < n_outputs; ++i)
      (V::load(column + i * kPanel<T>) / sum).store(column + i * kPanel<T>);
  }
}

// Calls use(first row, n_rows, columns) for the softmax of each kPanel rows.
template <class T, class Use>
void for_softmax_columns(const T* z, Index stride, Index n_rows, Index n_outputs,
                         Use use) {
  alignas(kCacheLine) T columns[kNarrow * kPanel<T>];
  for (Index first = 0; first < n_rows; first += kPanel<T>) {
    const Index n = n_rows - first < kPanel<T> ? n_rows - first : kPanel<T>;
    softmax_columns(z + first * stride, stride, n, n_outputs, columns);
    use(first, n, columns);
  }
}

template <class T>
void narrow_softmax(const OutputBlock<T>& b) {
  for_softmax_columns(b.z, b.z_stride, b.n_rows, b.n_outputs,
                      [&](Index first, Index n, const T* columns) {
                        for (Index r = 0; r < n; ++r) {
                          T* p = b.p + (first + r) * b.p_stride;
                          for (Index i = 0; i < b.n_outputs; ++i)
                            p[i] = columns[i * kPanel<T> + r];
                        }
                      });
}

// p at z, for outputs that do not depend on each other.
template <class T>
Vec<T> output_at(Output kind, Vec<T> z) {
  switch (kind) {
    case Output::kLogistic:
      return logistic(z);
    case Output::kTanh:
      return tanh(z);
    case Output::kSoftplus:
      return softplus(z).value;
    case Output::kExp:
      return exp(z);
    case Output::kIdentity:
    case Output::kSoftmax:
      break;
  }
  return z;
}

// dp / dz where the output is p.
template <class T>
Vec<T> output_derivative(Output kind, Vec<T> p) {
  using V = Vec<T>;
  switch (kind) {
    case Output::kLogistic:
      return p * (V(1) - p);
    case Output::kTanh:
      return V(1) - p * p;
    case Output::kSoftplus:
      return V(0) - expm1_of_negative(V(0) - p);
    case Output::kExp:
      return p;
    case Output::kIdentity:
    case Output::kSoftmax:
      break;
  }
  return V(1);
}

template <class T>
void output(Output kind, const OutputBlock<T>& b) {
  using V = Vec<T>;
  if (kind == Output::kSoftmax && b.n_outputs <= kNarrow) return narrow_softmax(b);
  for (Index r = 0; r < b.n_rows; ++r) {
    T* z = b.z + r * b.z_stride;
    T* p = b.p + r * b.p_stride;
    if (kind == Output::kSoftmax) {
      const V sum(shifted_exp(z, b.n_outputs, z));
      elementwise(b.n_outputs, z, p, [sum](V e) { return e / sum; });
    } else {
      elementwise(b.n_outputs, z, p, [kind](V x) { return output_at(kind, x); });
    }
  }
}

}  // namespace
}  // namespace fastbp
