// The team: tasks, barriers, exceptions, stopping, many regions at once, fork.
#include "fastbp/base/team.h"

#include <chrono>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>

#include "testing.h"

#if FASTBP_TESTS_FORK
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace fastbp;

namespace {

// What the calling thread may still allocate before it finds no memory, if not
// negative.
thread_local int n_allocations_left = -1;

}  // namespace

void* operator new(std::size_t n) {
  if (n_allocations_left == 0) throw std::bad_alloc();
  if (n_allocations_left > 0) --n_allocations_left;
  if (void* memory = std::malloc(n)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

const Poll kNoPoll;

constexpr std::array kTeamSizes = {1, 2, 3, 4, 8, 16};

double seconds_since(std::chrono::steady_clock::time_point start) {
  using Seconds = std::chrono::duration<double>;
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

void sleep_for_milliseconds(int n) {
  std::this_thread::sleep_for(std::chrono::milliseconds(n));
}

// The sum of 0 .. n - 1, by n tasks that each write one element.
Index sum_in_region(int n_threads, Index n) {
  std::vector<Index> parts(static_cast<std::size_t>(n));
  run_team(n_threads, kNoPoll, [&](Member& member) {
    member.for_each(n, [&](Index i) { parts[static_cast<std::size_t>(i)] = i; });
  });
  Index sum = 0;
  for (const Index part : parts) sum += part;
  return sum;
}

}  // namespace

// --- Tasks and barriers ------------------------------------------------------------

TEST_CASE("every task of every phase is done once") {
  constexpr Index kPhases = 20;
  for (const int n_threads : kTeamSizes) {
    for (const Index n_tasks : {0, 1, 2, 7, 100}) {
      CAPTURE(n_threads);
      CAPTURE(n_tasks);
      std::vector<std::atomic<int>> times(static_cast<std::size_t>(kPhases * n_tasks));
      const bool finished = run_team(n_threads, kNoPoll, [&](Member& member) {
        for (Index phase = 0; phase < kPhases; ++phase) {
          member.for_each(n_tasks, [&](Index i) {
            ++times[static_cast<std::size_t>(phase * n_tasks + i)];
          });
        }
      });
      CHECK(finished);
      CHECK(std::count(times.begin(), times.end(), 1) == kPhases * n_tasks);
    }
  }
}

TEST_CASE("members have the ranks below the size of the team") {
  for (const int n_threads : kTeamSizes) {
    CAPTURE(n_threads);
    std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n_threads));
    std::atomic<int> size{0};
    run_team(n_threads, kNoPoll, [&](Member& member) {
      ++seen[static_cast<std::size_t>(member.rank())];
      size = member.size();
    });
    CHECK(size >= 1);
    CHECK(size <= n_threads);
    for (int rank = 0; rank < n_threads; ++rank) {
      CHECK(seen[static_cast<std::size_t>(rank)] == (rank < size ? 1 : 0));
    }
  }
}

TEST_CASE("no task starts before the phase before it has ended") {
  constexpr Index kPhases = 480 / testing::kThinning, kTasks = 5;
  for (const int n_threads : kTeamSizes) {
    CAPTURE(n_threads);
    Index done = 0;  // written by one member between two barriers
    std::atomic<Index> in_phase{0};
    std::atomic<int> too_early{0};
    run_team(n_threads, kNoPoll, [&](Member& member) {
      for (Index phase = 0; phase < kPhases; ++phase) {
        member.for_each(kTasks, [&](Index) {
          if (done != phase * kTasks) ++too_early;
          ++in_phase;
        });
        member.for_each(1, [&](Index) { done += in_phase.exchange(0); });
      }
    });
    CHECK(too_early == 0);
    CHECK(done == kPhases * kTasks);
  }
}

TEST_CASE("many more threads than cores finish") {
  constexpr int kThreads = 32;
  constexpr Index kPhases = 320 / testing::kThinning, kTasks = 64;
  std::atomic<Index> done{0};
  CHECK(run_team(kThreads, kNoPoll, [&](Member& member) {
    for (Index phase = 0; phase < kPhases; ++phase) {
      member.for_each(kTasks, [&](Index) { ++done; });
    }
  }));
  CHECK(done == kPhases * kTasks);
}

