// A session's file: the tokens of a text's beginning and their pages of the
// latent cache. Numbers are little-endian.
//
//   bytes  what
//   8      "MLADSESS"
//   4      version: 1
//   4      layers
//   8      print of the weights (model/weights_print.h)
//   8      type of the cache, padded with zeros: "q8_kv"
//   8      kernels whose bits these are, the same way: "avx512"
//   8      bytes of a stored row
//   8      number of pages
//   8      when it was saved: seconds since 1970
//   8      XXH3 of the table
//   8      XXH3 of all before
//   table, for each page:
//   4      its positions' forms (engine/page_forms.h)
//   128    its tokens: 32 ids of 4 bytes
//   pages, each:
//   layers * 32 * row bytes   the stored rows, layer by layer
//   8      their XXH3, seeded with the page's number
//
// Pages hold the same bytes on any number of nodes, so a session can be
// restored on another one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "engine/page_forms.h"

namespace mlad {

/// What a session is of, apart from its text. Pages of another one are of no
/// use.
struct SessionOrigin {
  uint64_t model = 0;
  std::string kv_type;  // of up to 8 bytes, like the next one
  std::string kernels;
  int64_t layers = 0;
  int64_t row_bytes = 0;

  int64_t page_bytes() const { return layers * kPagePositions * row_bytes; }
};

struct SessionText {
  std::vector<int32_t> tokens;  // kPagePositions for each page
  std::vector<FormMask> forms;  // [pages]
  int64_t saved_at_s = 0;       // since 1970
};

/// Writes a file beside `path` and renames it: a reader finds what was there
/// before or all of it. Only its owner may read it. `page(i)` gives the
/// page_bytes of a page.
/// Errors: kResourceExhausted when the disk is full, kInternal for others.
absl::Status WriteSession(
    const std::string& path, const SessionOrigin& origin,
    const SessionText& text,
    absl::FunctionRef<absl::Span<const std::byte>(int64_t)> page);

class SessionReader {
 public:
  /// Reads and checks all but the pages.
  /// Errors: kNotFound; kDataLoss for a file that is damaged or none of these;
  /// kFailedPrecondition for a version that is not known.
  static absl::StatusOr<SessionReader> Open(const std::string& path);
  ~SessionReader();
  SessionReader(SessionReader&& other) noexcept;
  SessionReader& operator=(SessionReader&& other) = delete;

  const SessionOrigin& origin() const { return origin_; }
  const SessionText& text() const { return text_; }
  int64_t pages() const { return static_cast<int64_t>(text_.forms.size()); }
  int64_t file_bytes() const { return file_bytes_; }
  /// To out [page_bytes]. Errors: kDataLoss.
  absl::Status ReadPage(int64_t page, absl::Span<std::byte> out) const;

 private:
  SessionReader(int file, std::string path)
      : file_(file), path_(std::move(path)) {}
  absl::Status ReadHead();
  absl::Status Damaged(const std::string& how) const;

  int file_;
  std::string path_;
  SessionOrigin origin_;
  SessionText text_;
  int64_t file_bytes_ = 0;
};

}  // namespace mlad
