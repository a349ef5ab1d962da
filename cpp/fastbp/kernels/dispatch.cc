// The only place that asks the processor what it can do.
#include "fastbp/kernels/dispatch.h"

#include <cstdlib>
#include <stdexcept>

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#endif

namespace fastbp {

extern const KernelTable kKernels_baseline;
#if FASTBP_HAVE_AVX2
extern const KernelTable kKernels_avx2;
#endif
#if FASTBP_HAVE_AVX512
extern const KernelTable kKernels_avx512;
#endif
#if FASTBP_HAVE_NEON
extern const KernelTable kKernels_neon;
#endif

namespace {

#if defined(_MSC_VER) && defined(_M_X64)

// The registers that the operating system saves on a switch of tasks.
bool os_saves(unsigned long long registers) {
  int id[4];
  __cpuid(id, 1);
  const bool has_xgetbv = (id[2] & (1 << 27)) != 0;
  return has_xgetbv && (_xgetbv(0) & registers) == registers;
}

bool has_avx2() {
  int id[4];
  __cpuid(id, 1);
  const bool fma = (id[2] & (1 << 12)) != 0;
  __cpuidex(id, 7, 0);
  return fma && (id[1] & (1 << 5)) != 0 && os_saves(0x6);
}

bool has_avx512() {
  int id[4];
  __cpuidex(id, 7, 0);
  return (id[1] & (1 << 16)) != 0 && (id[1] & (1 << 17)) != 0 && os_saves(0xe6);
}

#elif FASTBP_HAVE_AVX2

bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512dq");
}

#endif

struct Isa {
  const KernelTable* table;
  bool available;
};

// Slowest first.
std::vector<Isa> isas() {
  return {
    {&kKernels_baseline, true},
#if FASTBP_HAVE_AVX2
        {&kKernels_avx2, has_avx2()},
#endif
#if FASTBP_HAVE_AVX512
        {&kKernels_avx512, has_avx512()},
#endif
#if FASTBP_HAVE_NEON
        {&kKernels_neon, true},  // part of AArch64
#endif
  };
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas()) names.emplace_back(isa.table->isa);
  return names;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas()) {
    if (isa.available) names.emplace_back(isa.table->isa);
  }
  return names;
}

const KernelTable& kernel_table(std::string_view isa) {
  std::string source = "isa";
  const char* forced = std::getenv("FASTBP_ISA");
  if (isa.empty() && forced != nullptr) {
    isa = forced;
    source = "FASTBP_ISA";
  }
  const KernelTable* best = nullptr;
  for (const Isa& candidate : isas()) {
    if (!candidate.available) continue;
    if (isa == candidate.table->isa) return *candidate.table;
    best = candidate.table;
  }
  if (isa.empty()) return *best;
  throw std::invalid_argument(
      source + "='" + std::string(isa) +
      "' is not an instruction set that can run here; available: " +
      joined(available_isas()) + "; compiled: " + joined(compiled_isas()));
}

}  // namespace fastbp
