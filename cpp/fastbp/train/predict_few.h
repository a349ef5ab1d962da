// Predictions for few rows, from the weights as they lie in the user's arrays: to bring
// them into a network's panels would take longer than the prediction itself. The
// results have the same bits as those of predict().
#pragma once

#include <vector>

#include "fastbp/kernels/kernels.h"
#include "fastbp/nn/layer.h"
#include "fastbp/train/rows.h"

namespace fastbp {

template <class T>
struct PlainLayer {
  Index n_in, n_out;
  const T* coef;       // (n_in, n_out), row-major
  const T* intercept;  // (n_out)
  OutputActivation<T> activation;
};

// out: (x.n_rows(), outputs of the last layer). x must be dense and have as many
// columns as the first layer inputs.
template <class T>
void predict_few(const Kernels<T>& kernels, const std::vector<PlainLayer<T>>& layers,
                 Output output, const Rows& x, T* out);

}  // namespace fastbp
