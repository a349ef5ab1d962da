// Sizes: the checked arithmetic by which a size is computed before memory is asked for.
#pragma once

#include <limits>
#include <stdexcept>
#include <string>

#include "fastbp/base/index.h"

namespace fastbp {

// Multiplies two sizes; a product beyond 64 bits is an error, never a wrapped number.
inline Index checked_mul(Index a, Index b) {
  if (a < 0 || b < 0 || (b != 0 && a > std::numeric_limits<Index>::max() / b)) {
    throw std::length_error("size overflow: " + std::to_string(a) + " x " +
                            std::to_string(b));
  }
  return a * b;
}

inline Index checked_add(Index a, Index b) {
  if (a < 0 || b < 0 || a > std::numeric_limits<Index>::max() - b) {
    throw std::length_error("size overflow: " + std::to_string(a) + " + " +
                            std::to_string(b));
  }
  return a + b;
}

constexpr Index ceil_div(Index a, Index b) { return a / b + (a % b != 0 ? 1 : 0); }
constexpr Index round_up(Index a, Index b) { return ceil_div(a, b) * b; }

}  // namespace fastbp
