// The symbols of a BLAS with 32-bit integers, under the names that Fortran compilers
// give them.
#include "fastbp/kernels/system_blas.h"

extern "C" {
void sgemm_(char*, char*, std::int32_t*, std::int32_t*, std::int32_t*, float*, float*,
            std::int32_t*, float*, std::int32_t*, float*, float*, std::int32_t*);
void dgemm_(char*, char*, std::int32_t*, std::int32_t*, std::int32_t*, double*, double*,
            std::int32_t*, double*, std::int32_t*, double*, double*, std::int32_t*);
}

namespace fastbp {

template <>
Blas<float> system_blas() {
  return Blas<float>(&sgemm_);
}

template <>
Blas<double> system_blas() {
  return Blas<double>(&dgemm_);
}

}  // namespace fastbp
