// When a team is done without, and for how long.
#include "fastbp/base/pace.h"

#include "testing.h"

using namespace fastbp;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using Seconds = std::chrono::duration<double>;

namespace {

// A machine on which steps take so long; its clock is advanced by what is done.
struct Machine {
  microseconds team, alone;  // of a step
  double share;              // of the time in which the calling thread has a processor
  Clock::time_point now = Clock::time_point(std::chrono::hours(1));

  // Works as the pace says, in parts of a millisecond; the share of it done alone.
  double work(Pace& pace, Clock::duration time) {
    Clock::duration time_alone{};
    for (const auto end = now + time; now < end;) {
      constexpr milliseconds kPart{1};
      const bool by_team = !pace.wants_alone(now);
      now += kPart;
      if (!by_team) time_alone += kPart;
      const auto processor = std::chrono::duration_cast<Clock::duration>(share * kPart);
      pace.add(by_team, kPart / (by_team ? team : alone), kPart, processor, now);
    }
    return Seconds(time_alone) / Seconds(time);
  }
};

constexpr microseconds kShort{10}, kLong{20};
constexpr std::chrono::minutes kLater{1};

}  // namespace

TEST_CASE("on a quiet machine nobody is ever alone") {
  Pace pace;
  Machine machine{kShort, kShort, 0.95};  // even if that were faster
  CHECK(machine.work(pace, kLater) == 0);
}

TEST_CASE("a single disturbance is no reason") {
  Pace pace;
  Machine busy{kLong, kShort, 0.5}, quiet{kShort, kLong, 1};
  for (int i = 0; i < 10; ++i) {
    CHECK(busy.work(pace, 2 * Pace::kWindow) == 0);
    quiet.now = busy.now;
    CHECK(quiet.work(pace, Pace::kWindow) == 0);
    busy.now = quiet.now;
  }
}

TEST_CASE("on a busy machine the faster way is found, and kept") {
  Pace pace;
  Machine slow_team{kLong, kShort, 0.5};
  slow_team.work(pace, kLater);
  // The team gets a window now and then.
  CHECK(slow_team.work(pace, kLater) > 0.98);

  Pace other;
  Machine fast_team{kShort, kLong, 0.5};
  fast_team.work(other, kLater);
  const double trials = fast_team.work(other, kLater);
  CHECK(trials > 0.01);
  CHECK(trials < 0.02);
}

TEST_CASE("a team comes back when the machine is quiet again") {
  Pace pace;
  Machine busy{kLong, kShort, 0.5};
  busy.work(pace, kLater);
  Machine quiet{kShort, kLong, 1, busy.now};
  CHECK(kLater * quiet.work(pace, kLater) <= Pace::kLongest);
  // And what was found out is forgotten, in both directions.
  Machine again{kLong, kShort, 0.5, quiet.now};
  CHECK(again.work(pace, milliseconds(150)) > 0.4);
  Machine once_more{kShort, kLong, 1, again.now};
  CHECK(kLater * once_more.work(pace, kLater) <= Pace::kShortest);
  Machine fast_team{kShort, kLong, 0.5, once_more.now};
  fast_team.work(pace, kLater);
  once_more.now = fast_team.now;
  once_more.work(pace, milliseconds(100));
  again.now = once_more.now;
  CHECK(again.work(pace, milliseconds(150)) > 0.4);
}

TEST_CASE("a trial in which nothing was done says nothing") {
  Pace pace;
  Machine busy{kShort, kLong, 0.5};
  while (!pace.wants_alone(busy.now)) busy.work(pace, milliseconds(1));
  busy.now += Pace::kWindow;
  CHECK_FALSE(pace.wants_alone(busy.now));
  // Nor does what was measured before.
  busy.work(pace, kLater);
  Machine slower{3 * kShort, 3 * kLong, 0.5, busy.now};
  while (!pace.wants_alone(slower.now)) slower.work(pace, milliseconds(1));
  CHECK_FALSE(pace.wants_alone(slower.now + Pace::kWindow));
}

TEST_CASE("trials of long steps are rare") {
  Pace pace;
  const milliseconds step{500};
  auto now = Clock::time_point(std::chrono::hours(1));
  int n_alone = 0;
  for (int i = 0; i < 400; ++i) {
    const bool by_team = !pace.wants_alone(now);
    if (!by_team) ++n_alone;
    const auto time = by_team ? step : 4 * step;
    now += time;
    pace.add(by_team, 1, time, time / 2, now);
  }
  CHECK(n_alone > 1);
  CHECK(n_alone < 10);
}
