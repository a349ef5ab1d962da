// Whether a team is worth its threads. On a machine that is busy with other things its
// members wait for each other longer than they work, and one thread would be faster.
// Which it is shows when both have been tried, and a quiet machine needs no trial:
// there the calling thread has the processor nearly all the time.
#pragma once

#include <chrono>

#include "fastbp/base/sizes.h"

namespace fastbp {

using Clock = std::chrono::steady_clock;

// What a series of regions remembers of how long a step takes with a team and without.
// All is told and asked by the calling thread.
class Pace {
 public:
  // Long enough for some turns of the system's scheduler.
  static constexpr std::chrono::milliseconds kWindow{20};
  // How long what was found out is believed; doubled each time that it is confirmed.
  static constexpr std::chrono::milliseconds kShortest{200}, kLongest{1600};

  // Some steps took so long until now, and for so long the calling thread had a
  // processor.
  void add(bool by_team, Index n_steps, Clock::duration time,
           Clock::duration processor_time, Clock::time_point now);

  // Whether the calling thread is to work alone now.
  bool wants_alone(Clock::time_point now);

  void stay_alone(Clock::time_point until) { alone_until_ = until; }
  Clock::time_point alone_until() const { return alone_until_; }

 private:
  struct Window {
    Index n_steps = 0;
    Clock::duration time{}, processor_time{};

    double seconds_of_a_step() const;
  };

  void compare(Clock::time_point now);

  bool of_team_ = true;
  Window window_;
  double team_ = 0, alone_ = 0;  // seconds of a step lately, 0: not known
  bool is_quiet_ = true;         // the machine, in the last window
  int n_alike_ = 0;              // windows in a row
  bool is_trial_ = false;        // to be alone
  bool prefers_alone_ = false;
  Clock::duration patience_{};
  Clock::time_point alone_until_{}, try_after_{};
};

}  // namespace fastbp
