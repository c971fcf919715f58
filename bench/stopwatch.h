// Timing of short pieces of code.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace mlad {

/// Seconds that `body` takes.
template <typename Body>
double SecondsOf(Body body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin)
      .count();
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
