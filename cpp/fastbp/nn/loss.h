// What a network is trained for: a loss, the output activation in front of it, and what
// becomes of the targets on their way to them.
#pragma once

#include <vector>

#include "fastbp/base/buffer.h"
#include "fastbp/kernels/kernels.h"

namespace fastbp {

// The output activation that a loss has unless another is wanted.
Output natural_output(Loss loss);

struct LossSettings : LossSpec {
  // Class targets y become (1 - label_smoothing) * y + label_smoothing / classes; a
  // logistic output has two classes (C. Szegedy et al., 2015, arXiv:1512.00567,
  // section 7).
  double label_smoothing = 0;
  std::vector<double> levels;  // quantile: of each output, in (0, 1)

  LossSettings(Loss loss) : LossSpec{loss, natural_output(loss)} {}  // NOLINT
  LossSettings(Loss loss, Output its_output) : LossSpec{loss, its_output} {}

  // The softmax cross-entropy reads class labels as they are; other losses numbers,
  // into which labels are turned for them.
  bool reads_labels() const { return kind == Loss::kSoftmaxCrossEntropy; }
  Index n_classes(Index n_outputs) const {
    return output == Output::kSoftmax ? n_outputs : 2;
  }
};

// Throws std::invalid_argument for pairs and parameters that have no meaning.
void check(const LossSettings& settings, Index n_outputs);

// A checked loss as the kernels want it.
template <class T>
struct LossOf : LossSettings {
  Buffer<T> level_panels;  // the levels, in whole panels
  LossOf(const LossSettings& settings, Index n_outputs);
};

extern template struct LossOf<float>;
extern template struct LossOf<double>;

}  // namespace fastbp
