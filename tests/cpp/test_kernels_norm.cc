// Normalization and dropout against the reference, and the same bits on all paths.
#include <cmath>
#include <optional>

#include "problems.h"

using namespace fastbp;
using namespace fastbp::testing;

namespace {

// Sums of up to some hundred numbers of the order of 1, through a square root.
template <class T>
T some_roundings(T value) {
  return 64 * std::numeric_limits<T>::epsilon() * (1 + std::abs(value));
}

constexpr Index kRows[] = {1, 3, 33};

// x, gain and bias; for backward dz and, of columns, sums and weights.
template <class T>
struct NormArrays {
  Index n_rows, n_cols;
  Guarded<T> x, gain, bias, dz, sums, weights;

  NormArrays(Index rows, Index cols, Numbers numbers)
      : n_rows(rows),
        n_cols(cols),
        x(padded_matrix<T>(rows, cols, [&] { return numbers.next<T>() / 8; })),
        gain(padded_matrix<T>(1, cols, [&] { return numbers.next<T>() / 8; })),
        bias(padded_matrix<T>(1, cols, [&] { return numbers.next<T>() / 8; })),
        dz(padded_matrix<T>(rows, cols, [&] { return numbers.next<T>() / 8; })),
        sums(padded_matrix<T>(2, cols, [&] { return numbers.next<T>() / 8; })),
        weights(matrix<T>(1, rows, [&] { return T(numbers.integer(1, 4)) / 2; })) {}

  T total_weight() const {
    T total = 0;
    for (Index r = 0; r < n_rows; ++r) total += weights(0, r);
    return total;
  }
  Normalized<T> normalized(Guarded<T>& statistics) const {
    return {
        n_rows, n_cols, x.data(), x.stride(), statistics.data(), statistics.stride()};
  }
  NormForward<T> forward(Guarded<T>& statistics, Activation activation, Guarded<T>& y,
                         Guarded<T>& derivative) const {
    NormForward<T> f{normalized(statistics),
                     gain.data(),
                     bias.data(),
                     activation,
                     T(0.25),
                     y.data(),
                     y.stride()};
    f.derivative = derivative.data();
    f.derivative_stride = derivative.stride();
    return f;
  }
  NormBackward<T> backward(Guarded<T>& statistics, Guarded<T>& dx) const {
    return {normalized(statistics),
            gain.data(),
            dz.data(),
            dz.stride(),
            dx.data(),
            dx.stride(),
            sums.data(),
            sums.stride(),
            weights.data(),
            total_weight()};
  }
};

// Everything that the kernels make of the arrays: of rows, then of columns.
template <class T>
Solution<T> solve_rows(const NormArrays<T>& a, Activation activation,
                       const Kernels<T>& kernels) {
  const Index width = a.x.cols();
  Guarded<T> statistics(a.n_rows, 2), y(a.n_rows, width), derivative = y, dx = y;
  Guarded<T> sums(2, width);
  kernels.layer_norm(a.forward(statistics, activation, y, derivative));
  kernels.layer_norm_backward(a.backward(statistics, dx));
  for (Index panel = 0; panel < width / kPanel<T>; ++panel) {
    kernels.layer_norm_sums(a.backward(statistics, dx), panel,
                            &sums(0, panel * kPanel<T>), &sums(1, panel * kPanel<T>));
  }
  return {{statistics, y, derivative, dx, sums}};
}

template <class T>
Solution<T> solve_columns(const NormArrays<T>& a, Activation activation,
                          const Kernels<T>& kernels) {
  const Index width = a.x.cols();
  Guarded<T> statistics(2, width), y(a.n_rows, width), derivative = y, dx = y;
  Guarded<T> sums(2, width), running = a.sums;
  for (Index panel = 0; panel < width / kPanel<T>; ++panel) {
    const Index at = panel * kPanel<T>;
    kernels.column_statistics({a.n_rows, &a.x.data()[at], a.x.stride(),
                               a.weights.data(), a.total_weight(), &statistics(0, at),
                               &statistics(1, at), &running(0, at), &running(1, at),
                               T(1.25)});
    kernels.batch_norm_sums(a.backward(statistics, dx), panel, &sums(0, at),
                            &sums(1, at));
  }
  kernels.batch_norm(a.forward(statistics, activation, y, derivative));
  kernels.batch_norm_backward(a.backward(statistics, dx));
  return {{statistics, running, y, derivative, dx, sums}};
}

template <class T, class Solve>
void check_all_paths(const Solve& solve) {
  const Solution<T> expected = solve(reference::kernels<T>());
  std::optional<Solution<T>> first_fused;
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const Solution<T> got = solve(kernels_of<T>(isa));
    CHECK(difference(got, expected, some_roundings<T>) == "");
    if (isa == "baseline") continue;
    if (!first_fused) first_fused = got;
    CHECK(difference_in_bits(got, *first_fused) == "");
  }
}

template <class T>
struct Drawn {
  Guarded<T> x;
  T threshold;

  Drawn(Index rows, Index cols, T its_threshold)
      : x(rows, round_up(cols, kPanel<T>)), threshold(its_threshold) {
    Numbers numbers(5, Digits::kAll);
    for (Index r = 0; r < rows; ++r) {
      for (Index j = 0; j < x.cols(); ++j) x(r, j) = numbers.next<T>();
    }
  }
  Dropout<T> block(T* y, Index y_stride) const {
    return {x.rows(),
            x.cols() / kPanel<T>,
            x.data(),
            x.stride(),
            y,
            y_stride,
            {7, 3, 2, 0x12345678, 0x9abcdef0},
            threshold,
            65536 / (65536 - threshold)};
  }
};

}  // namespace

