// A set of token ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlad {

/// Of a vocabulary; what lies beyond it is not allowed.
class TokenMask {
 public:
  explicit TokenMask(int64_t vocab_size)
      : words_(static_cast<size_t>((vocab_size + 63) / 64)) {}
  bool Allows(int32_t id) const {
    const auto word = static_cast<size_t>(id) / 64;
    return word < words_.size() &&
           (words_[word] >> (static_cast<uint32_t>(id) % 64) & 1) != 0;
  }
  /// `id` is within the vocabulary.
  void Allow(int32_t id) {
    words_[static_cast<size_t>(id) / 64] |= uint64_t{1}
                                            << (static_cast<uint32_t>(id) % 64);
    empty_ = false;
  }
  bool empty() const { return empty_; }

 private:
  std::vector<uint64_t> words_;
  bool empty_ = true;
};

}  // namespace mlad
