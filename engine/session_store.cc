#include "engine/session_store.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "base/status.h"
#include "engine/sequence_pages.h"

namespace mlad {
namespace {

constexpr char kSuffix[] = ".mlad-session";
constexpr size_t kLongestName = 64;

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  c == '-' || c == '_' || c == '.';
         });
}

SessionInfo InfoOf(const std::string& name, const SessionReader& reader) {
  return {name, static_cast<int64_t>(reader.text().tokens.size()),
          reader.file_bytes(), reader.text().saved_at_s, absl::OkStatus()};
}

/// Pages that stay in the cache while this lives.
class HeldPages {
 public:
  HeldPages(Engine& engine, absl::Span<const int32_t> tokens,
            const PageForms& forms)
      : engine_(engine), status_(engine.BetweenSteps([&](SequencePages& pages) {
          match_ = pages.Hold(tokens, forms);
        })) {}
  ~HeldPages() {
    // An engine that has stopped has let go of everything.
    engine_.BetweenSteps([&](SequencePages& pages) { pages.LetGo(match_); })
        .IgnoreError();
  }
  HeldPages(const HeldPages&) = delete;
  HeldPages& operator=(const HeldPages&) = delete;

  const absl::Status& status() const { return status_; }
  const PrefixCache::Match& match() const { return match_; }

 private:
  Engine& engine_;
  PrefixCache::Match match_;
  absl::Status status_;
};

}  // namespace

SessionStore::SessionStore(std::string folder, SessionOrigin origin,
                           Parts parts)
    : folder_(std::move(folder)),
      origin_([&] {
        origin.layers = parts.cache->shape().layers;
        origin.row_bytes = parts.cache->row_bytes();
        return std::move(origin);
      }()),
      parts_(std::move(parts)) {}

absl::StatusOr<std::string> SessionStore::PathOf(
    const std::string& name) const {
  if (!IsName(name)) {
    return absl::InvalidArgumentError(
        "a session's name has 1 to 64 letters, digits, '-', '_' and '.', and "
        "does not begin with '.'");
  }
  return absl::StrCat(folder_, "/", name, kSuffix);
}

absl::Span<std::byte> SessionStore::BytesOf(PageRef page) const {
  return {parts_.cache->Rows(page, 0),
          static_cast<size_t>(parts_.cache->page_bytes())};
}

absl::StatusOr<SessionInfo> SessionStore::Save(
    const std::string& name, absl::Span<const int32_t> tokens) {
  MLAD_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  const HeldPages held(*parts_.engine, tokens,
                       PageForms(static_cast<int64_t>(tokens.size()),
                                 parts_.prompt_chunk_tokens));
  MLAD_RETURN_IF_ERROR(held.status());
  const PrefixCache::Match& match = held.match();
  if (match.pages.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the cache holds no complete page (", kPagePositions,
        " tokens) of this text's beginning; generate from it first"));
  }
  SessionText text;
  text.forms = match.forms;
  text.saved_at_s = parts_.now_s();
  const auto kept = match.pages.size() * kPagePositions;
  text.tokens.assign(tokens.begin(), tokens.begin() + kept);
  MLAD_RETURN_IF_ERROR(WriteSession(path, origin_, text, [&](int64_t page) {
    return BytesOf(match.pages[page]);
  }));
  MLAD_ASSIGN_OR_RETURN(const SessionReader written, SessionReader::Open(path));
  return InfoOf(name, written);
}

absl::StatusOr<std::vector<SessionInfo>> SessionStore::List() const {
  std::error_code error;
  std::filesystem::directory_iterator files(folder_, error);
  std::vector<SessionInfo> sessions;
  for (; !error && files != std::filesystem::directory_iterator();
       files.increment(error)) {
    const std::string path = files->path();
    absl::string_view name = path;
    name.remove_prefix(folder_.size() + 1);
    if (!absl::ConsumeSuffix(&name, kSuffix)) continue;
    const absl::StatusOr<SessionReader> reader = SessionReader::Open(path);
    if (absl::IsNotFound(reader.status())) continue;  // dropped meanwhile
    SessionInfo info;
    info.name = std::string(name);
    info.status = reader.status();
    if (reader.ok()) {
      info = InfoOf(info.name, *reader);
      info.status = CheckOrigin(*reader);
    }
    sessions.push_back(std::move(info));
  }
  if (error) {
    return absl::InternalError(absl::StrCat("cannot list the sessions in ",
                                            folder_, ": ", error.message()));
  }
  std::sort(sessions.begin(), sessions.end(),
            [](const SessionInfo& a, const SessionInfo& b) {
              return a.name < b.name;
            });
  return sessions;
}

absl::Status SessionStore::CheckOrigin(const SessionReader& reader) const {
  const SessionOrigin& origin = reader.origin();
  const auto other = [](absl::string_view what, absl::string_view its,
                        absl::string_view ours) {
    return absl::FailedPreconditionError(
        absl::StrCat("the session was saved with another ", what, its,
                     "; this daemon has ", ours));
  };
  if (origin.model != origin_.model || origin.layers != origin_.layers) {
    return other("model", "", "one with other weights, or of another file");
  }
  if (origin.kv_type != origin_.kv_type ||
      origin.row_bytes != origin_.row_bytes) {
    return other("cache type, ", origin.kv_type, origin_.kv_type);
  }
  if (origin.kernels != origin_.kernels) {
    return other("set of kernels, ", origin.kernels, origin_.kernels);
  }
  return absl::OkStatus();
}

absl::StatusOr<SessionInfo> SessionStore::Restore(const std::string& name) {
  MLAD_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  MLAD_ASSIGN_OR_RETURN(const SessionReader reader, SessionReader::Open(path));
  MLAD_RETURN_IF_ERROR(CheckOrigin(reader));
  const SessionText& text = reader.text();
  PageTable table;
  bool has_room = false;
  MLAD_RETURN_IF_ERROR(parts_.engine->BetweenSteps([&](SequencePages& pages) {
    has_room = pages.Reserve(text.tokens, &table);
  }));
  if (!has_room) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the cache has no room for the session's ", text.tokens.size(),
        " tokens; wait until other requests finish, or restart with a larger "
        "--context"));
  }
  absl::Status status;
  for (int64_t i = 0; i < reader.pages() && status.ok(); ++i) {
    status = reader.ReadPage(i, BytesOf(table.pages[i]));
  }
  MLAD_RETURN_IF_ERROR(parts_.engine->BetweenSteps([&](SequencePages& pages) {
    if (status.ok()) {
      pages.Adopt(text.tokens, text.forms, table);
    } else {
      pages.GiveBack(table);
    }
  }));
  MLAD_RETURN_IF_ERROR(status);
  return InfoOf(name, reader);
}

absl::Status SessionStore::Drop(const std::string& name) {
  MLAD_ASSIGN_OR_RETURN(const std::string path, PathOf(name));
  if (unlink(path.c_str()) == 0) return absl::OkStatus();
  const int error = errno;
  const std::string sentence =
      absl::StrCat("cannot drop session ", path, ": ", std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(sentence)
                         : absl::InternalError(sentence);
}

}  // namespace mlad
