// The team: the threads that work on one parallel region together, and the only place
// where threads are made. A member of the team knows its rank and size, takes the tasks
// of its own share and then what others have left of theirs, and meets the others at a
// barrier at the end of each phase. That is all the rest of the core may use: no locks,
// no reductions (a sum split over threads would depend on their number), no
// thread-local state.
//
// When the machine is busy with other things, the calling thread may send the others
// away and do the rest of the region alone (pace.h): what a task computes does not
// depend on who runs it.
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

#include "fastbp/base/pace.h"
#include "fastbp/base/sizes.h"

namespace fastbp {

using Poll = std::function<bool()>;  // true: stop now

inline constexpr double kPollSeconds = 0.05;

// What the members share. One per region.
class Team {
 public:
  // `pace`: whether to go on with the team is asked there.
  Team(int max_size, const Poll& poll, Pace* pace)
      : poll_(poll), pace_(pace), shares_(static_cast<std::size_t>(max_size)) {}

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
  void poll_now() noexcept;

  // All that has to do with the pace is the calling thread's, who is alone because of
  // it, or alone because no more threads were to be had.
  void is_alone_by_pace() noexcept { is_alone_by_pace_ = true; }
  void start_clock(bool by_team) noexcept;
  void stop_clock() noexcept;
  bool step_ends(bool by_team) noexcept;

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void tell_pace(Clock::time_point now) noexcept;

  const Poll& poll_;
  Pace* pace_;
  struct alignas(kCacheLine) Share {
    std::atomic<Index> n_taken{0};
  };

  std::vector<Share> shares_;  // of the tasks of a phase, one for each member
  alignas(kCacheLine) std::atomic<int> n_arrived_{0};
  alignas(kCacheLine) std::atomic<unsigned> round_{0};
  alignas(kCacheLine) std::atomic<bool> stop_asked_{false};
  std::atomic<bool> disband_asked_{false};
  Verdict verdict_ = Verdict::kGoOn;  // of the last barrier
  Verdict verdict() const noexcept;
  std::atomic_flag has_error_ = ATOMIC_FLAG_INIT;
  std::exception_ptr error_;
  bool is_alone_by_pace_ = false;
  struct {  // of the region, since the pace was told
    bool by_team = false;
    Index n_steps = 0;
    Clock::time_point start;
    Clock::duration processor_start;
  } part_;
};

// One thread's place in the team.
class Member {
 public:
  Member(Team& team, int rank, int size, bool polls)
      : team_(team), rank_(rank), size_(size), polls_(polls) {}

  int rank() const { return rank_; }
  int size() const { return size_; }  // 0 for who was sent away

  // To be called by the calling thread, of regions that have a pace. True when it has
  // worked alone and is to have another region with a team.
  bool step_ends() { return team_.step_ends(size_ > 1); }

  // One phase: the tasks 0..n-1, then the barrier. A member does the same part of them
  // in every phase of n tasks, so that what they write stays in its cache; who is done
  // helps the others. False when the member is to leave the region, because the team
  // stops (some tasks have then not been done) or goes on without it.
  template <class Task>
  bool for_each(Index n_tasks, const Task& task) noexcept {
    if (size_ == 0) return false;
    try {
      if (size_ == 1) {
        for (Index i = 0; i < n_tasks && proceed(); ++i) task(i);
      } else {
        for (int m = 0; m < size_; ++m) do_share((rank_ + m) % size_, n_tasks, task);
      }
    } catch (...) {
      team_.stop(std::current_exception());
    }
    if (n_tasks > kManyTasks) until_clock_ = clock_stride_ = 1;  // the next may be long
    return meet();
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
  void look_at_clock() noexcept;

  template <class Task>
  void do_share(int member, Index n_tasks, const Task& task) {
    const Index first = n_tasks * member / size_;
    const Index last = n_tasks * (member + 1) / size_;
    for (Index i; proceed() && (i = first + team_.take_task(member)) < last;) task(i);
  }

  static constexpr Index kManyTasks = 16;

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
// what a task threw. With a pace, the calling thread may be alone.
bool run_team(int n_threads, const Poll& poll, const std::function<void(Member&)>& body,
              Pace* pace = nullptr);

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
