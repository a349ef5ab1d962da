// The update rules' settings and state: how many moments a rule keeps, and the numbers
// that its kernel needs for step t. (The arithmetic on the parameters is the kernel's,
// see Update.)
#pragma once

#include <cmath>

#include "fastbp/base/buffer.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp {

struct RuleSettings {
  Rule rule = Rule::kSgd;
  double momentum = 0.9;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8;
};

inline int n_moments(Rule rule) {
  switch (rule) {
    case Rule::kSgd:
      return 0;
    case Rule::kMomentum:
    case Rule::kNesterov:
      return 1;
    case Rule::kAdam:
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

// The learning rate of each step of an epoch: one number for all of them, or an array.
struct Rates {
  double all = 0;
  const double* of_step = nullptr;

  Rates(double rate) : all(rate) {}
  explicit Rates(const double* rates) : of_step(rates) {}

  double operator[](Index step) const { return of_step ? of_step[step] : all; }
};

// The kernel's numbers for step t (from 1), for a batch of the given total weight.
// Adam's rate carries both bias corrections; its epsilon is not corrected (Kingma and
// Ba, 2014, section 2, the more efficient order of computation).
template <class T>
Update<T> update_for_step(const RuleSettings& s, Index t, double rate, double penalty,
                          double weight) {
  if (s.rule == Rule::kAdam) {
    rate *= std::sqrt(1 - power(s.beta_2, t)) / (1 - power(s.beta_1, t));
  }
  return {s.rule,
          static_cast<T>(1 / weight),
          static_cast<T>(penalty),
          static_cast<T>(rate),
          static_cast<T>(s.momentum),
          static_cast<T>(s.beta_1),
          static_cast<T>(s.beta_2),
          static_cast<T>(s.epsilon),
          static_cast<T>(1 - s.beta_1),
          static_cast<T>(1 - s.beta_2)};
}

// Everything that the steps change besides the parameters.
template <class T>
struct RuleState {
  Index t = 0;  // steps taken
  Buffer<T> moments[2];
};

}  // namespace fastbp
