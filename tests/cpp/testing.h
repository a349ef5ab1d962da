// What the tests share: sizes, numbers that are the same on every machine, arrays with
// guard zones, and comparisons that say where two arrays differ.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "fastbp/base/sizes.h"
#include "fastbp/nn/network.h"

namespace fastbp::testing {

// Sanitized and emulated builds are slower: they take every kThinning-th of many cases.
#if FASTBP_TESTS_THIN
inline constexpr Index kThinning = 16;
#else
inline constexpr Index kThinning = 1;
#endif

// --- Sizes -------------------------------------------------------------------------

// Around every multiple of a vector, a panel and a tile.
inline constexpr std::array<Index, 16> kSizes = {1,  2,  3,  15, 16,  17,  31,  32,
                                                 33, 63, 64, 65, 100, 127, 128, 129};

// All of them, or every second: still on, under and over multiples.
inline std::vector<Index> some_sizes() {
  constexpr std::size_t kStep = kThinning == 1 ? 1 : 2;
  std::vector<Index> taken;
  for (std::size_t i = 0; i < kSizes.size(); i += kStep) taken.push_back(kSizes[i]);
  return taken;
}

// A product of matrices: (rows, inner) x (inner, cols).
struct Shape {
  Index rows, inner, cols;
};

// Every pair of sizes in every pair of dimensions (a Latin square of the 16 sizes: 256
// shapes instead of 4096), then sums around one and two pieces of kSumChunk.
inline std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t j = 0; j < 16; ++j) {
      all.push_back({kSizes[i], kSizes[(3 * i + 5 * j) % 16], kSizes[j]});
    }
  }
  std::vector<Shape> taken;
  // 7 has no common divisor with 16: the thinned shapes have all sizes too.
  constexpr std::size_t kStep = kThinning == 1 ? 1 : 7;
  for (std::size_t i = 0; i < all.size(); i += kStep) taken.push_back(all[i]);
  for (const Index around : {kSumChunk, 2 * kSumChunk}) {
    for (const Index beside : {-1, 0, 1}) taken.push_back({40, around + beside, 17});
    taken.push_back({kMaxTileHeight, around + 1, 32});  // a whole tile of a gradient
  }
  return taken;
}

// --- Numbers -----------------------------------------------------------------------

// Small integers, whose sums of products are exact in any order: results must agree to
// the last bit with any correct computation. Or random mantissas in (-1, 1), where the
// order of every rounding shows.
enum class Digits { kFew, kAll };

// A linear congruential generator (Knuth's MMIX).
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed, Digits digits = Digits::kFew)
      : state_(seed), digits_(digits) {}

  // From low to high, both included.
  Index integer(Index low, Index high) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return low + static_cast<Index>((state_ >> 33) %
                                    static_cast<std::uint64_t>(high - low + 1));
  }

  template <class T>
  T next() {
    if (digits_ == Digits::kFew) return static_cast<T>(integer(-8, 8));
    constexpr Index kHalf = Index{1} << 26;
    const Index high = integer(-kHalf, kHalf - 1);
    const Index low = integer(0, kHalf - 1);
    return static_cast<T>(static_cast<double>(high * kHalf + low) * 0x1p-52);
  }

 private:
  std::uint64_t state_;
  Digits digits_;
};

// --- Arrays ------------------------------------------------------------------------

template <class T>
using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

// A quiet NaN that no arithmetic produces.
template <class T>
T guard() {
  return std::bit_cast<T>(
      static_cast<Word<T>>(sizeof(T) == 4 ? 0x7fc0badeu : 0x7ff8000000000badu));
}

// A matrix amid guards: before its first row, after its last, and in each row between
// `cols` and the stride. A kernel that writes there is found by comparison with the
// reference, and one that reads there computes NaN. Elements start as guards too, so
// that a forgotten one is found.
template <class T>
class Guarded {
 public:
  Guarded(Index rows, Index cols, Index stride)
      : rows_(rows),
        cols_(cols),
        stride_(stride),
        values_(static_cast<std::size_t>(2 * kMargin + rows * stride), guard<T>()) {}