TEST_CASE("a slow task is waited for") {
  std::atomic<bool> slow_done{false};
  std::atomic<int> too_early{0};
  run_team(4, kNoPoll, [&](Member& member) {
    member.for_each(4, [&](Index i) {
      if (i != 0) return;
      sleep_for_milliseconds(20);
      slow_done = true;
    });
    if (!slow_done) ++too_early;
  });
  CHECK(too_early == 0);
}

// --- Disbanding --------------------------------------------------------------------

namespace {

// Steps of a phase each to which the others come late, so that the calling thread
// sleeps. Returns the size of the team at the end; every task must be done once.
int size_after_waiting(int n_steps, Pace* pace) {
  std::vector<std::atomic<int>> times(static_cast<std::size_t>(2 * n_steps));
  std::atomic<int> size{0};
  const auto body = [&](Member& member) {
    for (int step = 0; step < n_steps; ++step) {
      if (member.rank() != 0) sleep_for_milliseconds(1);
      std::atomic<int>* done = &times[static_cast<std::size_t>(2 * step)];
      if (!member.for_each(2, [&](Index i) { ++done[i]; })) return;
      if (member.rank() == 0) member.step_ends();
    }
    size = member.size();
  };
  CHECK(run_team(2, kNoPoll, body, pace));
  CHECK(std::count(times.begin(), times.end(), 1) == 2 * n_steps);
  return size;
}

}  // namespace

TEST_CASE("a team whose caller only waits is disbanded, and no task is lost") {
  CHECK(size_after_waiting(400, nullptr) == 2);  // nobody has asked for that
  Pace pace;
  CHECK(size_after_waiting(3, &pace) == 2);
  CHECK_FALSE(pace.wants_alone(Clock::now()));
  CHECK(size_after_waiting(400, &pace) == 1);
}

TEST_CASE("who is to be alone has regions alone") {
  Pace pace;
  pace.stay_alone(Clock::time_point::max());
  run_team(
      2, kNoPoll, [](Member& member) { CHECK(member.size() == 1); }, &pace);
}

TEST_CASE("a team that waits in many short regions is disbanded too") {
  Pace pace;
  int n_regions = 0;
  while (!pace.wants_alone(Clock::now()) && n_regions < 1000) {
    size_after_waiting(3, &pace);
    ++n_regions;
  }
  CHECK(n_regions > 3);
  CHECK(n_regions < 1000);
}

TEST_CASE("who is alone on a busy machine may try again after a while") {
  Pace pace;
  pace.stay_alone(Clock::now() + std::chrono::milliseconds(500));
  run_team(
      2, kNoPoll,
      [](Member& member) {
        CHECK(member.size() == 1);
        CHECK_FALSE(member.step_ends());
        sleep_for_milliseconds(510);
        CHECK(member.step_ends());
      },
      &pace);
  CHECK_FALSE(pace.wants_alone(Clock::now()));
}

TEST_CASE("who is alone because one thread was asked for, or had, stays so") {
  std::atomic<int> n_alone{0}, n_regrouping{0};
  const std::function<void(Member&)> body = [&](Member& member) {
    if (member.size() != 1) return;
    ++n_alone;
    for (int i = 0; i < 100; ++i) n_regrouping += member.step_ends();
  };
  Pace pace;
  run_team(1, kNoPoll, body, &pace);
  CHECK(n_alone == 1);
  const auto with_little_memory = [&](int n_allocations) {
    n_allocations_left = n_allocations;
    try {
      run_team(2, kNoPoll, body, &pace);
    } catch (const std::bad_alloc&) {
    }
    n_allocations_left = -1;
  };
  for (int n = 0; n < 16; ++n) std::thread(with_little_memory, n).join();
  CHECK(n_alone > 1);
  CHECK(n_regrouping == 0);
}

TEST_CASE("who was sent away has no more tasks") {
  std::atomic<int> after{0}, size{-1};
  Pace pace;
  const auto body = [&](Member& member) {
    while (member.for_each(2, [&](Index) {
      if (member.rank() != 0) sleep_for_milliseconds(1);
    }) && member.size() > 1) {
      if (member.rank() == 0) member.step_ends();
    }
    if (member.rank() != 0) {
      size = member.size();
      member.for_each(5, [&](Index) { ++after; });
    }
  };
  run_team(2, kNoPoll, body, &pace);
  CHECK(size == 0);
  CHECK(after == 0);
}

