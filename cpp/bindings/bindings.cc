// Checked views of NumPy arrays, and Ctrl-C.
#include "bindings/bindings.h"

#include <pybind11/gil_safe_call_once.h>

namespace fastbp::bindings {

std::string describe(const py::handle& object) {
  if (!py::isinstance<py::array>(object)) {
    return std::string("an object of type ") + Py_TYPE(object.ptr())->tp_name;
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  return py::str(array.dtype()).cast<std::string>() + " array of shape " +
         py::str(array.attr("shape")).cast<std::string>();
}

template <class T>
py::array_t<T> expect_array(const py::handle& object, const std::string& name,
                            const std::vector<Index>& shape) {
  if (!py::isinstance<py::array_t<T>>(object)) {
    throw py::type_error(name + " must be a " +
                         py::str(py::dtype::of<T>()).cast<std::string>() +
                         " array, got " + describe(object));
  }
  auto array = py::reinterpret_borrow<py::array_t<T>>(object);
  constexpr int kNeeded = static_cast<int>(py::array::c_style) |
                          static_cast<int>(py::detail::npy_api::NPY_ARRAY_ALIGNED_);
  bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
  for (std::size_t i = 0; fits && i < shape.size(); ++i) {
    fits = shape[i] < 0 || array.shape(static_cast<py::ssize_t>(i)) == shape[i];
  }
  if (!fits) {
    std::string expected;
    for (const Index n : shape) {
      if (!expected.empty()) expected += ", ";
      expected += n < 0 ? "any" : std::to_string(n);
    }
    throw py::value_error(name + " must have shape (" + expected + "), got " +
                          describe(object));
  }
  if ((array.flags() & kNeeded) != kNeeded) {
    throw py::value_error(name + " must be C-contiguous and aligned");
  }
  return array;
}

template py::array_t<float> expect_array(const py::handle&, const std::string&,
                                         const std::vector<Index>&);
template py::array_t<double> expect_array(const py::handle&, const std::string&,
                                          const std::vector<Index>&);
template py::array_t<Index> expect_array(const py::handle&, const std::string&,
                                         const std::vector<Index>&);

Element element_of(const py::array& array, const std::string& name) {
  const py::dtype dtype = array.dtype();
  const auto one_of = [&](std::initializer_list<std::pair<int, Element>> sizes) {
    for (const auto& [size, element] : sizes) {
      if (dtype.itemsize() == size) return element;
    }
    throw py::type_error(name + " has unsupported dtype " +
                         py::str(dtype).cast<std::string>());
  };
  if (!dtype.attr("isnative").cast<bool>()) {
    throw py::type_error(name + " must be in native byte order, got dtype " +
                         py::str(dtype).cast<std::string>());
  }
  switch (dtype.kind()) {
    case 'b':
      return Element::kBool;
    case 'i':
      return one_of({{1, Element::kInt8},
                     {2, Element::kInt16},
                     {4, Element::kInt32},
                     {8, Element::kInt64}});
    case 'u':
      return one_of({{1, Element::kUint8},
                     {2, Element::kUint16},
                     {4, Element::kUint32},
                     {8, Element::kUint64}});
    case 'f':
      return one_of(
          {{2, Element::kFloat16}, {4, Element::kFloat32}, {8, Element::kFloat64}});
    default:
      return one_of({});
  }
}

Poll keyboard_poll() {
  static py::gil_safe_call_once_and_store<py::object> stored;
  const py::object& main_thread =
      stored
          .call_once_and_store_result(
              [] { return py::module_::import("threading").attr("main_thread"); })
          .get_stored();
  const auto main = main_thread().attr("ident").cast<unsigned long>();
  // Python handles signals in the main thread: no other asks for them, nor for the GIL.
  if (main != PyThread_get_thread_ident()) return {};
  return [] {
    const py::gil_scoped_acquire gil;
    return PyErr_CheckSignals() != 0;
  };
}

void check_positive(Index value, const char* name) {
  if (value < 1) {
    throw py::value_error(std::string(name) + " must be at least 1, got " +
                          std::to_string(value));
  }
}

}  // namespace fastbp::bindings
