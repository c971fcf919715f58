// Lays out arrays one after another in a region; run once to measure and once
// more, over real memory, to place.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mlad {

class BumpAllocator {
 public:
  /// base is 64-byte aligned; null measures: the pointers handed out must not
  /// be dereferenced.
  explicit BumpAllocator(std::byte* base = nullptr)
      : base_(base == nullptr ? kMeasuringBase
                              : reinterpret_cast<uintptr_t>(base)) {}

  /// `count` elements, 64-byte aligned.
  template <typename T>
  T* Take(int64_t count) {
    const uintptr_t at = base_ + used_;
    used_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return reinterpret_cast<T*>(at);  // NOLINT(performance-no-int-to-ptr)
  }

  /// Arrays that are never in use together: each `lay` starts at the same
  /// place, and what is taken afterwards lies behind the largest.
  template <typename... Lay>
  void Overlay(Lay... lay) {
    const int64_t begin = used_;
    int64_t end = begin;
    ((used_ = begin, lay(), end = used_ > end ? used_ : end), ...);
    used_ = end;
  }

  int64_t used_bytes() const { return used_; }

 private:
  static constexpr uintptr_t kMeasuringBase = 64;  // keeps null out of sums

  uintptr_t base_;
  int64_t used_ = 0;
};

}  // namespace mlad