// --- Exceptions --------------------------------------------------------------------

TEST_CASE("what a task throws is rethrown to the caller") {
  for (const int n_threads : kTeamSizes) {
    CAPTURE(n_threads);
    std::atomic<int> told{0}, size{0};
    const auto region = [&] {
      run_team(n_threads, kNoPoll, [&](Member& member) {
        size = member.size();
        const bool go_on = member.for_each(100, [](Index i) {
          if (i == 7) throw std::runtime_error("task 7");
        });
        if (!go_on) ++told;
      });
    };
    CHECK_THROWS_WITH_AS(region(), "task 7", std::runtime_error);
    CHECK(told == size);  // all members have the same verdict
    CHECK(sum_in_region(n_threads, 100) == 4950);
  }
}

TEST_CASE("of many exceptions one arrives and the rest of the tasks is dropped") {
  for (const int n_threads : kTeamSizes) {
    CAPTURE(n_threads);
    std::atomic<int> thrown{0};
    const auto region = [&] {
      run_team(n_threads, kNoPoll, [&](Member& member) {
        member.for_each(1'000'000, [&](Index) {
          ++thrown;
          throw std::bad_alloc();
        });
      });
    };
    CHECK_THROWS_AS(region(), std::bad_alloc);
    CHECK(thrown >= 1);
    CHECK(thrown <= n_threads);
  }
}

