// Which kernels run here: the best instruction set that was compiled and that the
// processor has, unless FASTBP_ISA or the caller names one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fastbp/kernels/kernels.h"

namespace fastbp {

// Table of the instruction set `isa`; "" stands for FASTBP_ISA, or the best there is.
// Throws std::invalid_argument if it is unknown, not compiled, or not supported by the
// processor.
const KernelTable& kernel_table(std::string_view isa = {});

std::vector<std::string> compiled_isas();   // slowest first
std::vector<std::string> available_isas();  // those that this processor can run

template <class T>
const Kernels<T>& kernels(const KernelTable& table) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return table.float32;
  } else {
    return table.float64;
  }
}

}  // namespace fastbp
