// Measuring time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace mlad {

using SteadyClock = std::chrono::steady_clock;

inline double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

/// Seconds that `body` takes.
template <typename Body>
double SecondsOf(Body body) {
  const auto begin = SteadyClock::now();
  body();
  return SecondsSince(begin);
}

/// Seconds of one call, the best of some passes; a pass is as many calls as
/// take some milliseconds. Others only ever make code slower.
template <typename Body>
double BestSeconds(Body body) {
  constexpr double kPassSeconds = 4e-3;
  constexpr int kPasses = 9;
  int64_t calls = 1;
  double pass_s = SecondsOf(body);
  while (pass_s < kPassSeconds) {
    calls *= 2;
    pass_s = SecondsOf([&] {
      for (int64_t i = 0; i < calls; ++i) body();
    });
  }
  double best = pass_s;
  for (int pass = 1; pass < kPasses; ++pass) {
    best = std::min(best, SecondsOf([&] {
                      for (int64_t i = 0; i < calls; ++i) body();
                    }));
  }
  return best / static_cast<double>(calls);
}

}  // namespace mlad
