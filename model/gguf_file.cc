#include "model/gguf_file.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include <xxhash.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/gguf_cursor.h"
#include "model/gguf_metadata.h"
#include "model/gguf_split.h"
#include "model/gguf_tensors.h"
#include "model/mapped_file.h"

namespace mlad {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kBigEndianMagic = "FUGG";
constexpr uint32_t kOldestVersion = 2;
constexpr uint32_t kNewestVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;
constexpr int64_t kMinAlignment = 8;
constexpr int64_t kMaxAlignment = 1 << 30;

absl::Status BigEndianError() {
  return absl::UnimplementedError(
      "the file is big-endian, which mlad does not read; use the little-endian "
      "file of the model or convert it");
}

absl::Status CheckMagic(GgufCursor& cursor) {
  char magic[4] = {};
  for (char& c : magic) {
    if (!cursor.Read(c)) return GgufTruncatedError("its first four bytes");
  }
  const std::string_view text(magic, sizeof magic);
  if (text == kMagic) return absl::OkStatus();
  if (text == kBigEndianMagic) return BigEndianError();
  return absl::InvalidArgumentError(absl::StrCat(
      "this is not a GGUF file: it begins with ", QuotedForMessage(text),
      " instead of 'GGUF'; give a model "
      "in the GGUF format"));
}

absl::Status CheckVersion(GgufCursor& cursor) {
  uint32_t version = 0;
  if (!cursor.Read(version)) return GgufTruncatedError("its version");
  if (version >= kOldestVersion && version <= kNewestVersion) {
    return absl::OkStatus();
  }
  if (version == 1) {
    return absl::UnimplementedError(
        "the file has version 1 of the GGUF format, of 2023, and mlad reads "
        "versions 2 and 3; convert the model again with a current converter");
  }
  const uint32_t swapped = __builtin_bswap32(version);
  if (swapped >= 1 && swapped <= kNewestVersion) return BigEndianError();
  return absl::UnimplementedError(absl::StrCat(
      "the file has version ", version,
      " of the GGUF format and mlad reads versions 2 and 3; convert the model "
      "to version 3"));
}

/// The alignment of the data section.
absl::StatusOr<uint64_t> Alignment(const GgufFile& file) {
  constexpr std::string_view kKey = "general.alignment";
  if (file.FindValue(kKey) == nullptr) return kDefaultAlignment;
  MLAD_ASSIGN_OR_RETURN(const int64_t alignment, file.GetInt(kKey));
  if (alignment < kMinAlignment || alignment > kMaxAlignment ||
      (alignment & (alignment - 1)) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        std::string(kKey), " is ", alignment, ", not a power of two of ",
        kMinAlignment, " to ", kMaxAlignment, "; convert the model again"));
  }
  return static_cast<uint64_t>(alignment);
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("'", path, "': ", status.message()));
}

absl::Status MissingKeyError(std::string_view key) {
  return absl::NotFoundError(
      absl::StrCat("the metadata key ", QuotedForMessage(key),
                   " is missing; convert the model again"));
}

absl::Status WrongTypeError(std::string_view key, const char* wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("the metadata key ", QuotedForMessage(key), " is not ",
                   wanted, "; convert the model again"));
}

}  // namespace

int64_t GgufTensor::rows() const {
  int64_t rows = 1;
  for (size_t d = 1; d < shape.size(); ++d) rows *= shape[d];
  return rows;
}

struct GgufFile::Impl {
  GgufMetadata metadata;
  GgufTensors tensors;
  std::vector<std::unique_ptr<MappedFile>> files;
};

