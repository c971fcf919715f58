// Broken internal invariants abort; everything a user, a file or the hardware
// can cause returns a Status instead.
#pragma once

namespace mlad {
/// Prints "file:line: check failed: condition" to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line,
                              const char* condition);
}  // namespace mlad

#define MLAD_CHECK(condition) \
  ((condition) ? (void)0 : ::mlad::CheckFailed(__FILE__, __LINE__, #condition))

#ifdef NDEBUG
#define MLAD_DCHECK(condition) ((void)sizeof(condition))
#else
#define MLAD_DCHECK(condition) MLAD_CHECK(condition)
#endif
