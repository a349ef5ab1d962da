// Comparing a team with its calling thread.
#include "fastbp/base/pace.h"

#include <algorithm>

namespace fastbp {
namespace {

// The share of the time that the calling thread has a processor on a quiet machine, at
// least. It may sleep more there too, because there are fewer tasks than threads.
constexpr double kQuiet = 0.8;

// After a trial that was a loss there is none for so many times its length.
constexpr int kRest = 30;

// So many windows in a row make a habit. Threads that have slept or are new may begin
// on one core, and stay there for some milliseconds.
constexpr int kHabit = 3;

using Seconds = std::chrono::duration<double>;

}  // namespace

double Pace::Window::seconds_of_a_step() const {
  return n_steps > 0 ? Seconds(time).count() / static_cast<double>(n_steps) : 0;
}

void Pace::add(bool by_team, Index n_steps, Clock::duration time,
               Clock::duration processor_time, Clock::time_point now) {
  if (by_team != of_team_) window_ = {};
  of_team_ = by_team;
  window_.n_steps += n_steps;
  window_.time += time;
  window_.processor_time += processor_time;
  if (!by_team) {
    alone_ = window_.seconds_of_a_step();
    return;
  }
  if (window_.time < kWindow) return;
  team_ = window_.seconds_of_a_step();
  const bool is_quiet = window_.processor_time > kQuiet * window_.time;
  n_alike_ = is_quiet == is_quiet_ ? n_alike_ + 1 : 1;
  is_quiet_ = is_quiet;
  if (n_alike_ >= kHabit && is_quiet) {
    patience_ = {};
    try_after_ = {};
  } else if (n_alike_ >= kHabit && now >= try_after_) {
    is_trial_ = true;
    alone_ = 0;
    alone_until_ = now + kWindow;
  }
  window_ = {};
}

bool Pace::wants_alone(Clock::time_point now) {
  if (is_trial_ && now >= alone_until_) {
    is_trial_ = false;
    compare(now);
  }
  return now < alone_until_;
}

// Decides for some time.
void Pace::compare(Clock::time_point now) {
  const bool alone = 0 < alone_ && alone_ < team_;
  patience_ = alone == prefers_alone_
                  ? std::clamp<Clock::duration>(2 * patience_, kShortest, kLongest)
                  : kShortest;
  prefers_alone_ = alone;
  if (alone) {
    alone_until_ = now + patience_;
  } else {
    const auto trial = of_team_ ? Clock::duration() : window_.time;
    try_after_ = now + std::max(patience_, kRest * trial);
  }
}

}  // namespace fastbp
