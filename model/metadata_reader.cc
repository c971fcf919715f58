#include "model/metadata_reader.h"

#include "absl/strings/str_cat.h"

namespace mlad {

std::string MetadataReader::FullKey(std::string_view key) const {
  return std::string(prefix_).append(key);
}

bool MetadataReader::Has(std::string_view key) const {
  return file_.FindValue(FullKey(key)) != nullptr;
}

void MetadataReader::Fail(const absl::Status& status) {
  // A missing key makes the file unusable: it is not the file that is missing.
  if (absl::IsNotFound(status)) {
    status_.Update(absl::InvalidArgumentError(status.message()));
  } else {
    status_.Update(status);
  }
}

template <typename T>
void MetadataReader::Store(std::string_view key, const absl::StatusOr<T>& value,
                           Bounds<T> bounds, T& out) {
  if (!value.ok()) return Fail(value.status());
  if (*value < bounds.min || *value > bounds.max) {
    return Fail(absl::InvalidArgumentError(absl::StrCat(
        "the metadata key '", FullKey(key), "' is ", *value, ", not from ",
        bounds.min, " to ", bounds.max, "; convert the model again")));
  }
  if (status_.ok()) out = *value;
}

void MetadataReader::Required(std::string_view key, Bounds<int64_t> bounds,
                              int64_t& out) {
  Store(key, file_.GetInt(FullKey(key)), bounds, out);
}

void MetadataReader::Required(std::string_view key, Bounds<double> bounds,
                              double& out) {
  Store(key, file_.GetFloat(FullKey(key)), bounds, out);
}

void MetadataReader::Optional(std::string_view key, Bounds<int64_t> bounds,
                              int64_t& out) {
  if (Has(key)) Required(key, bounds, out);
}

void MetadataReader::Optional(std::string_view key, Bounds<double> bounds,
                              double& out) {
  if (Has(key)) Required(key, bounds, out);
}

void MetadataReader::Optional(std::string_view key, bool& out) {
  if (!Has(key)) return;
  const absl::StatusOr<bool> value = file_.GetBool(FullKey(key));
  if (!value.ok()) return Fail(value.status());
  out = *value;
}

void MetadataReader::Optional(std::string_view key, std::string& out) {
  if (!Has(key)) return;
  const absl::StatusOr<std::string> value = file_.GetString(FullKey(key));
  if (!value.ok()) return Fail(value.status());
  out = *value;
}

}  // namespace mlad
