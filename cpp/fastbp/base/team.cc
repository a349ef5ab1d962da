// The barrier, and the two ways to make a team's threads.
#include "fastbp/base/team.h"

#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

#if FASTBP_OPENMP
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fastbp {
namespace {

// How long a barrier spins before it gives the core away: longer than the usual
// difference between two members (microseconds), shorter than what another process
// would miss.
constexpr int kSpins = 1500;

// For how long this thread had a processor. Where the system does not tell: always, so
// that teams are kept.
Clock::duration processor_time() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec t;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
  }
#endif
  return Clock::now().time_since_epoch();
}

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("isb");  // as long as x86's; yield takes no time on most cores
#endif
}

}  // namespace

Team::Verdict Team::verdict() const noexcept {
  if (stopping()) return Verdict::kStop;
  const bool disband = disband_asked_.load(std::memory_order_relaxed);
  return disband ? Verdict::kDisband : Verdict::kGoOn;
}

Team::Verdict Team::barrier(int size) noexcept {
  if (size == 1) return verdict();
  const unsigned round = round_.load(std::memory_order_acquire);
  if (n_arrived_.fetch_add(1, std::memory_order_acq_rel) == size - 1) {
    n_arrived_.store(0, std::memory_order_relaxed);
    for (int i = 0; i < size; ++i) {
      shares_[static_cast<std::size_t>(i)].n_taken.store(0, std::memory_order_relaxed);
    }
    verdict_ = verdict();
    round_.store(round + 1, std::memory_order_release);
    round_.notify_all();
  } else {
    for (int i = 0; i < kSpins && round_.load(std::memory_order_acquire) == round; ++i)
      pause();
    while (round_.load(std::memory_order_acquire) == round) round_.wait(round);
  }
  return verdict_;
}

void Team::start_clock(bool by_team) noexcept {
  if (pace_ != nullptr) part_ = {by_team, 0, Clock::now(), processor_time()};
}

void Team::stop_clock() noexcept {
  if (pace_ != nullptr) tell_pace(Clock::now());
}

void Team::tell_pace(Clock::time_point now) noexcept {
  const auto processor = processor_time();
  pace_->add(part_.by_team, part_.n_steps, now - part_.start,
             processor - part_.processor_start, now);
  part_ = {part_.by_team, 0, now, processor};
}

bool Team::step_ends(bool by_team) noexcept {
  if (!by_team && !is_alone_by_pace_) pace_ = nullptr;
  if (pace_ == nullptr) return false;
  if (by_team != part_.by_team) {  // the others have left within this step
    start_clock(by_team);
    return false;
  }
  ++part_.n_steps;
  const auto now = Clock::now();
  if (!by_team) {
    if (now < pace_->alone_until()) return false;
    tell_pace(now);
    return !pace_->wants_alone(now);
  }
  if (now - part_.start >= Pace::kWindow) {
    tell_pace(now);
    is_alone_by_pace_ = pace_->wants_alone(now);
    if (is_alone_by_pace_) disband_asked_.store(true, std::memory_order_relaxed);
  }
  return false;
}

void Team::stop(std::exception_ptr error) noexcept {
  if (error && !has_error_.test_and_set()) error_ = error;
  stop_asked_.store(true, std::memory_order_relaxed);
}

void Team::poll_now() noexcept {
  try {
    if (poll_ && poll_()) stop(nullptr);
  } catch (...) {
    stop(std::current_exception());
  }
}

void Member::look_at_clock() noexcept {
  using Seconds = std::chrono::duration<double>;
  const auto now = Clock::now();
  const double since_look = Seconds(now - last_look_).count();
  last_look_ = now;
  constexpr Index kMaxStride = 256;
  constexpr double kOften = 0.001;  // seconds between two looks at the clock
  if (since_look < kOften) {
    clock_stride_ = std::min(2 * clock_stride_, kMaxStride);
  } else {
    clock_stride_ = 1;
  }
  until_clock_ = clock_stride_;
  if (Seconds(now - last_poll_).count() < kPollSeconds) return;
  last_poll_ = now;
  team_.poll_now();
}

namespace {

using Body = std::function<void(Member&)>;

// Starts as many threads as the system gives, up to n; `work(i)` runs in each.
template <class Work>
std::vector<std::thread> start_threads(int n, const Work& work) {
  std::vector<std::thread> threads;
  try {
    threads.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) threads.emplace_back(work, i);
  } catch (...) {
    // No more threads, or no memory for them: the team works with those it has.
  }
  return threads;
}

