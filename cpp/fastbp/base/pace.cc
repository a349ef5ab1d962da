// Comparing a team with its calling thread.
#include "fastbp/base/pace.h"

#include <algorithm>

namespace fastbp {
namespace {

// The share of the time that the calling thread has a processor on a quiet machine, at
// least. Where it sleeps more, because there are fewer tasks than threads, a trial now
// and then does little harm.
constexpr double kQuiet = 0.8;

// So many windows in a row make a habit. Threads that have slept or are new may begin
// on one core, and stay there for some milliseconds.
constexpr int kHabit = 3;

using Seconds = std::chrono::duration<double>;

}  // namespace

double Pace::Window::seconds_of_a_phase() const {
  return n_phases > 0 ? Seconds(time).count() / static_cast<double>(n_phases) : 0;
}

void Pace::add(bool by_team, Index n_phases, Clock::duration time,
               Clock::duration processor_time, Clock::time_point now) {
  if (by_team != of_team_) window_ = {};
  of_team_ = by_team;
  window_.n_phases += n_phases;
  window_.time += time;
  window_.processor_time += processor_time;
  if (!by_team) {
    alone_ = window_.seconds_of_a_phase();
    return;
  }
  if (window_.time < kWindow) return;
  team_ = window_.seconds_of_a_phase();
  const bool is_quiet = window_.processor_time > kQuiet * window_.time;
  n_alike_ = is_quiet == is_quiet_ ? n_alike_ + 1 : 1;
  is_quiet_ = is_quiet;
  if (n_alike_ >= kHabit && is_quiet) {
    patience_ = {};
  } else if (n_alike_ >= kHabit && now >= try_after_) {
    is_trial_ = true;
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
  (alone ? alone_until_ : try_after_) = now + patience_;
}

}  // namespace fastbp
