// The entry of every test program. FASTBP_ISA may name an instruction set that was
// compiled and that this processor lacks; ctest reports the run as skipped then.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "fastbp/kernels/dispatch.h"

namespace {

constexpr int kSkipped = 77;

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

int main(int argc, char** argv) {
  const char* forced = std::getenv("FASTBP_ISA");
  if (forced != nullptr && has(fastbp::compiled_isas(), forced) &&
      !has(fastbp::available_isas(), forced)) {
    std::printf("this processor has no %s\n", forced);
    return kSkipped;
  }
  return doctest::Context(argc, argv).run();
}
