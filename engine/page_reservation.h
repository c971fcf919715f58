// Whether and how the cache holds a sequence of a given length.
#pragma once

#include <cstdint>

#include "attention/latent_cache.h"

namespace mlad {

/// The longest sequence, up to `limit` tokens, that the cache holds when empty.
int64_t LongestSequence(const PageAllocator& pages, int64_t limit);

/// Fills `table` with the pages for `tokens` tokens, on whichever first node
/// has room. False, taking nothing, when there is none.
bool ReservePages(PageAllocator& pages, int64_t tokens, PageTable& table);

}  // namespace mlad
