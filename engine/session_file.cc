#include "engine/session_file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

constexpr char kMagic[] = "MLADSESS";
constexpr uint32_t kVersion = 1;

struct Head {
  char magic[8];
  uint32_t version;
  uint32_t layers;
  uint64_t model;
  char kv_type[8];
  char kernels[8];
  int64_t row_bytes;
  int64_t pages;
  int64_t saved_at_s;
  uint64_t table_hash;
  uint64_t hash;  // of all before
};
static_assert(sizeof(Head) == 80);

struct TableRow {
  FormMask forms;
  int32_t tokens[kPagePositions];
};
static_assert(sizeof(TableRow) == 132);

constexpr int64_t kHashBytes = sizeof(uint64_t);

uint64_t HashOf(const Head& head) {
  return XXH3_64bits(&head, offsetof(Head, hash));
}
uint64_t HashOf(const std::vector<TableRow>& table) {
  return XXH3_64bits(table.data(), table.size() * sizeof(TableRow));
}
uint64_t HashOfPage(absl::Span<const std::byte> bytes, int64_t page) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(),
                              static_cast<uint64_t>(page));
}

template <size_t kSize>
void PutName(const std::string& name, char (&to)[kSize]) {
  std::memcpy(to, name.data(), std::min(name.size(), kSize));
}
template <size_t kSize>
std::string GetName(const char (&from)[kSize]) {
  return std::string(from, strnlen(from, kSize));
}

absl::Status CannotWrite(const std::string& path) {
  const int error = errno;
  const std::string sentence =
      absl::StrCat("cannot write session ", path, ": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT
             ? absl::ResourceExhaustedError(sentence)
             : absl::InternalError(sentence);
}

/// A file that becomes `path` when it is complete, and else goes away.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path), temporary_(absl::StrCat(path, ".XXXXXX")) {
    file_ = mkostemp(temporary_.data(), O_CLOEXEC);  // mode 0600
  }
  ~NewFile() {
    if (file_ < 0) return;
    close(file_);
    if (!done_) unlink(temporary_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  absl::Status Write(const void* data, size_t bytes) {
    const auto* at = static_cast<const char*>(data);
    while (bytes > 0) {
      const ssize_t written = write(file_, at, bytes);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return CannotWrite(path_);
      at += written;
      bytes -= written;
    }
    return absl::OkStatus();
  }

  absl::Status Finish() {
    if (fsync(file_) != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
      return CannotWrite(path_);
    }
    done_ = true;
    const std::string folder = path_.substr(0, path_.rfind('/'));
    const int opened = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = opened >= 0 && fsync(opened) == 0;
    const absl::Status status = synced ? absl::OkStatus() : CannotWrite(path_);
    if (opened >= 0) close(opened);
    return status;
  }

  bool is_open() const { return file_ >= 0; }

 private:
  const std::string path_;
  std::string temporary_;
  int file_ = -1;
  bool done_ = false;
};

/// False at the file's end, too.
bool ReadAt(int file, void* to, int64_t bytes, int64_t offset) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(file, at, bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= got;
    offset += got;
  }
  return true;
}

std::vector<TableRow> MakeTable(const SessionText& text) {
  std::vector<TableRow> table(text.forms.size());
  for (size_t page = 0; page < table.size(); ++page) {
    table[page].forms = text.forms[page];
    std::memcpy(table[page].tokens, text.tokens.data() + page * kPagePositions,
                sizeof(table[page].tokens));
  }
  return table;
}

int64_t PageOffset(int64_t pages, int64_t page_bytes, int64_t page) {
  return static_cast<int64_t>(sizeof(Head)) +
         pages * static_cast<int64_t>(sizeof(TableRow)) +
         page * (page_bytes + kHashBytes);
}

}  // namespace