namespace {

// Whether regions with memory for 0, 1, 2 ... allocations do all that they were asked
// for.
bool works_with_little_memory() {
  for (int n = 0; n < 16; ++n) {
    std::atomic<int> done{0};
    const std::function<void(Member&)> body = [&](Member& member) {
      member.for_each(8, [&](Index) { ++done; });
    };
    bool finished = false;
    n_allocations_left = n;
    try {
      finished = run_team(4, kNoPoll, body);
    } catch (const std::bad_alloc&) {
    }
    n_allocations_left = -1;
    if (!finished || done != 8) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("threads for which there is no memory are done without") {
  bool works = false;
  std::thread([&] { works = works_with_little_memory(); }).join();
  CHECK(works);
}

// --- Stopping ----------------------------------------------------------------------

TEST_CASE("a poll that returns true stops the region soon") {
  for (const int n_threads : {1, 4}) {
    CAPTURE(n_threads);
    const auto start = std::chrono::steady_clock::now();
    std::atomic<int> told{0}, size{0};
    const bool finished = run_team(
        n_threads, [] { return true; },
        [&](Member& member) {
          size = member.size();
          // A minute's work.
          if (!member.for_each(60'000, [](Index) { sleep_for_milliseconds(1); })) {
            ++told;
          }
        });
    CHECK_FALSE(finished);
    CHECK(told == size);
    CHECK(seconds_since(start) < 5);
  }
}

TEST_CASE("the poll is asked by the calling thread and no oftener than promised") {
  for (const int n_threads : {1, 4}) {
    CAPTURE(n_threads);
    const auto caller = std::this_thread::get_id();
    const auto start = std::chrono::steady_clock::now();
    int asked = 0, by_others = 0;
    const Poll poll = [&] {
      ++asked;
      if (std::this_thread::get_id() != caller) ++by_others;
      return false;
    };
    const bool finished = run_team(n_threads, poll, [](Member& member) {
      member.for_each(300 * member.size(), [](Index) { sleep_for_milliseconds(1); });
    });
    CHECK(finished);
    CHECK(by_others == 0);
    CHECK(asked >= 1);
    CHECK(asked <= 1 + seconds_since(start) / kPollSeconds);
  }
}

TEST_CASE("a task may ask between its parts whether to proceed") {
  for (const int n_threads : {1, 4}) {
    CAPTURE(n_threads);
    const auto start = std::chrono::steady_clock::now();
    const bool finished = run_team(
        n_threads, [] { return true; },
        [](Member& member) {
          member.for_each(member.size(), [&](Index) {
            for (int i = 0; i < 60'000 && member.proceed(); ++i) {
              sleep_for_milliseconds(1);
            }
          });
        });
    CHECK_FALSE(finished);
    CHECK(seconds_since(start) < 5);
  }
}

TEST_CASE("tasks of no length are polled too") {
  std::atomic<Index> n{0};
  const bool finished = run_team(
      1, [] { return true; },
      [&](Member& member) {
        while (member.for_each(10, [&](Index) { ++n; }))
          ;
      });
  CHECK_FALSE(finished);
}

TEST_CASE("long tasks are polled right after many short ones") {
  int asked = 0;
  const Poll poll = [&] {
    ++asked;
    return false;
  };
  run_team(1, poll, [&](Member& member) {
    member.for_each(10'000, [](Index) {});
    const int before = asked;
    member.for_each(4, [](Index) { sleep_for_milliseconds(60); });
    CHECK(asked - before >= 2);
  });
}

TEST_CASE("what a poll throws is rethrown to the caller") {
  for (const int n_threads : {1, 4}) {
    CAPTURE(n_threads);
    const Poll poll = []() -> bool { throw std::runtime_error("asked"); };
    const auto region = [&] {
      run_team(n_threads, poll, [](Member& member) {
        member.for_each(60'000, [](Index) { sleep_for_milliseconds(1); });
      });
    };
    CHECK_THROWS_WITH_AS(region(), "asked", std::runtime_error);
  }
}

// --- Many callers ------------------------------------------------------------------

TEST_CASE("several threads may have regions at once") {
  constexpr int kCallers = 4, kRegions = 25;
  std::atomic<int> right{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&right, caller] {
      for (int i = 0; i < kRegions; ++i) {
        if (sum_in_region(1 + caller, 100) == 4950) ++right;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(right == kCallers * kRegions);
}

TEST_CASE("a task may have a region of its own") {
  std::atomic<int> right{0};
  run_team(2, kNoPoll, [&](Member& member) {
    member.for_each(6, [&](Index) {
      if (sum_in_region(2, 100) == 4950) ++right;
    });
  });
  CHECK(right == 6);
}

TEST_CASE("there is at least one thread and a name for who makes them") {
  CHECK(max_threads() >= 1);
  CHECK(std::string(team_runtime()) != "");
}

// --- Fork --------------------------------------------------------------------------

#if FASTBP_TESTS_FORK

namespace {

constexpr unsigned kHangSeconds = 60;  // then the child is ended by a signal

// The exit status of a forked child that runs regions of all sizes: 0 if all is well.
int status_of_forked_child() {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHangSeconds);
    bool right = true;
    for (const int n_threads : {4, 1, 2, 8, 4}) {
      right = right && sum_in_region(n_threads, 100) == 4950;
    }
    right = right && works_with_little_memory();
    const bool stopped = !run_team(
        2, [] { return true; },
        [](Member& member) {
          member.for_each(60'000, [](Index) { sleep_for_milliseconds(1); });
        });
    _exit(right && stopped ? 0 : 1);
  }
  int status = -1;
  if (waitpid(child, &status, 0) != child) return -1;
  return status;
}

}  // namespace

TEST_CASE("a child forked after a region has regions too") {
  CHECK(sum_in_region(4, 100) == 4950);
  CHECK(status_of_forked_child() == 0);
  CHECK(sum_in_region(4, 100) == 4950);  // and so has the parent
}

#if FASTBP_TESTS_FORK_BESIDE_BUSY
TEST_CASE("a child forked beside a busy thread has regions too") {
  std::atomic<bool> go_on{true};
  std::thread busy([&] {
    while (go_on) sum_in_region(3, 100);
  });
  CHECK(sum_in_region(4, 100) == 4950);
  for (int i = 0; i < 3; ++i) CHECK(status_of_forked_child() == 0);
  go_on = false;
  busy.join();
}
#endif

TEST_CASE("a child of a forked child has regions too") {
  CHECK(sum_in_region(4, 100) == 4950);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHangSeconds);
    const bool right = sum_in_region(4, 100) == 4950;
    _exit(right && status_of_forked_child() == 0 ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

#endif
