// The GIL given away and taken back, and long calls that Ctrl-C can end.
//
// Until CPython 3.13, whoever takes the GIL while the interpreter ends, as a daemon
// thread does, is ended by pthread_exit. With glibc that unwinds the stack like an
// exception, which must not meet a destructor or function that is noexcept: the process
// would abort. So such a thread sleeps here instead, as it does from 3.14 on in Python.
#pragma once

#include "bindings/bindings.h"

#if defined(__GLIBCXX__) && defined(__unix__)
#include <cxxabi.h>
#include <unistd.h>
#endif

namespace fastbp::bindings {

// What work() returns, if it returns.
template <class Work>
decltype(auto) or_sleep_at_exit(const Work& work) {
#if defined(__GLIBCXX__) && defined(__unix__)
  try {
    return work();
  } catch (const abi::__forced_unwind&) {
    for (;;) ::pause();
  }
#else
  return work();
#endif
}

// Without the GIL while it lives.
class Unlocked {
 public:
  Unlocked() = default;
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;
  ~Unlocked() noexcept(false) {
    or_sleep_at_exit([&] { PyEval_RestoreThread(state_); });
  }

 private:
  PyThreadState* state_ = PyEval_SaveThread();
};

// With the GIL again, within an Unlocked.
class Locked {
 public:
  Locked() = default;
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_ = or_sleep_at_exit([] { return PyGILState_Ensure(); });
};

// Runs work(poll) -> bool without the GIL; when it was stopped, raises what the signal
// handler raised.
template <class Work>
void unlocked_until_interrupt(const Work& work) {
  bool finished = false;
  {
    const Poll poll = keyboard_poll();
    const Unlocked unlocked;
    finished = work(poll);
  }
  if (!finished) throw py::error_already_set();
}

}  // namespace fastbp::bindings
