// The update rules' settings and state: how many moments a rule keeps, and the numbers
// that its kernel needs for step t. (The arithmetic on the parameters is the kernel's,
// see Update.)
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "fastbp/base/buffer.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp {

inline constexpr double kNoLimit = std::numeric_limits<double>::infinity();

struct RuleSettings {
  Rule rule = Rule::kSgd;
  double momentum = 0.9;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;

  // Of the weights, not of the biases: the L1 penalty, the decay beside the gradient,
  // and the largest norm of the weights that enter a unit.
  double l1 = 0, weight_decay = 0, max_norm = kNoLimit;
  double clip_norm = kNoLimit;  // the largest norm of the whole gradient

  double ema = 0;  // decay of the moving average of the parameters; 0: there is none
  bool measures_norm = false;  // of the whole gradient, at each step
};

inline int n_moments(Rule rule) {
  switch (rule) {
    case Rule::kSgd:
      return 0;
    case Rule::kMomentum:
    case Rule::kNesterov:
    case Rule::kRmsprop:
    case Rule::kAdagrad:
    case Rule::kLion:
      return 1;
    case Rule::kAdam:
    case Rule::kNadam:
      return 2;
  }
  return 0;
}

// base^n by squaring: the same bits with every C library.
inline double power(double base, Index n) {
  double result = 1;
  for (; n > 0; n /= 2, base *= base) {
    if (n % 2 == 1) result *= base;
  }
  return result;
}

// The learning rate of each batch of an epoch: one number for all of them, or an array.
struct Rates {
  double all = 0;
  const double* of_batch = nullptr;

  Rates(double rate) : all(rate) {}
  explicit Rates(const double* rates) : of_batch(rates) {}

  double operator[](Index batch) const { return of_batch ? of_batch[batch] : all; }
};

// Nadam's beta_1 of step t grows from half of it (Dozat, 2016, section 3, with the
// numbers of PyTorch: 0.96^(0.004 t)).
inline double nadam_beta_1(double beta_1, Index t) {
  constexpr double kBase = 0.9998367253526753;  // 0.96^0.004
  return beta_1 * (1 - 0.5 * power(kBase, t));
}

// The product of the first t of them, or 0 where 1 minus it is 1: after some 60 steps.
inline double nadam_product(double beta_1, Index t) {
  double product = 1;
  for (Index i = 1; i <= t && product > 0; ++i) {
    product *= nadam_beta_1(beta_1, i);
    if (product < 1e-17) product = 0;
  }
  return product;
}

// The rate of the n-th step (from 1) of a moving average that begins with the first of
// what it is given: after n steps step i has the weight decay^(n - i), divided by the
// sum of all. (Adam's bias correction, Kingma and Ba, 2014, section 3, as a rate.)
inline double average_rate(double decay, Index n) {
  return (1 - decay) / (1 - power(decay, n));
}

// The kernel's numbers for step t (from 1), for a batch of the given total weight.
// Adam's rate carries both bias corrections; its epsilon is not corrected (Kingma and
// Ba, 2014, section 2, the more efficient order of computation). Nadam's is. The decay
// goes by the plain rate.
template <class T>
Update<T> update_for_step(const RuleSettings& s, Index t, double rate, double penalty,
                          double weight) {
  const double decay = rate * s.weight_decay;
  double gradient_rate = 0, epsilon = s.epsilon;
  if (s.rule == Rule::kAdam) {
    rate *= std::sqrt(1 - power(s.beta_2, t)) / (1 - power(s.beta_1, t));
  } else if (s.rule == Rule::kNadam) {
    const double root = std::sqrt(1 - power(s.beta_2, t));
    const double now = nadam_beta_1(s.beta_1, t), next = nadam_beta_1(s.beta_1, t + 1);
    const double product = nadam_product(s.beta_1, t);
    gradient_rate = rate * root * (1 - now) / (1 - product);
    rate *= root * next / (1 - product * next);
    epsilon *= root;
  }
  return {s.rule, static_cast<T>(1 / weight), static_cast<T>(penalty),
          static_cast<T>(rate), static_cast<T>(s.momentum), static_cast<T>(s.beta_1),
          static_cast<T>(s.beta_2),
          // Not 0, which would divide by the zeros of padding.
          static_cast<T>(std::max(epsilon, double{std::numeric_limits<T>::min()})),
          static_cast<T>(1 - s.beta_1), static_cast<T>(1 - s.beta_2),
          static_cast<T>(gradient_rate), static_cast<T>(s.l1), static_cast<T>(decay)};
}

// Everything that the steps change besides the parameters.
template <class T>
struct RuleState {
  Index t = 0;  // steps taken
  Buffer<T> moments[2];
  Buffer<T> average;        // of the parameters, if there is to be one
  Index average_start = 0;  // the last step that it does not contain
};

}  // namespace fastbp