// --- Normalization -----------------------------------------------------------------

TEST_CASE_TEMPLATE("norms agree with the reference on all paths", T, float, double) {
  std::size_t i = 0;
  for (const Index cols : kSizes) {
    for (const Index rows : kRows) {
      const Activation activation = kActivations[i++ % kActivations.size()];
      CAPTURE(cols);
      CAPTURE(rows);
      CAPTURE(static_cast<int>(activation));
      const NormArrays<T> arrays(rows, cols, Numbers(i, Digits::kAll));
      check_all_paths<T>([&](const Kernels<T>& kernels) {
        // The scale of a row with one unit, or of nearly equal numbers, magnifies
        // rounding errors: only its bits are compared.
        return cols == 1 ? Solution<T>{} : solve_rows(arrays, activation, kernels);
      });
      check_all_paths<T>([&](const Kernels<T>& kernels) {
        return rows == 1 ? Solution<T>{} : solve_columns(arrays, activation, kernels);
      });
    }
  }
}

TEST_CASE_TEMPLATE("one unit, or one row, is normalised to zero", T, float, double) {
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    const auto rows = solve_rows(NormArrays<T>(3, 1, Numbers(1)), Activation::kRelu,
                                 kernels_of<T>(isa));
    const auto columns = solve_columns(NormArrays<T>(1, 3, Numbers(1)),
                                       Activation::kRelu, kernels_of<T>(isa));
    const double largest = 1 / std::sqrt(1e-5);
    CHECK(static_cast<double>(rows.arrays[0](2, 1)) == doctest::Approx(largest));
    CHECK(static_cast<double>(columns.arrays[0](1, 2)) == doctest::Approx(largest));
    for (Index r = 0; r < 3; ++r) CHECK(rows.arrays[3](r, 0) == 0);
  }
}

TEST_CASE("sums over more rows than a piece agree with the reference") {
  const NormArrays<double> arrays(1100, 17, Numbers(1, Digits::kAll));
  check_all_paths<double>([&](const Kernels<double>& kernels) {
    return solve_columns(arrays, Activation::kIdentity, kernels);
  });
}

// --- Dropout -----------------------------------------------------------------------

// The known answers of Random123 (kat_vectors, philox 4x32 with 10 rounds).
TEST_CASE("philox has the numbers of its authors") {
  struct Known {
    Word32 counter;
    PhiloxKey key;
    Word32 words[4];
  };
  const Known known[] = {
      {0, {0, 0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {0xffffffff,
       {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x243f6a88,
       {0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    for (const Known& k : known) {
      // In every lane, between other counters.
      for (Index lane = 0; lane < kPhiloxCounters; ++lane) {
        Word32 counters[kPhiloxCounters], words[4 * kPhiloxCounters];
        for (Index i = 0; i < kPhiloxCounters; ++i) {
          counters[i] = k.counter + static_cast<Word32>(i - lane);
        }
        kernels_of<float>(isa).philox(k.key, counters, words);
        for (Index w = 0; w < 4; ++w) {
          CHECK(words[w * kPhiloxCounters + lane] == k.words[w]);
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("dropout has the bits of the reference", T, float, double) {
  for (const Index cols : {1, 16, 17, 100, 127, 128, 129, 300}) {
    for (const double threshold : {0.0, 1.0, 30000.0, 65535.0}) {
      CAPTURE(cols);
      CAPTURE(threshold);
      const Drawn<T> drawn(3, cols, static_cast<T>(threshold));
      const auto solve = [&](const Kernels<T>& kernels) {
        Guarded<T> y(3, drawn.x.cols());
        kernels.dropout(drawn.block(y.data(), y.stride()));
        return y;
      };
      const auto expected = solve(reference::kernels<T>());
      for (const auto& isa : available_isas()) {
        CAPTURE(isa);
        CHECK(difference(solve(kernels_of<T>(isa)), expected) == "");
      }
    }
  }
}

TEST_CASE_TEMPLATE("dropout of sparse rows is that of dense ones", T, float, double) {
  const Drawn<T> drawn(4, 1000, T(20000));
  for (const auto& isa : available_isas()) {
    CAPTURE(isa);
    Guarded<T> y(4, drawn.x.cols());
    kernels_of<T>(isa).dropout(drawn.block(y.data(), y.stride()));
    std::vector<Entry<T>> entries;
    std::vector<Index> first, last;
    for (Index r = 0; r < 4; ++r) {
      first.push_back(static_cast<Index>(entries.size()));
      for (Index j = r; j < 1000; j += 1 + j % 7 * r) {
        entries.push_back({j, drawn.x(r, j)});
      }
      last.push_back(static_cast<Index>(entries.size()));
    }
    kernels_of<T>(isa).sparse_dropout(drawn.block(nullptr, 0), entries.data(),
                                      first.data(), last.data());
    for (std::size_t r = 0; r < 4; ++r) {
      for (Index e = first[r]; e < last[r]; ++e) {
        const auto& entry = entries[static_cast<std::size_t>(e)];
        CHECK(entry.value == y(static_cast<Index>(r), entry.col));
      }
    }
  }
}