void join_all(std::vector<std::thread>& threads) {
  for (auto& thread : threads) thread.join();
}

void run_alone(Team& team, const Body& body) {
  team.start_clock(false);
  Member member(team, 0, 1, true);
  body(member);
  team.stop_clock();
}

#if FASTBP_OPENMP

// libgomp ends the process when it cannot make a thread. So when a thread wants a
// larger team than its last one, as many std::threads as are new are made and ended,
// whose failure can be caught.
int affordable_threads(int n_threads, int n_last) {
  if (n_threads <= n_last) return n_threads;
  std::atomic<bool> go{false};
  auto threads = start_threads(n_threads - n_last, [&go](int) { go.wait(false); });
  go.store(true);
  go.notify_all();
  const int n = n_last + static_cast<int>(threads.size());
  join_all(threads);
  return n;
}

void run_region(int n_threads, Team& team, const Body& body, bool caller_polls) {
  // Of this thread's last region. Not of its largest: after a smaller one, libgomp ends
  // the threads that were too many.
  thread_local int n_last = 1;
  n_threads = n_last = affordable_threads(n_threads, n_last);
  team.start_clock(true);
#pragma omp parallel num_threads(n_threads)
  {
    const int rank = omp_get_thread_num();
    Member member(team, rank, omp_get_num_threads(), rank == 0 && caller_polls);
    body(member);
  }
  team.stop_clock();
}

#else

void run_region(int n_threads, Team& team, const Body& body, bool caller_polls) {
  std::atomic<int> size{0};  // known when all threads that could be made are there
  auto threads = start_threads(n_threads - 1, [&](int i) {
    size.wait(0);
    Member member(team, i + 1, size.load(), false);
    body(member);
  });
  team.start_clock(true);
  size.store(1 + static_cast<int>(threads.size()));
  size.notify_all();
  Member member(team, 0, size.load(), caller_polls);
  body(member);
  join_all(threads);
  team.stop_clock();
}

#endif

// After fork() the threads of the parent's OpenMP pool do not exist in the child, but
// the forking thread's pool still counts on them and would wait for ever.
std::atomic<bool> forked{false};

bool watch_forks() {
#if FASTBP_OPENMP && (defined(__unix__) || defined(__APPLE__))
  pthread_atfork(nullptr, nullptr, [] { forked.store(true); });
#endif
  return true;
}
const bool watching_forks = watch_forks();

// In a forked child: the region starts from a new thread, which has a new pool, while
// the calling thread polls.
void run_region_from_new_thread(int n_threads, Team& team, const Body& body) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  const auto region = [&] {
    try {
      run_region(n_threads, team, body, false);
    } catch (...) {
      team.stop(std::current_exception());
    }
    const std::lock_guard lock(mutex);
    done = true;
    finished.notify_one();
  };
  auto threads = start_threads(1, [&](int) { region(); });
  if (threads.empty()) return run_alone(team, body);
  std::unique_lock lock(mutex);
  while (!finished.wait_for(lock, std::chrono::duration<double>(kPollSeconds),
                            [&] { return done; })) {
    lock.unlock();
    team.poll_now();
    lock.lock();
  }
  lock.unlock();
  join_all(threads);
}

}  // namespace

bool run_team(int n_threads, const Poll& poll, const Body& body, Pace* pace) {
  if (n_threads <= 1) pace = nullptr;
  const bool wants_alone = pace != nullptr && pace->wants_alone(Clock::now());
  if (wants_alone) n_threads = 1;
  Team team(std::max(n_threads, 1), poll, pace);
  if (wants_alone) team.is_alone_by_pace();
  if (n_threads <= 1) {
    run_alone(team, body);
  } else if (forked.load() && watching_forks) {
    run_region_from_new_thread(n_threads, team, body);
  } else {
    run_region(n_threads, team, body, true);
  }
  team.rethrow();
  return !team.stopping();
}

#if FASTBP_OPENMP

int max_threads() { return omp_get_max_threads(); }

#define FASTBP_STRINGIFY_(x) #x
#define FASTBP_STRINGIFY(x) FASTBP_STRINGIFY_(x)
const char* team_runtime() { return "OpenMP " FASTBP_STRINGIFY(_OPENMP); }

#else

int max_threads() {
  const char* asked = std::getenv("OMP_NUM_THREADS");
  const int n = asked != nullptr ? std::atoi(asked) : 0;
  return n > 0 ? n : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

const char* team_runtime() { return "std::thread"; }

#endif

}  // namespace fastbp
