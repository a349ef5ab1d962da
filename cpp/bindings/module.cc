// The extension module fastbp._core. It has no mutable global state, and a network has
// a lock for what it makes late, so the GIL is not needed.
#include "bindings/bindings.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled core of fastbp: networks, training and prediction.";
  m.attr("__version__") = FASTBP_VERSION;
  fastbp::bindings::bind_rows(m);
  fastbp::bindings::bind_blas(m);
  fastbp::bindings::bind_loss(m);
  fastbp::bindings::bind_network(m);
  fastbp::bindings::bind_tape(m);
  fastbp::bindings::bind_trainer(m);
  fastbp::bindings::bind_info(m);
}
