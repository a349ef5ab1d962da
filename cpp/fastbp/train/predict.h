// Outputs of a network for many rows: row tasks only.
#pragma once

#include "fastbp/train/pass.h"

namespace fastbp {

// Threads, at most n_threads, that the work of predicting n_rows rows pays for.
template <class T>
int threads_for_prediction(const Network<T>& network, Index n_rows, double inputs,
                           int n_threads);

// out (x.n_rows(), network.n_out()), dense; pre-activations if raw, else outputs. False
// if poll stopped it.
template <class T>
bool predict(const Network<T>& network, const Rows& x, bool raw, T* out, int n_threads,
             const Poll& poll);

}  // namespace fastbp
