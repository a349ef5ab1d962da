// Outputs of a network for many rows: row tasks only.
#pragma once

#include "fastbp/train/pass.h"

namespace fastbp {

// Threads, at most n_threads, that the work of predicting n_rows rows pays for.
template <class T>
int threads_for_prediction(const Network<T>& network, Index n_rows, double inputs,
                           int n_threads);

// What a prediction gives: the network's outputs, these before the loss's activation,
// or what the last layer takes, the activations of the last hidden layer.
enum class Predicted { kOutputs, kRaw, kHidden };

// Numbers of a row; 0 hidden ones if there is no hidden layer.
template <class T>
Index n_predicted(const Network<T>& network, Predicted what);

// out (x.n_rows(), n_predicted(...)), dense. False if poll stopped it.
template <class T>
bool predict(const Network<T>& network, const Rows& x, Predicted what, T* out,
             int n_threads, const Poll& poll);

}  // namespace fastbp