  // Activations: guards in a whole panel after each row.
  Guarded(Index rows, Index cols)
      : Guarded(rows, cols, round_up(cols, kPanel<T>) + kPanel<T>) {}

  T* data() { return values_.data() + kMargin; }
  const T* data() const { return values_.data() + kMargin; }
  T& operator()(Index i, Index j) { return data()[i * stride_ + j]; }
  T operator()(Index i, Index j) const { return data()[i * stride_ + j]; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index stride() const { return stride_; }

  const std::vector<T>& with_guards() const { return values_; }
  std::string place(std::size_t i) const {
    const Index at = static_cast<Index>(i) - kMargin;
    const Index row = at >= 0 ? at / stride_ : -1;
    std::ostringstream text;
    text << "(" << row << ", " << at - row * stride_ << ") of (" << rows_ << ", "
         << cols_ << ")";
    return text.str();
  }

 private:
  static constexpr Index kMargin = 4 * kPanel<T>;
  Index rows_, cols_, stride_;
  std::vector<T> values_;
};

// --- Comparisons -------------------------------------------------------------------

template <class T>
bool same_bits(T a, T b) {
  return std::bit_cast<Word<T>>(a) == std::bit_cast<Word<T>>(b);
}

// "" if the arrays agree, guards included; else the first place where they do not.
// allowed(place) is the largest difference that is tolerated there.
template <class T, class Allowed>
std::string difference(const Guarded<T>& got, const Guarded<T>& expected,
                       const Allowed& allowed) {
  const auto& a = got.with_guards();
  const auto& b = expected.with_guards();
  if (a.size() != b.size()) return "different sizes";
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool close = std::abs(a[i] - b[i]) <= allowed(b[i]);
    if (a[i] == b[i] || same_bits(a[i], b[i]) || close) continue;
    std::ostringstream text;
    text.precision(17);
    text << "at " << got.place(i) << ": " << a[i] << ", expected " << b[i];
    return text.str();
  }
  return "";
}

// Equal numbers; zeros may differ in sign.
template <class T>
std::string difference(const Guarded<T>& got, const Guarded<T>& expected) {
  return difference(got, expected, [](T) { return T{-1}; });
}

// Equal bits.
template <class T>
std::string difference_in_bits(const Guarded<T>& got, const Guarded<T>& expected) {
  const auto& a = got.with_guards();
  const auto& b = expected.with_guards();
  if (a.size() != b.size()) return "different sizes";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (same_bits(a[i], b[i])) continue;
    std::ostringstream text;
    text << std::hexfloat << "at " << got.place(i) << ": " << a[i] << ", expected "
         << b[i];
    return text.str();
  }
  return "";
}

// --- Rules -------------------------------------------------------------------------

inline constexpr std::array kRules = {Rule::kSgd,     Rule::kMomentum, Rule::kNesterov,
                                      Rule::kRmsprop, Rule::kAdagrad,  Rule::kLion,
                                      Rule::kAdam,    Rule::kNadam};

// --- Networks ----------------------------------------------------------------------

// Dense layers: the inputs and the units of each layer, an activation for each hidden
// one, and the slope of leaky relu.
template <class T>
Network<T> dense_network(const KernelTable& table, const std::vector<Index>& n_units,
                         std::vector<Activation> activations, double negative_slope,
                         Loss loss, const Blas<T>& blas = {}) {
  activations.push_back(Activation::kIdentity);
  std::vector<LayerSpec> layers;
  for (std::size_t i = 1; i < n_units.size(); ++i) {
    layers.push_back(
        {LayerSpec::Kind::kDense, n_units[i], activations[i - 1], negative_slope});
  }
  return Network<T>(table, n_units[0], layers, loss, blas);
}

// --- Instruction sets --------------------------------------------------------------

// Those of available_isas() that have fused multiply-add and hence give the same bits.
inline std::vector<std::string> fused_isas() {
  auto isas = available_isas();
  std::erase(isas, "baseline");
  return isas;
}

template <class T>
const Kernels<T>& kernels_of(const std::string& isa) {
  return kernels<T>(kernel_table(isa));
}

}  // namespace fastbp::testing
