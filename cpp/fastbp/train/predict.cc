// Prediction by blocks of rows, each thread with a block's memory of its own.
#include "fastbp/train/predict.h"

#include <algorithm>
#include <stdexcept>

namespace fastbp {
namespace {

constexpr double kWorkPerThread =
    2e6;  // operations that pay for waking one more thread

}  // namespace

template <class T>
int threads_for_prediction(const Network<T>& network, Index n_rows, double inputs,
                           int n_threads) {
  const auto all = network.work();
  const double first = all.first_layer * inputs / static_cast<double>(network.n_in());
  const double work = 2 * static_cast<double>(n_rows) * (first + all.others);
  return static_cast<int>(
      std::clamp(work / kWorkPerThread, 1.0, static_cast<double>(n_threads)));
}

template <class T>
Index n_predicted(const Network<T>& network, Predicted what) {
  if (what != Predicted::kHidden) return network.n_out();
  return network.n_layers() > 1 ? network.layer(network.n_layers() - 1).n_in() : 0;
}

template <class T>
bool predict(const Network<T>& network, const Rows& x, Predicted what, T* out,
             int n_threads, const Poll& poll) {
  check_columns(x, network.n_in());
  const Index block_rows = std::min(kBlockRows, x.n_rows());
  const Index n_blocks = x.n_rows() > 0 ? ceil_div(x.n_rows(), block_rows) : 0;
  const Index n_entries =
      x.is_sparse() ? most_entries(x, block_rows) : Batch<T>::kDense;
  const Index n_out = n_predicted(network, what);
  const Index n_layers = network.n_layers() - (what == Predicted::kHidden ? 1 : 0);
  if (n_layers < 1) throw std::invalid_argument("there is no hidden layer");
  const Output output =
      what == Predicted::kOutputs ? network.loss().output : Output::kIdentity;
  n_threads = static_cast<int>(std::clamp<Index>(n_blocks, 1, n_threads));
  std::vector<Batch<T>> batches;
  for (int i = 0; i < n_threads; ++i) {
    batches.emplace_back(network, block_rows, n_entries, BatchUse::kPrediction);
  }
  return run_team(n_threads, poll, [&](Member& member) {
    Batch<T>& batch = batches[static_cast<std::size_t>(member.rank())];
    member.for_each(n_blocks, [&](Index block) {
      const Index first = block * block_rows;
      const Index n = std::min(block_rows, x.n_rows() - first);
      Index entry = 0;
      for (Index i = 0; i < n; ++i) {
        batch.gather(x, first + i, i, entry);
        if (x.is_sparse()) entry += x.count(first + i);
      }
      for (Index l = 0; l < n_layers && member.proceed(); ++l) {
        batch.predict(network, l, n);
      }
      const auto z = batch.output(n_layers - 1, 0, n);
      network.kernels().output(
          output, {n, n_out, z.data, z.stride, out + first * n_out, n_out});
    });
  });
}

template int threads_for_prediction(const Network<float>&, Index, double, int);
template int threads_for_prediction(const Network<double>&, Index, double, int);
template Index n_predicted(const Network<float>&, Predicted);
template Index n_predicted(const Network<double>&, Predicted);
template bool predict(const Network<float>&, const Rows&, Predicted, float*, int,
                      const Poll&);
template bool predict(const Network<double>&, const Rows&, Predicted, double*, int,
                      const Poll&);

}  // namespace fastbp
