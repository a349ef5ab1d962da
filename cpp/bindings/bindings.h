// What the binding files share: checked views of NumPy arrays, names for the core's
// choices, and the question whether Ctrl-C was pressed. The folder is the only one that
// knows Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <variant>

#include "fastbp/base/team.h"
#include "fastbp/nn/network.h"
#include "fastbp/train/rows.h"

namespace fastbp::bindings {

namespace py = pybind11;

// Rows and the arrays that they look at.
struct RowsHandle {
  Rows rows;
  py::tuple arrays;
};

// A network of either type.
struct NetworkHandle {
  std::variant<std::unique_ptr<Network<float>>, std::unique_ptr<Network<double>>>
      network;

  template <class Use>
  decltype(auto) visit(Use use) {
    return std::visit([&](auto& held) -> decltype(auto) { return use(*held); },
                      network);
  }
};

// The matrix product of a BLAS in both types.
struct BlasHandle {
  Blas<float> float32;
  Blas<double> float64;
};

// A loss object, or the name of one for its natural output.
using LossOrName = std::variant<std::string, LossSettings>;
LossSettings loss_settings(const LossOrName& loss);

// "float32 array of shape (3, 4)", for messages.
std::string describe(const py::handle& object);

// `object` as a C-contiguous, aligned array of exactly this type and shape (-1: any
// length); TypeError or ValueError naming the argument otherwise. Nothing is converted.
template <class T>
py::array_t<T> expect_array(const py::handle& object, const std::string& name,
                            const std::vector<Index>& shape);

// Number type of a dtype; TypeError for anything but native-endian numbers and bool.
Element element_of(const py::array& array, const std::string& name);

// True once a signal handler has raised, that is, after Ctrl-C. To be made by the
// thread that asks, with the GIL, and to be asked without.
Poll keyboard_poll();

void check_positive(Index value, const char* name);

// The choice with this name; ValueError naming the argument and all names otherwise.
template <class Choice>
Choice choose(const std::string& name, const char* argument,
              std::initializer_list<std::pair<const char*, Choice>> choices) {
  std::string known;
  for (const auto& [choice_name, choice] : choices) {
    if (name == choice_name) return choice;
    if (!known.empty()) known += ", ";
    known += choice_name;
  }
  throw py::value_error(std::string(argument) + " must be one of " + known + ", got '" +
                        name + "'");
}

void bind_blas(py::module_& m);
void bind_rows(py::module_& m);
void bind_loss(py::module_& m);
void bind_network(py::module_& m);
void bind_tape(py::module_& m);
void bind_trainer(py::module_& m);
void bind_info(py::module_& m);

}  // namespace fastbp::bindings
