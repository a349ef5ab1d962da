// The loss over all samples and its gradient, for methods that step outside of the core
// (L-BFGS) and for whoever wants to look at gradients. Memory is bounded: the samples
// pass in chunks of a fixed size, so that the sums have the same shape for any number
// of threads.
#pragma once

#include "fastbp/train/pass.h"

namespace fastbp {

// Returns the mean loss, penalty included; `gradient` has the shape of the flat
// parameters and must be zero. `finished` is false if poll stopped it. Layers do as in
// training: dropout with the numbers of the steps 0, 1 ... of `seed`; batch
// normalization by the statistics of all rows, which must then fit in one chunk
// (std::invalid_argument).
template <class T>
double loss_and_gradient(Network<T>& network, const Samples<T>& samples, double penalty,
                         T* gradient, int n_threads, const Poll& poll, bool* finished,
                         std::uint64_t seed = 0);

}  // namespace fastbp