GgufFile::GgufFile() : impl_(std::make_unique<Impl>()) {}
GgufFile::~GgufFile() = default;

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::ParsePart(
    absl::Span<const std::byte> data, const Options& options) {
  GgufCursor cursor(data);
  MLAD_RETURN_IF_ERROR(CheckMagic(cursor));
  MLAD_RETURN_IF_ERROR(CheckVersion(cursor));
  uint64_t tensor_count = 0, metadata_count = 0;
  if (!cursor.Read(tensor_count) || !cursor.Read(metadata_count)) {
    return GgufTruncatedError("its counts of tensors and metadata keys");
  }
  std::unique_ptr<GgufFile> file(new GgufFile());
  MLAD_RETURN_IF_ERROR(
      ReadGgufMetadata(cursor, metadata_count, file->impl_->metadata));
  GgufTensorSection section;
  section.file = data;
  section.count = tensor_count;
  section.header_only = options.header_only;
  MLAD_ASSIGN_OR_RETURN(section.alignment, Alignment(*file));
  MLAD_RETURN_IF_ERROR(ReadGgufTensors(cursor, section, file->impl_->tensors));
  return file;
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::OpenPart(
    const std::string& path, const Options& options) {
  MLAD_ASSIGN_OR_RETURN(std::unique_ptr<MappedFile> mapped,
                        MappedFile::Open(path));
  absl::StatusOr<std::unique_ptr<GgufFile>> file =
      ParsePart(mapped->bytes(), options);
  if (!file.ok()) return WithPath(path, file.status());
  (*file)->impl_->files.push_back(std::move(mapped));
  return file;
}

absl::Status GgufFile::AddPart(std::unique_ptr<GgufFile> part) {
  Impl& from = *part->impl_;
  impl_->tensors.merge(from.tensors);
  if (!from.tensors.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the tensor ", QuotedForMessage(from.tensors.begin()->first),
        " is in an earlier part too; download all parts of the model again, "
        "from one place"));
  }
  impl_->files.push_back(std::move(from.files.front()));
  return absl::OkStatus();
}

absl::Status GgufFile::AddOtherParts(const std::string& path,
                                     const Options& options) {
  MLAD_ASSIGN_OR_RETURN(const int64_t count, GgufPartCount(*this));
  if (count == 1) return absl::OkStatus();
  const std::optional<GgufPartName> name = ParseGgufPartName(path);
  if (!name.has_value() || name->count != count) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the file is one of ", count,
        " parts but its name does not end in '-00001-of-",
        absl::Dec(count, absl::kZeroPad5),
        ".gguf'; give all parts the names they were published with"));
  }
  if (name->part != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file is part ", name->part, " of ", count,
                     "; give the path of the first, '", name->Path(1), "'"));
  }
  MLAD_RETURN_IF_ERROR(CheckGgufPart(*this, 1, count));
  for (int64_t number = 2; number <= count; ++number) {
    const std::string part_path = name->Path(number);
    absl::StatusOr<std::unique_ptr<GgufFile>> part =
        OpenPart(part_path, options);
    if (absl::IsNotFound(part.status())) {
      return absl::NotFoundError(
          absl::StrCat("part ", number, " of ", count, ", '", part_path,
                       "', is missing; put all parts into one folder"));
    }
    MLAD_RETURN_IF_ERROR(part.status());
    absl::Status status = CheckGgufPart(**part, number, count);
    if (status.ok()) status = AddPart(*std::move(part));
    if (!status.ok()) return WithPath(part_path, status);
  }
  return CheckGgufPartTensors(*this,
                              static_cast<int64_t>(impl_->tensors.size()));
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Open(
    const std::string& path, const Options& options) {
  MLAD_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file,
                        OpenPart(path, options));
  const absl::Status status = file->AddOtherParts(path, options);
  if (!status.ok()) return WithPath(path, status);
  return file;
}

absl::StatusOr<std::unique_ptr<GgufFile>> GgufFile::Parse(
    absl::Span<const std::byte> data, const Options& options) {
  MLAD_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file,
                        ParsePart(data, options));
  MLAD_ASSIGN_OR_RETURN(const int64_t parts, GgufPartCount(*file));
  if (parts != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data is one of ", parts,
                     " parts of a model; open the first part by its path"));
  }
  return file;
}

