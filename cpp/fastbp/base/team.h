// The team: the threads that work on one parallel region together, and the only place
// where threads are made. A member of the team knows its rank and size, takes the tasks
// of its own share and then what others have left of theirs, and meets the others at a
// barrier at the end of each phase. That is all the rest of the core may use: no locks,
// no reductions (a sum split over threads would depend on their number), no
// thread-local state.
//
// On a machine that is busy with other things, members of a team may wait for each
// other longer than they work. The calling thread notices, sends the others away and
// does the rest of the region alone: what a task computes does not depend on who runs
// it.
//
// Inside a region nothing may allocate or touch Python. An exception in a task stops
// the team and is rethrown by run_team; so does a `poll` that returns true (Ctrl-C),
// which the calling thread asks about every kPollSeconds.
//
// OpenMP makes the threads, or std::thread with FASTBP_OPENMP=0 (for ThreadSanitizer,
// which does not understand libgomp, and for platforms without OpenMP).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <vector>

#include "fastbp/base/sizes.h"

namespace fastbp {

using Poll = std::function<bool()>;  // true: stop now

inline constexpr double kPollSeconds = 0.05;

using Clock = std::chrono::steady_clock;

// What the phases of a team have lost against doing all the work alone; negative if
// they won.
struct Balance {
  // 11 and 12 in turns, so that the phases of a step have theirs.
  static constexpr int kStrides = 23;

  Clock::duration lost{};
  int stride = 11;          // of so many short phases one is measured
  int until_measured = 11;  // phases
  bool is_long = false;     // the last one that was measured
};

// Remembers for a series of regions the balance of their teams, and that one was
// disbanded: for a moment, the next regions do not try to have one.
class Caution {
 public:
  bool is_on() const { return Clock::now() < until_; }
  Clock::time_point until() const { return until_; }
  void start(Clock::time_point until) {
    until_ = until;
    balance = {};
  }

  Balance balance;

 private:
  Clock::time_point until_{};
};

// What the members share. One per region.
class Team {
 public:
  Team(int max_size, const Poll& poll)
      : poll_(poll), shares_(static_cast<std::size_t>(max_size)) {}

  enum class Verdict { kGoOn, kStop, kDisband };

  // Waits until all `size` members are here. The verdict is taken once, by the last to
  // arrive, so that all members get the same one.
  Verdict barrier(int size) noexcept;

  // The place in a member's share of the next task of it.
  Index take_task(int member) noexcept {
    return shares_[static_cast<std::size_t>(member)].n_taken.fetch_add(
        1, std::memory_order_relaxed);
  }
  bool stopping() const noexcept { return stop_asked_.load(std::memory_order_relaxed); }
  void stop(std::exception_ptr error) noexcept;
  // By the calling thread only, like all that has to do with being alone.
  void disband() noexcept;
  void stay_alone(Clock::time_point until) noexcept { alone_until_ = until; }
  void start_with(const Balance& balance) noexcept { balance_ = balance; }
  const Balance& balance() const noexcept { return balance_; }
  // Whether the next phase is to be measured, and what that has lost, after some work.
  bool measures_next() noexcept {
    return balance_.is_long || --balance_.until_measured == 0;
  }
  void lose(Clock::duration time, Clock::duration work) noexcept;
  Clock::time_point alone_until() const noexcept { return alone_until_; }
  void poll_now() noexcept;

  bool was_disbanded() const noexcept { return disband_asked_.load(); }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  const Poll& poll_;
  struct alignas(kCacheLine) Share {
    std::atomic<Index> n_taken{0};
  };

  std::vector<Share> shares_;  // of the tasks of a phase, one for each member
  alignas(kCacheLine) std::atomic<int> n_arrived_{0};
  alignas(kCacheLine) std::atomic<unsigned> round_{0};
  alignas(kCacheLine) std::atomic<bool> stop_asked_{false};
  std::atomic<bool> disband_asked_{false};
  Clock::time_point alone_until_ = Clock::time_point::max();
  Verdict verdict_ = Verdict::kGoOn;  // of the last barrier
  Verdict verdict() const noexcept;
  std::atomic_flag has_error_ = ATOMIC_FLAG_INIT;
  std::exception_ptr error_;

