// What a bug report needs to know of the core, and its elementary functions for the
// tests.
#include "bindings/bindings.h"
#include "fastbp/kernels/dispatch.h"

namespace fastbp::bindings {
namespace {

const char* compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#elif defined(_MSC_VER)
  return "MSVC " PYBIND11_TOSTRING(_MSC_VER);
#else
  return "unknown";
#endif
}

py::dict build_info() {
  py::dict info;
  info["version"] = FASTBP_VERSION;
  info["compiler"] = compiler();
  info["isa_compiled"] = compiled_isas();
  info["isa_available"] = available_isas();
  info["isa_active"] = kernel_table().isa;
  info["parallel"] = team_runtime();
  info["pointer_bits"] = 8 * static_cast<int>(sizeof(void*));
  return info;
}

template <class T>
py::array_t<T> apply(const std::string& function, const py::array& array,
                     const Kernels<T>& k) {
  const auto x = expect_array<T>(array.attr("ravel")(), "x", {-1});
  py::array_t<T> y(x.size());
  const auto run = [&](void (*f)(Index, const T*, T*)) {
    f(x.size(), x.data(), y.mutable_data());
  };
  if (function == "exp") {
    run(k.exp);
  } else if (function == "log") {
    run(k.log);
  } else if (function == "tanh") {
    run(k.tanh);
  } else if (function == "logistic") {
    run(k.logistic);
  } else {
    throw py::value_error("function must be one of exp, log, tanh, logistic, got '" +
                          function + "'");
  }
  return y.attr("reshape")(array.attr("shape"));
}

py::array elementwise(const std::string& function, const py::array& x,
                      const std::string& isa) {
  const KernelTable& table = kernel_table(isa);
  if (py::isinstance<py::array_t<float>>(x)) return apply(function, x, table.float32);
  return apply(function, x, table.float64);
}

}  // namespace

void bind_info(py::module_& m) {
  m.def("build_info", &build_info);
  m.def("elementwise", &elementwise, py::arg("function"), py::arg("x").noconvert(),
        py::arg("isa") = "");
  m.def("max_threads", &max_threads);
}

}  // namespace fastbp::bindings
