// Activations (lecture 000, activation functions): value(z), and chain(y, d), which
// multiplies d by the derivative, expressed by the output y or, if the activation has
// both(z), given in its place.
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

// z, or alpha (exp(z) - 1) for negative z, with alpha = 1 (Clevert, Unterthiner and
// Hochreiter, 2015, arXiv:1511.07289).
template <class T>
struct Elu {
  using V = Vec<T>;
  V value(V z) const { return select(less(z, V(0)), expm1_of_negative(z), z); }
  V chain(V y, V d) const { return d * (min(y, V(0)) + V(1)); }
};

// lambda times elu of another alpha (Klambauer, Unterthiner, Mayr and Hochreiter, 2017,
// arXiv:1706.02515).
template <class T>
struct Selu {
  using V = Vec<T>;
  static constexpr T kLambda = T(1.0507009873554804934193349852946);
  static constexpr T kLambdaAlpha = T(1.7580993408473768599402175208123);
  V value(V z) const {
    return select(less(z, V(0)), V(kLambdaAlpha) * expm1_of_negative(z),
                  V(kLambda) * z);
  }
  V chain(V y, V d) const {
    return d * select(less(V(0), y), V(kLambda), y + V(kLambdaAlpha));
  }
};

// z, held to [-1, 1].
template <class T>
struct HardTanh {
  using V = Vec<T>;
  V value(V z) const { return min(max(z, V(-1)), V(1)); }
  V chain(V y, V d) const { return select(less(abs(y), V(1)), d, V(0)); }
};

// high for z >= 0, else low: the linear threshold unit (lecture 000, Perceptron).
template <class T>
struct Threshold {
  using V = Vec<T>;
  V low, high;
  V value(V z) const {  // of NaN: NaN
    return select(less(z, V(0)), low, select(less(V(0), z), high, high + z));
  }
  V chain(V, V) const { return V(0); }
};

// One of smooth-inl.h. both(z) is value and derivative.
template <class T, Smooth<T> (*kFunction)(Vec<T>)>
struct Stored {
  using V = Vec<T>;
  V value(V z) const { return kFunction(z).value; }
  Smooth<T> both(V z) const { return kFunction(z); }
  V chain(V derivative, V d) const { return d * derivative; }
};

// Calls use(activation object): the choice is made once per tile, not per element.
template <class T, class Use>
void with_activation(Activation kind, T slope, const Use& use) {
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
    case Activation::kElu:
      return use(Elu<T>{});
    case Activation::kSelu:
      return use(Selu<T>{});
    case Activation::kHardTanh:
      return use(HardTanh<T>{});
    case Activation::kGelu:
      return use(Stored<T, gelu<T>>{});
    case Activation::kSilu:
      return use(Stored<T, silu<T>>{});
    case Activation::kMish:
      return use(Stored<T, mish<T>>{});
    case Activation::kSoftplus:
      return use(Stored<T, softplus<T>>{});
    case Activation::kSign:
      return use(Threshold<T>{Vec<T>(-1), Vec<T>(1)});
    case Activation::kStep:
      return use(Threshold<T>{Vec<T>(0), Vec<T>(1)});
  }
}

}  // namespace
}  // namespace fastbp
