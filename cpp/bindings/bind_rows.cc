// Rows: NumPy arrays and the three arrays of a CSR matrix as samples.
#include "bindings/unlocked.h"

namespace fastbp::bindings {
namespace {

py::array expect_vector(const py::handle& object, const char* name) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(std::string(name) + " must be an array, got " +
                         describe(object));
  }
  auto array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() != 1 || (array.flags() & py::array::c_style) == 0) {
    throw py::value_error(std::string(name) + " must be a contiguous vector, got " +
                          describe(object));
  }
  return array;
}

Element expect_indices(const py::array& array, const char* name) {
  const Element element = element_of(array, name);
  if (element != Element::kInt32 && element != Element::kInt64) {
    throw py::type_error(std::string(name) + " must be int32 or int64, got " +
                         describe(array));
  }
  return element;
}

const char* bytes(const py::array& array) {
  return static_cast<const char*>(array.data());
}

RowsHandle dense_rows(const py::array& x) {
  if (x.ndim() != 2)
    throw py::value_error("X must have 2 dimensions, got " + describe(x));
  return {Rows(x.shape(0), x.shape(1),
               DenseArray{bytes(x), x.strides(0), x.strides(1), element_of(x, "X")}),
          py::make_tuple(x)};
}

void check_structure(const py::handle& indptr_object, const py::handle& indices_object,
                     Index n_data, Index n_major, Index n_minor) {
  const py::array indptr = expect_vector(indptr_object, "indptr");
  const py::array indices = expect_vector(indices_object, "indices");
  const Element indptr_element = expect_indices(indptr, "indptr");
  const Element index_element = expect_indices(indices, "indices");
  const Unlocked unlocked;
  check_compressed(bytes(indptr), indptr_element, indptr.size(), bytes(indices),
                   index_element, indices.size(), n_data, n_major, n_minor);
}

RowsHandle csr_rows(const py::handle& indptr_object, const py::handle& indices_object,
                    const py::handle& data_object, Index n_cols) {
  const py::array indptr = expect_vector(indptr_object, "indptr");
  const py::array indices = expect_vector(indices_object, "indices");
  const py::array data = expect_vector(data_object, "data");
  if (n_cols < 0)
    throw py::value_error("n_cols must not be negative, got " + std::to_string(n_cols));
  const Index n_rows = std::max<Index>(indptr.size() - 1, 0);
  check_structure(indptr, indices, data.size(), n_rows, n_cols);
  return {Rows(n_rows, n_cols,
               CsrArray{bytes(indptr), bytes(indices), bytes(data),
                        expect_indices(indices, "indices"),
                        expect_indices(indptr, "indptr"), element_of(data, "data")}),
          py::make_tuple(indptr, indices, data)};
}

}  // namespace

void bind_rows(py::module_& m) {
  py::class_<RowsHandle>(m, "Rows", py::is_final())
      .def_static("dense", &dense_rows, py::arg("X").noconvert())
      .def_static("csr", &csr_rows, py::arg("indptr"), py::arg("indices"),
                  py::arg("data"), py::arg("n_cols"))
      .def_property_readonly("n_rows",
                             [](const RowsHandle& h) { return h.rows.n_rows(); })
      .def_property_readonly("n_cols",
                             [](const RowsHandle& h) { return h.rows.n_cols(); });
  m.def("check_compressed", &check_structure, py::arg("indptr"), py::arg("indices"),
        py::arg("n_data"), py::arg("n_major"), py::arg("n_minor"));
}

}  // namespace fastbp::bindings
