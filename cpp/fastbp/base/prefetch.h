// Asking for memory before it is needed. Changes no result.
#pragma once

#include "fastbp/base/index.h"

#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
#include <immintrin.h>
#endif

namespace fastbp {

// The cache line of array[i], into the first-level cache. It may lie outside of the
// array.
template <class T>
[[maybe_unused]] static inline void prefetch_element(const T* array, Index i) {
  const auto address = reinterpret_cast<std::uintptr_t>(array) +
                       static_cast<std::uintptr_t>(i) * sizeof(T);
  [[maybe_unused]] const auto* p = reinterpret_cast<const char*>(address);
#if defined(__GNUC__)
  __builtin_prefetch(p, 0, 3);
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_prefetch(p, _MM_HINT_T0);
#endif
}

// The cache lines of n_bytes from p, into the second-level cache. Static, because the
// files of the kernels must not share functions with others (see kernels/isa.cc).
[[maybe_unused]] static void prefetch(const void* p, Index n_bytes) {
  const char* line = static_cast<const char*>(p);
  for (const char* end = line + n_bytes; line < end; line += kCacheLine) {
#if defined(__GNUC__)
    __builtin_prefetch(line, 0, 2);
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    _mm_prefetch(line, _MM_HINT_T1);
#endif
  }
}

}  // namespace fastbp
