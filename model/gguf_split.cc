#include "model/gguf_split.h"

#include <cctype>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "base/status.h"
#include "model/gguf_file.h"

namespace mlad {
namespace {

constexpr std::string_view kSplitNo = "split.no";
constexpr std::string_view kSplitCount = "split.count";
constexpr std::string_view kSplitTensors = "split.tensors.count";
constexpr std::string_view kRemedy =
    "; download all parts of the model again, from one place";

/// Takes `text` off the end of `from`; false when it does not end so.
bool TakeSuffix(std::string_view& from, std::string_view text) {
  if (!from.ends_with(text)) return false;
  from.remove_suffix(text.size());
  return true;
}

/// Takes five digits off the end of `from`.
bool TakeNumber(std::string_view& from, int64_t& number) {
  constexpr size_t kDigits = 5;
  if (from.size() < kDigits) return false;
  const std::string_view digits = from.substr(from.size() - kDigits);
  for (const char c : digits) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
  }
  from.remove_suffix(kDigits);
  return absl::SimpleAtoi(absl::string_view(digits.data(), digits.size()),
                          &number);
}

absl::Status CheckKey(const GgufFile& file, std::string_view key,
                      int64_t wanted) {
  if (file.FindValue(key) == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(key), " is missing", std::string(kRemedy)));
  }
  MLAD_ASSIGN_OR_RETURN(const int64_t found, file.GetInt(key));
  if (found == wanted) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(std::string(key), " is ",
                                                 found, " instead of ", wanted,
                                                 std::string(kRemedy)));
}

}  // namespace

std::string GgufPartName::Path(int64_t number) const {
  return absl::StrFormat("%s-%05d-of-%05d.gguf", prefix, number, count);
}

std::optional<GgufPartName> ParseGgufPartName(std::string_view path) {
  GgufPartName name;
  if (!TakeSuffix(path, ".gguf") || !TakeNumber(path, name.count) ||
      !TakeSuffix(path, "-of-") || !TakeNumber(path, name.part) ||
      !TakeSuffix(path, "-")) {
    return std::nullopt;
  }
  if (name.part < 1 || name.part > name.count) return std::nullopt;
  name.prefix = path;
  return name;
}

absl::StatusOr<int64_t> GgufPartCount(const GgufFile& file) {
  if (file.FindValue(kSplitCount) == nullptr) return 1;
  MLAD_ASSIGN_OR_RETURN(const int64_t count, file.GetInt(kSplitCount));
  // Some tools write 0 into files that are not split.
  if (count == 0) return 1;
  if (count < 0 || count > kMaxGgufParts) {
    return absl::InvalidArgumentError(
        absl::StrCat(std::string(kSplitCount), " is ", count,
                     " instead of 1 to ", kMaxGgufParts, std::string(kRemedy)));
  }
  return count;
}

absl::Status CheckGgufPart(const GgufFile& file, int64_t number,
                           int64_t count) {
  MLAD_RETURN_IF_ERROR(CheckKey(file, kSplitNo, number - 1));
  return CheckKey(file, kSplitCount, count);
}

absl::Status CheckGgufPartTensors(const GgufFile& first, int64_t tensors) {
  return CheckKey(first, kSplitTensors, tensors);
}

}  // namespace mlad
