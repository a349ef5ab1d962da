// Activations (lecture 000, activation functions): value(z), and chain(y, d), which
// multiplies d by the derivative, expressed by the output y.
#pragma once

namespace fastbp {
namespace {

template <class T>
struct Identity {
  using V = Vec<T>;
  V value(V z) const { return z; }
  V chain(V, V d) const { return d; }
};

template <class T>
struct Logistic {
  using V = Vec<T>;
  V value(V z) const { return logistic(z); }
  V chain(V y, V d) const { return d * (y * (V(1) - y)); }
};

template <class T>
struct Tanh {
  using V = Vec<T>;
  V value(V z) const { return tanh(z); }
  V chain(V y, V d) const { return d * (V(1) - y * y); }
};

template <class T>
struct Relu {
  using V = Vec<T>;
  V value(V z) const { return max(z, V(0)); }
  V chain(V y, V d) const { return select(less(V(0), y), d, V(0)); }
};

// max(z, slope z), for slopes in [0, 1): the sign of y is that of z.
template <class T>
struct LeakyRelu {
  using V = Vec<T>;
  V slope;
  V value(V z) const { return select(less(z, V(0)), slope * z, z); }
  V chain(V y, V d) const { return select(less(V(0), y), d, slope * d); }
};

// Calls use(activation object): the choice is made once per tile, not per element.
template <class T, class Use>
void with_activation(Activation kind, T slope, Use use) {
  switch (kind) {
    case Activation::kIdentity:
      return use(Identity<T>{});
    case Activation::kLogistic:
      return use(Logistic<T>{});
    case Activation::kTanh:
      return use(Tanh<T>{});
    case Activation::kRelu:
      return use(Relu<T>{});
    case Activation::kLeakyRelu:
      return use(LeakyRelu<T>{Vec<T>(slope)});
  }
}

}  // namespace
}  // namespace fastbp