const std::map<std::string, GgufValue, std::less<>>& GgufFile::metadata()
    const {
  return impl_->metadata;
}

const std::map<std::string, GgufTensor, std::less<>>& GgufFile::tensors()
    const {
  return impl_->tensors;
}

const GgufValue* GgufFile::FindValue(std::string_view key) const {
  const auto found = impl_->metadata.find(key);
  return found == impl_->metadata.end() ? nullptr : &found->second;
}

const GgufTensor* GgufFile::FindTensor(std::string_view name) const {
  const auto found = impl_->tensors.find(name);
  return found == impl_->tensors.end() ? nullptr : &found->second;
}

absl::StatusOr<int64_t> GgufFile::GetInt(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return MissingKeyError(key);
  if (const int64_t* number = std::get_if<int64_t>(value)) return *number;
  const uint64_t* number = std::get_if<uint64_t>(value);
  if (number == nullptr) return WrongTypeError(key, "an integer");
  if (*number > std::numeric_limits<int64_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the metadata key ", QuotedForMessage(key), " is ",
                     *number, ", out of range; convert the model again"));
  }
  return static_cast<int64_t>(*number);
}

absl::StatusOr<double> GgufFile::GetFloat(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return MissingKeyError(key);
  const double* number = std::get_if<double>(value);
  if (number == nullptr) return WrongTypeError(key, "a floating-point number");
  if (!std::isfinite(*number)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the metadata key ", QuotedForMessage(key), " is ", *number,
        ", not a finite number; convert the model "
        "again"));
  }
  return *number;
}

absl::StatusOr<bool> GgufFile::GetBool(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return MissingKeyError(key);
  const bool* truth = std::get_if<bool>(value);
  if (truth == nullptr) return WrongTypeError(key, "a boolean");
  return *truth;
}

absl::StatusOr<std::string> GgufFile::GetString(std::string_view key) const {
  const GgufValue* value = FindValue(key);
  if (value == nullptr) return MissingKeyError(key);
  const std::string* text = std::get_if<std::string>(value);
  if (text == nullptr) return WrongTypeError(key, "a string");
  return *text;
}

uint64_t GgufFile::Fingerprint() const {
  uint64_t print = 0;
  for (const auto& file : impl_->files) {
    const absl::Span<const std::byte> bytes = file->bytes();
    const std::byte* header_end = bytes.data() + bytes.size();
    for (const auto& [name, tensor] : impl_->tensors) {
      if (tensor.data >= bytes.data()) {
        header_end = std::min(header_end, tensor.data);
      }
    }
    print = XXH3_64bits_withSeed(bytes.data(), header_end - bytes.data(),
                                 print ^ file->fingerprint());
  }
  return print;
}

const MappedFile* GgufFile::FileOf(absl::Span<const std::byte> part) const {
  const auto inside = [&](const std::unique_ptr<MappedFile>& file) {
    const absl::Span<const std::byte> bytes = file->bytes();
    return std::less_equal<>()(bytes.data(), part.data()) &&
           std::less<>()(part.data(), bytes.data() + bytes.size());
  };
  const auto found =
      std::find_if(impl_->files.begin(), impl_->files.end(), inside);
  return found == impl_->files.end() ? nullptr : found->get();
}

absl::Status GgufFile::ReadIn(absl::Span<const std::byte> part) const {
  const MappedFile* file = FileOf(part);
  return file == nullptr ? absl::OkStatus() : file->ReadIn(part);
}

void GgufFile::DropPageCache(absl::Span<const std::byte> part) const {
  const MappedFile* file = FileOf(part);
  if (file != nullptr) file->DropPageCache(part);
}

void GgufFile::DropPageCache() const {
  for (const auto& file : impl_->files) file->DropPageCache();
}

}  // namespace mlad
