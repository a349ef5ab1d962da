// Buffer owns memory: zeroed, aligned to a cache line, of a fixed size. Whoever only
// looks at memory uses a MatrixView or a pointer. The zeros are the system's: a large
// buffer costs nothing until it is touched.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "fastbp/base/sizes.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace fastbp {

template <class T>
class Buffer {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  Buffer() = default;
  explicit Buffer(Index size) : memory_(allocate(size)), size_(size) {
    auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
    address += (kAlignment - address % kAlignment) % kAlignment;
    data_ = reinterpret_cast<T*>(address);
  }

  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    Buffer(std::move(other)).swap(*this);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  Index size() const { return size_; }
  T& operator[](Index i) { return data_[i]; }
  const T& operator[](Index i) const { return data_[i]; }

  // Same sizes only: a buffer never grows under a view.
  void copy_from(const Buffer& other) { std::copy_n(other.data(), size_, data()); }

 private:
  static constexpr std::uintptr_t kAlignment = kCacheLine;
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  void swap(Buffer& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  static void* allocate(Index size) {
    const Index bytes = checked_mul(size, static_cast<Index>(sizeof(T)));
    const Index reserved = checked_add(bytes, kCacheLine);
    if (reserved > std::numeric_limits<std::ptrdiff_t>::max()) throw std::bad_alloc();
    void* memory = std::calloc(static_cast<std::size_t>(reserved), 1);
    if (memory == nullptr) throw std::bad_alloc();
    prefer_huge_pages(memory, bytes);
    return memory;
  }

  // Pages of 2 MB, where the system leaves that to programs: a product that walks down
  // a wide matrix touches a page in every row.
  static void prefer_huge_pages([[maybe_unused]] void* memory,
                                [[maybe_unused]] Index bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr std::uintptr_t kHugePage = std::uintptr_t{1} << 21;
    const auto start = reinterpret_cast<std::uintptr_t>(memory);
    const auto first = (start + kHugePage - 1) / kHugePage * kHugePage;
    const auto last =
        (start + static_cast<std::uintptr_t>(bytes)) / kHugePage * kHugePage;
    // Advice: a system that does not take it changes nothing.
    if (first < last)
      madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  }

  std::unique_ptr<void, Free> memory_;
  T* data_ = nullptr;
  Index size_ = 0;
};

// Copies n numbers. Returns whether some were others, by their bits, or have been
// before: then it need not look.
template <class T>
bool replace(const T* from, Index n, T* to, bool were_others = false) {
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  if (!were_others && std::memcmp(from, to, bytes) == 0) return false;
  std::copy_n(from, n, to);
  return true;
}

}  // namespace fastbp