absl::Status WriteSession(
    const std::string& path, const SessionOrigin& origin,
    const SessionText& text,
    absl::FunctionRef<absl::Span<const std::byte>(int64_t)> page) {
  const std::vector<TableRow> table = MakeTable(text);
  Head head = {};
  std::memcpy(head.magic, kMagic, sizeof(head.magic));
  head.version = kVersion;
  head.layers = static_cast<uint32_t>(origin.layers);
  head.model = origin.model;
  PutName(origin.kv_type, head.kv_type);
  PutName(origin.kernels, head.kernels);
  head.row_bytes = origin.row_bytes;
  head.pages = static_cast<int64_t>(table.size());
  head.saved_at_s = text.saved_at_s;
  head.table_hash = HashOf(table);
  head.hash = HashOf(head);

  NewFile file(path);
  if (!file.is_open()) return CannotWrite(path);
  MLAD_RETURN_IF_ERROR(file.Write(&head, sizeof head));
  MLAD_RETURN_IF_ERROR(
      file.Write(table.data(), table.size() * sizeof(TableRow)));
  for (int64_t i = 0; i < head.pages; ++i) {
    const absl::Span<const std::byte> bytes = page(i);
    const uint64_t hash = HashOfPage(bytes, i);
    MLAD_RETURN_IF_ERROR(file.Write(bytes.data(), bytes.size()));
    MLAD_RETURN_IF_ERROR(file.Write(&hash, sizeof hash));
  }
  return file.Finish();
}

SessionReader::~SessionReader() {
  if (file_ >= 0) close(file_);
}

SessionReader::SessionReader(SessionReader&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      path_(std::move(other.path_)),
      origin_(std::move(other.origin_)),
      text_(std::move(other.text_)),
      file_bytes_(other.file_bytes_) {}

absl::Status SessionReader::Damaged(const std::string& how) const {
  return absl::DataLossError(absl::StrCat("session ", path_,
                                          " is damaged: ", how,
                                          "; drop it, or put back a copy"));
}

absl::StatusOr<SessionReader> SessionReader::Open(const std::string& path) {
  SessionReader reader(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  if (reader.file_ < 0) {
    const int error = errno;
    const std::string sentence =
        absl::StrCat("cannot open session ", path, ": ", std::strerror(error));
    return error == ENOENT ? absl::NotFoundError(sentence)
                           : absl::InternalError(sentence);
  }
  MLAD_RETURN_IF_ERROR(reader.ReadHead());
  return reader;
}

absl::Status SessionReader::ReadHead() {
  struct stat facts {};
  if (fstat(file_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    return Damaged("it is no plain file");
  }
  file_bytes_ = facts.st_size;
  Head head;
  if (!ReadAt(file_, &head, sizeof head, 0) ||
      std::memcmp(head.magic, kMagic, sizeof(head.magic)) != 0) {
    return Damaged("it does not begin like one");
  }
  if (head.version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("session ", path_, " has version ", head.version,
                     " of the format; this program reads version ", kVersion));
  }
  if (head.hash != HashOf(head)) return Damaged("its head has other bytes");
  origin_ = {head.model, GetName(head.kv_type), GetName(head.kernels),
             head.layers, head.row_bytes};
  // Hashed, but a hash is no proof: sizes are compared before they are used,
  // in an order in which no product overflows.
  const int64_t most = file_bytes_ / kPagePositions;
  if (head.layers < 1 || head.row_bytes < 1 ||
      head.row_bytes > most / int64_t{head.layers} || head.pages < 0 ||
      head.pages > file_bytes_ / origin_.page_bytes() ||
      file_bytes_ != PageOffset(head.pages, origin_.page_bytes(), head.pages)) {
    return Damaged("its size is not the one that its head tells");
  }
  std::vector<TableRow> table(head.pages);
  if (!ReadAt(file_, table.data(),
              static_cast<int64_t>(table.size() * sizeof(TableRow)),
              sizeof head) ||
      head.table_hash != HashOf(table)) {
    return Damaged("its table has other bytes");
  }
  text_.saved_at_s = head.saved_at_s;
  for (const TableRow& row : table) {
    text_.forms.push_back(row.forms);
    text_.tokens.insert(text_.tokens.end(), std::begin(row.tokens),
                        std::end(row.tokens));
  }
  return absl::OkStatus();
}

absl::Status SessionReader::ReadPage(int64_t page,
                                     absl::Span<std::byte> out) const {
  const int64_t offset = PageOffset(pages(), origin_.page_bytes(), page);
  uint64_t hash = 0;
  const auto bytes = static_cast<int64_t>(out.size());
  if (bytes != origin_.page_bytes() ||
      !ReadAt(file_, out.data(), bytes, offset) ||
      !ReadAt(file_, &hash, kHashBytes, offset + bytes) ||
      hash != HashOfPage(out, page)) {
    return Damaged(absl::StrCat("page ", page, " has other bytes"));
  }
  return absl::OkStatus();
}

}  // namespace mlad
