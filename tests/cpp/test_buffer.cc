// Sizes, buffers and views.
#include "fastbp/base/buffer.h"

#include <array>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <utility>

#include "fastbp/base/matrix_view.h"
#include "fastbp/kernels/kernels.h"
#include "testing.h"

using namespace fastbp;

namespace {

constexpr Index kMax = std::numeric_limits<Index>::max();

}  // namespace

TEST_CASE("checked products are exact or refused") {
  CHECK(checked_mul(0, kMax) == 0);
  CHECK(checked_mul(kMax, 0) == 0);
  CHECK(checked_mul(1, kMax) == kMax);
  CHECK(checked_mul(Index{1} << 31, Index{1} << 31) == Index{1} << 62);
  CHECK_THROWS_AS(checked_mul(Index{1} << 32, Index{1} << 31), std::length_error);
  CHECK_THROWS_AS(checked_mul(kMax, 2), std::length_error);
  CHECK_THROWS_AS(checked_mul(2, kMax), std::length_error);
  CHECK_THROWS_AS(checked_mul(-1, 1), std::length_error);
  CHECK_THROWS_AS(checked_mul(1, -1), std::length_error);
}

TEST_CASE("checked sums are exact or refused") {
  CHECK(checked_add(kMax, 0) == kMax);
  CHECK(checked_add(kMax - 1, 1) == kMax);
  CHECK_THROWS_AS(checked_add(kMax, 1), std::length_error);
  CHECK_THROWS_AS(checked_add(1, kMax), std::length_error);
  CHECK_THROWS_AS(checked_add(-1, 1), std::length_error);
  CHECK_THROWS_AS(checked_add(1, -1), std::length_error);
}

TEST_CASE("an overflow message has both sizes") {
  CHECK_THROWS_WITH_AS(checked_mul(kMax, 3), "size overflow: 9223372036854775807 x 3",
                       std::length_error);
}

TEST_CASE("division and rounding go up") {
  CHECK(ceil_div(0, 16) == 0);
  CHECK(ceil_div(1, 16) == 1);
  CHECK(ceil_div(16, 16) == 1);
  CHECK(ceil_div(17, 16) == 2);
  CHECK(ceil_div(kMax, 16) == kMax / 16 + 1);
  CHECK(round_up(0, 16) == 0);
  CHECK(round_up(17, 16) == 32);
}

TEST_CASE_TEMPLATE("buffers are zeroed and aligned", T, char, float, double, Index) {
  for (const Index size : {0, 1, 15, 16, 17, 1000}) {
    CAPTURE(size);
    const Buffer<T> buffer(size);
    CHECK(buffer.size() == size);
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % kCacheLine == 0);
    bool zero = true;
    for (Index i = 0; i < size; ++i) zero = zero && buffer[i] == T{};
    CHECK(zero);
  }
}

TEST_CASE("a buffer whose size overflows is refused") {
  CHECK_THROWS_AS(Buffer<double>{kMax / 8 + 1}, std::length_error);
  CHECK_THROWS_AS(Buffer<double>{kMax}, std::length_error);
  CHECK_THROWS_AS(Buffer<char>{-1}, std::length_error);
}

TEST_CASE("an empty buffer has no memory") {
  const Buffer<float> buffer;
  CHECK(buffer.size() == 0);
  CHECK(buffer.data() == nullptr);
}

TEST_CASE("a copied buffer has its own memory") {
  Buffer<float> a(3), b(3);
  a[1] = 7;
  b.copy_from(a);
  a[1] = 8;
  CHECK(b[0] == 0);
  CHECK(b[1] == 7);
}

TEST_CASE("a moved buffer keeps its memory and leaves none behind") {
  Buffer<float> a(3);
  const float* data = a.data();
  Buffer<float> b = std::move(a);
  CHECK(b.data() == data);
  CHECK(b.size() == 3);
  Buffer<float> c(5);
  c = std::move(b);
  CHECK(c.data() == data);
  CHECK(c.size() == 3);
  CHECK(b.data() == nullptr);  // NOLINT: what is left is the point
  CHECK(b.size() == 0);
}

TEST_CASE("a view finds rows by stride and blocks by rows") {
  std::array<int, 12> numbers{};
  for (int i = 0; i < 12; ++i) numbers[static_cast<std::size_t>(i)] = i;
  const MatrixView<int> view{numbers.data(), 3, 2, 4};
  CHECK(view.row(2)[1] == 9);
  const MatrixView<const int> block = view.block(1, 2);
  CHECK(block.rows == 2);
  CHECK(block.cols == 2);
  CHECK(block.row(1)[0] == 8);
}

TEST_CASE_TEMPLATE("padded rows are an odd number of whole panels", T, float, double) {
  for (const Index cols : testing::kSizes) {
    CAPTURE(cols);
    const Index stride = padded_stride<T>(cols);
    CHECK(stride >= cols);
    CHECK(stride < cols + 2 * kPanel<T>);
    CHECK(stride % kPanel<T> == 0);
    CHECK(stride / kPanel<T> % 2 == 1);
  }
  CHECK(padded_stride<float>(1024) * static_cast<Index>(sizeof(float)) % 4096 != 0);
}
