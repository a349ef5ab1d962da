// The index type and the size of a cache line, and nothing else: this header is also
// read by the files that are compiled with instruction-set flags, which must not see
// the standard library (see kernels/isa.cc).
#pragma once

#include <cstdint>

namespace fastbp {

using Index = std::int64_t;  // every count of elements

inline constexpr Index kCacheLine = 64;  // bytes; also the width of a weight panel

}  // namespace fastbp
