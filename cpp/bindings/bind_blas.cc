// Blas: sgemm and dgemm from the capsules of scipy.linalg.cython_blas, whose names are
// their C signatures.
#include <algorithm>

#include "bindings/bindings.h"

namespace fastbp::bindings {
namespace {

// "void (char *, int *)" -> char, int. Empty if it is not a function of pointers that
// returns nothing.
std::vector<std::string> pointed_at(const std::string& signature) {
  const std::string start = "void (";
  if (!signature.starts_with(start) || !signature.ends_with(")")) return {};
  std::vector<std::string> types;
  for (std::size_t at = start.size(); at < signature.size();) {
    const std::size_t end = std::min(signature.find(", ", at), signature.size() - 1);
    std::string type = signature.substr(at, end - at);
    if (!type.ends_with(" *")) return {};
    type.resize(type.size() - 2);
    types.push_back(type);
    at = end + (signature[end] == ',' ? 2 : 1);
  }
  return types;
}

// Bits of an integer type, or 0 for a name that is not known.
int bits_of(const std::string& integer) {
  if (integer == "int") return 8 * static_cast<int>(sizeof(int));
  if (integer == "long") return 8 * static_cast<int>(sizeof(long));
  if (integer == "int32_t" || integer == "npy_int32") return 32;
  for (const char* name : {"int64_t", "npy_int64", "long long", "PY_LONG_LONG"}) {
    if (integer == name) return 64;
  }
  return 0;
}

// Bits of the integers of a gemm, or 0 for any other function. SciPy's type of numbers
// is a typedef, which Cython writes with a prefix.
int gemm_bits(const std::string& signature, const char* number,
              const char* number_typedef) {
  const std::vector<std::string> types = pointed_at(signature);
  const std::string kinds = "cciiinnininni";  // char, integer, number
  if (types.size() != kinds.size()) return 0;
  const std::string& integer = types[kinds.find('i')];
  for (std::size_t i = 0; i < types.size(); ++i) {
    const bool fits = kinds[i] == 'c' ? types[i] == "char"
                      : kinds[i] == 'i'
                          ? types[i] == integer
                          : types[i] == number || types[i].ends_with(number_typedef);
    if (!fits) return 0;
  }
  return bits_of(integer);
}

template <class T>
Blas<T> blas_of(const py::capsule& capsule, const char* function, const char* number,
                const char* number_typedef) {
  const char* name = capsule.name();
  const std::string signature = name != nullptr ? name : "";
  const int bits = gemm_bits(signature, number, number_typedef);
  void* pointer = capsule.get_pointer();
  using Gemm32 = typename Blas<T>::template Gemm<std::int32_t>;
  using Gemm64 = typename Blas<T>::template Gemm<std::int64_t>;
  if (bits == 32) return Blas<T>(reinterpret_cast<Gemm32>(pointer));
  if (bits == 64) return Blas<T>(reinterpret_cast<Gemm64>(pointer));
  throw py::value_error(std::string(function) + " has an unknown signature: '" +
                        signature + "'");
}

std::unique_ptr<BlasHandle> make_blas(const py::capsule& sgemm,
                                      const py::capsule& dgemm) {
  return std::make_unique<BlasHandle>(
      BlasHandle{blas_of<float>(sgemm, "sgemm", "float", "cython_blas_s"),
                 blas_of<double>(dgemm, "dgemm", "double", "cython_blas_d")});
}

}  // namespace

void bind_blas(py::module_& m) {
  py::class_<BlasHandle>(m, "Blas", py::is_final())
      .def(py::init(&make_blas), py::arg("sgemm"), py::arg("dgemm"))
      .def_property_readonly("integer_bits", [](const BlasHandle& blas) {
        return blas.float64.integer_bits();
      });
}

}  // namespace fastbp::bindings
