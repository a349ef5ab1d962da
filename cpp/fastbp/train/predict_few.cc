// The forward pass on row-major weights.
#include "fastbp/train/predict_few.h"

#include <algorithm>

#include "fastbp/train/batch.h"

namespace fastbp {
namespace {

// The columns of W that do not fill a panel, and the biases below them, with zeros: the
// kernels read whole panels.
template <class T>
struct LastPanel {
  Buffer<T> weights, bias;

  explicit LastPanel(const PlainLayer<T>& l)
      : weights(checked_mul(l.n_in, kPanel<T>)), bias(kPanel<T>) {
    const Index n = l.n_out % kPanel<T>, first = l.n_out - n;
    for (Index i = 0; i < l.n_in; ++i) {
      std::copy_n(l.coef + i * l.n_out + first, n, weights.data() + i * kPanel<T>);
    }
    std::copy_n(l.intercept + first, n, bias.data());
  }
};

template <class T>
void forward(const Kernels<T>& kernels, const PlainLayer<T>& l, MatrixView<T> x,
             MatrixView<T> y) {
  const OutputActivation<T> activation = l.activation;
  const Index n_whole = l.n_out / kPanel<T>;
  Forward<T> f{y.rows,      l.n_in,          n_whole,          x.data, x.stride, l.coef,
               l.intercept, activation.kind, activation.slope, y.data, y.stride};
  f.panel_size = kPanel<T>;
  f.row_stride = l.n_out;
  if (n_whole > 0) kernels.forward(f);
  if (l.n_out == n_whole * kPanel<T>) return;
  const LastPanel<T> last(l);
  kernels.forward({y.rows, l.n_in, 1, x.data, x.stride, last.weights.data(),
                   last.bias.data(), activation.kind, activation.slope,
                   y.data + n_whole * kPanel<T>, y.stride, has_half_panel<T>(l.n_out)});
}

}  // namespace

template <class T>
void predict_few(const Kernels<T>& kernels, const std::vector<PlainLayer<T>>& layers,
                 Output output, const Rows& x, T* out) {
  const Index n_rows = x.n_rows();
  Matrix<T> input(n_rows, layers.front().n_in);
  for (Index i = 0; i < n_rows; ++i) x.gather(i, input.view.row(i));
  for (const PlainLayer<T>& layer : layers) {
    Matrix<T> y(n_rows, layer.n_out);
    forward(kernels, layer, input.view, y.view);
    input = std::move(y);
  }
  const Index n_out = layers.back().n_out;
  kernels.output(output,
                 {n_rows, n_out, input.view.data, input.view.stride, out, n_out});
}

template void predict_few(const Kernels<float>&, const std::vector<PlainLayer<float>>&,
                          Output, const Rows&, float*);
template void predict_few(const Kernels<double>&,
                          const std::vector<PlainLayer<double>>&, Output, const Rows&,
                          double*);

}  // namespace fastbp
