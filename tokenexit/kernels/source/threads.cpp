// Workers spin for a moment, since the next loop usually follows within microseconds, then sleep.
// One loop runs at a time: a caller that finds the pool busy does its loop alone.
#define TOKENEXIT_ISA shared
#include "threads.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace tokenexit {
namespace {

constexpr auto SPIN = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#endif
}

// Whether ready() came true while spinning.
template <class Ready> bool spin(const Ready &ready) {
  const auto until = std::chrono::steady_clock::now() + SPIN;
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < until);
  return ready();
}

thread_local bool inside = false;

class Pool {
public:
  void run(int wanted, int count, void (*body)(void *, int), void *context) {
    std::unique_lock<std::mutex> only(busy_, std::try_to_lock);
    if (!only) {
      alone(count, body, context);
      return;
    }
    grow(wanted - 1);
    helping_.store(wanted - 1, std::memory_order_relaxed);
    body_ = body;
    context_ = context;
    count_ = count;
    done_.store(0, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(sleep_);
      const uint64_t loop = (left_.load(std::memory_order_relaxed) >> 32) + 1;
      left_.store(loop << 32 | static_cast<uint32_t>(count));
    }
    if (asleep_.load() > 0) wake_.notify_all();
    share();
    while (!spin([&] { return done_.load(std::memory_order_acquire) == count; })) std::this_thread::yield();
  }

  static void alone(int count, void (*body)(void *, int), void *context) {
    const bool was = inside;
    inside = true;
    for (int i = 0; i < count; ++i) body(context, i);
    inside = was;
  }

private:
  // Whoever takes a task of a loop keeps it from ending, so the loop's fields hold; who comes too
  // late, because the machine is busy, finds nothing left and is not waited for.
  void share() {
    inside = true;
    for (uint64_t seen = left_.load(); seen & 0xffffffffu;) {
      if (!left_.compare_exchange_weak(seen, seen - 1)) continue;
      body_(context_, count_ - static_cast<int>(seen & 0xffffffffu));
      done_.fetch_add(1, std::memory_order_release);
      seen = left_.load();
    }
    inside = false;
  }

  void grow(int wanted) {
    for (; workers_ < wanted; ++workers_) std::thread([this, number = workers_] { work(number); }).detach();
  }

  void work(int number) {
    const auto called = [&] {
      return (left_.load(std::memory_order_acquire) & 0xffffffffu) && number < helping_.load(std::memory_order_relaxed);
    };
    for (;;) {
      if (!spin(called)) {
        std::unique_lock<std::mutex> lock(sleep_);
        asleep_.fetch_add(1);
        wake_.wait(lock, called);
        asleep_.fetch_sub(1);
      }
      share();
    }
  }

  std::mutex busy_, sleep_;
  std::condition_variable wake_;
  std::atomic<uint64_t> left_{0}; // number of the loop, and below it the tasks that nobody has taken
  std::atomic<int> done_{0}, asleep_{0}, helping_{0}; // helping: workers that this loop may have
  int workers_ = 0, count_ = 0;
  void (*body_)(void *, int) = nullptr;
  void *context_ = nullptr;
};

std::atomic<int> wanted{1};
// Never destroyed: its threads outlive main. A forked child has none of them and starts anew.
std::atomic<Pool *> pool{nullptr};

Pool &the_pool() {
  Pool *now = pool.load(std::memory_order_acquire);
  if (now) return *now;
#if !defined(_WIN32)
  static std::once_flag once;
  std::call_once(once, [] {
    pthread_atfork(nullptr, nullptr, [] {
      pool.store(nullptr);
      inside = false;
    });
  });
#endif
  Pool *made = new Pool;
  if (pool.compare_exchange_strong(now, made)) return *made;
  delete made;
  return *now;
}

} // namespace

void set_threads(int count) { wanted.store(count < 1 ? 1 : count > 256 ? 256 : count); }

int threads() { return inside ? 1 : wanted.load(std::memory_order_relaxed); }

void parallel_loop(int count, void (*body)(void *, int), void *context) {
  const int with = threads();
  if (count <= 1 || with <= 1) {
    Pool::alone(count, body, context);
    return;
  }
  the_pool().run(with, count, body, context);
}

} // namespace tokenexit