  // Long phases are measured, and of others one stands for many. The team is disbanded
  // when they have lost so much time, some turns of the system's scheduler, which may
  // begin with all threads on one core; what they won before counts, but no more than
  // so many times their work.
  static constexpr std::chrono::microseconds kLong{20}, kMostLost{10000};
  static constexpr int kMostWon = 16;
  alignas(kCacheLine) Balance balance_;  // the calling thread's own
};

// One thread's place in the team.
class Member {
 public:
  Member(Team& team, int rank, int size, bool polls)
      : team_(team), rank_(rank), size_(size), polls_(polls) {}

  int rank() const { return rank_; }
  int size() const { return size_; }  // 0 for who was sent away

  // Whether the calling thread has worked alone for so long, on a busy machine, that a
  // new region is worth another try with a team.
  bool may_regroup() const {
    return size_ == 1 && team_.alone_until() != Clock::time_point::max() &&
           Clock::now() >= team_.alone_until();
  }

  // One phase: the tasks 0..n-1, then the barrier. A member does the same part of them
  // in every phase of n tasks, so that what they write stays in its cache; who is done
  // helps the others. False when the member is to leave the region, because the team
  // stops (some tasks have then not been done) or goes on without it.
  template <class Task>
  bool for_each(Index n_tasks, const Task& task) noexcept {
    if (size_ == 0) return false;
    const bool measured = rank_ == 0 && size_ > 1 && team_.measures_next();
    const auto start = measured ? Clock::now() : Clock::time_point();
    try {
      if (size_ == 1) {
        for (Index i = 0; i < n_tasks && proceed(); ++i) task(i);
      } else {
        for (int m = 0; m < size_; ++m) do_share((rank_ + m) % size_, n_tasks, task);
      }
    } catch (...) {
      team_.stop(std::current_exception());
    }
    return measured ? meet_and_measure(start) : meet();
  }

  // To be asked between the parts of a task that may take long. False when the team
  // stops: what is left of the task need not be done.
  bool proceed() noexcept {
    if (polls_ && --until_clock_ <= 0) look_at_clock();
    return !team_.stopping();
  }

 private:
  bool meet() noexcept {
    switch (team_.barrier(size_)) {
      case Team::Verdict::kGoOn:
        return true;
      case Team::Verdict::kDisband:
        size_ = rank_ == 0 ? 1 : 0;
        return rank_ == 0;
      case Team::Verdict::kStop:
        break;
    }
    return false;
  }
  bool meet_and_measure(Clock::time_point start) noexcept;
  void look_at_clock() noexcept;

  template <class Task>
  void do_share(int member, Index n_tasks, const Task& task) {
    const Index first = n_tasks * member / size_;
    const Index last = n_tasks * (member + 1) / size_;
    for (Index i; proceed() && (i = first + team_.take_task(member)) < last;) task(i);
  }

  Team& team_;
  int rank_;
  int size_;
  bool polls_;
  Index until_clock_ = 1;   // tasks until the clock is read again, so that
  Index clock_stride_ = 1;  // tasks of a microsecond do not each pay for it
  Clock::time_point last_look_ = Clock::now();
  Clock::time_point last_poll_ = last_look_;
};

// Runs body(member) on up to n_threads threads (fewer when no more can be had) and
// returns when all have finished: true, or false when `poll` stopped them. Rethrows
// what a task threw.
bool run_team(int n_threads, const Poll& poll, const std::function<void(Member&)>& body,
              Caution* caution = nullptr);

// The tasks 0 .. n-1 and nothing else, as one region.
template <class Task>
bool run_tasks(Index n_tasks, int n_threads, const Poll& poll, const Task& task) {
  const Index size = std::clamp<Index>(n_tasks, 1, n_threads);
  return run_team(static_cast<int>(size), poll,
                  [&](Member& member) { member.for_each(n_tasks, task); });
}

// Threads that a region would get by default now.
int max_threads();

// "OpenMP 201511" or "std::thread".
const char* team_runtime();

}  // namespace fastbp
