// The BLAS that a program in C++ was linked with (CMake option FASTBP_CBLAS). How many
// threads it starts is set by its own environment variables, such as
// OPENBLAS_NUM_THREADS.
#pragma once

#include "fastbp/kernels/blas.h"

namespace fastbp {

template <class T>
Blas<T> system_blas();

}  // namespace fastbp
