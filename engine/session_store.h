// Sessions: beginnings of texts whose pages of the latent cache are kept on
// disk.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "attention/latent_cache.h"
#include "engine/engine.h"
#include "engine/session_file.h"

namespace mlad {

struct SessionInfo {
  std::string name;
  int64_t tokens = 0;
  int64_t file_bytes = 0;
  int64_t saved_at_s = 0;  // since 1970
  absl::Status status;     // of a listed one: why it cannot be restored
};

/// A folder of sessions. Thread-safe; pages are copied by the calling thread
/// while the engine goes on. Errors of all: kInvalidArgument for a name that is
/// not of 1 to 64 letters, digits, '-', '_' and '.' (not first); kNotFound when
/// there is none of that name; kUnavailable when the engine has stopped.
class SessionStore {
 public:
  struct Parts {
    Engine* engine = nullptr;
    const LatentCache* cache = nullptr;  // of the engine's pages
    int64_t prompt_chunk_tokens = 1;
    std::function<int64_t()> now_s;  // since 1970
  };
  /// The parts outlive the store. layers and row_bytes of `origin` are the
  /// cache's.
  SessionStore(std::string folder, SessionOrigin origin, Parts parts);

  /// Keeps what the cache has of the tokens' beginning: complete pages. Takes
  /// the place of a session of the same name.
  /// Errors: kFailedPrecondition when it has nothing of it; those of
  /// WriteSession.
  absl::StatusOr<SessionInfo> Save(const std::string& name,
                                   absl::Span<const int32_t> tokens);
  /// By name, those included that cannot be restored.
  /// Errors: kInternal when the folder cannot be read.
  absl::StatusOr<std::vector<SessionInfo>> List() const;
  /// Puts the pages into the cache, for requests that begin with these tokens.
  /// Errors: those of SessionReader; kFailedPrecondition for one of another
  /// model, cache type or kernels; kResourceExhausted when the cache has no
  /// room.
  absl::StatusOr<SessionInfo> Restore(const std::string& name);
  absl::Status Drop(const std::string& name);

 private:
  /// The file of a session of that name.
  absl::StatusOr<std::string> PathOf(const std::string& name) const;
  absl::Status CheckOrigin(const SessionReader& reader) const;
  absl::Span<std::byte> BytesOf(PageRef page) const;

  const std::string folder_;
  const SessionOrigin origin_;
  const Parts parts_;
};

}  // namespace mlad
