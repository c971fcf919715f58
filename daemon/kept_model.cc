#include "daemon/kept_model.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "model/mapped_file.h"
#include "numa/placement_plan.h"

namespace mlad {
namespace {

using Json = nlohmann::json;

constexpr char kManifest[] = "manifest";
constexpr int64_t kMaxManifestBytes = 1 << 20;

uint64_t Hash(absl::Span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string ReadAll(int descriptor) {
  struct stat file {};
  if (fstat(descriptor, &file) != 0 || file.st_size > kMaxManifestBytes) {
    return "";
  }
  std::string text(static_cast<size_t>(file.st_size), '\0');
  const ssize_t got = pread(descriptor, text.data(), text.size(), 0);
  return got == file.st_size ? text : "";
}

/// What differs, or nothing.
std::string Difference(const Json& stored, const ModelIdentity& identity) {
  if (stored.at("program") != identity.program) return "the program";
  if (stored.at("model") != identity.model) return "the model";
  if (stored.at("plan") != identity.plan) return "the plan";
  return "";
}

/// Stored descriptors by name; the manifest's apart.
struct Stored {
  int manifest = -1;
  KeptRegions regions;
};

Stored Sort(const ServiceManager& manager) {
  Stored stored;
  for (const PassedDescriptor& passed : manager.stored()) {
    if (passed.name == kManifest) {
      stored.manifest = passed.descriptor;
    } else {
      stored.regions[passed.name].descriptor = passed.descriptor;
    }
  }
  return stored;
}

absl::Status ReadManifest(Stored& stored, const ModelIdentity& identity) {
  const Json manifest = Json::parse(ReadAll(stored.manifest), nullptr,
                                    /*allow_exceptions=*/false);
  if (manifest.is_discarded()) {
    return absl::DataLossError("its description is missing or damaged");
  }
  try {
    const std::string difference = Difference(manifest, identity);
    if (!difference.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(difference, " has changed since"));
    }
    for (const auto& [name, region] : manifest.at("regions").items()) {
      const auto found = stored.regions.find(name);
      if (found == stored.regions.end()) {
        return absl::DataLossError(absl::StrCat(
            name, " is missing; FileDescriptorStoreMax= may be too small"));
      }
      found->second.bytes = region.at("bytes");
      found->second.checksum = region.at("checksum");
    }
  } catch (const Json::exception& error) {
    return absl::DataLossError(
        absl::StrCat("its description is damaged: ", error.what()));
  }
  return absl::OkStatus();
}

void ForgetAll(const ServiceManager& manager) {
  for (const PassedDescriptor& passed : manager.stored()) {
    manager.Forget(passed.name);
  }
}

}  // namespace

absl::StatusOr<ModelIdentity> IdentifyModel(const GgufFile& file,
                                            const Hyperparameters& shape,
                                            const Topology& topology,
                                            const LoadOptions& options) {
  ModelIdentity identity;
  MLAD_ASSIGN_OR_RETURN(const auto program, MappedFile::Open("/proc/self/exe"));
  identity.program = Hash(program->bytes());
  identity.model = file.Fingerprint();
  MLAD_ASSIGN_OR_RETURN(const PlacementPlan plan,
                        PlanModel(file, shape, topology, options));
  const std::string text =
      absl::StrCat(PlanAsJson(plan), std::string(KvTypeName(options.kv_type)));
  identity.plan = XXH3_64bits(text.data(), text.size());
  return identity;
}

absl::StatusOr<KeptRegions> TakeStored(const ServiceManager& manager,
                                       const ModelIdentity& identity) {
  if (manager.stored().empty()) {
    return absl::NotFoundError("no memory of an earlier process is stored");
  }
  Stored stored = Sort(manager);
  absl::Status status = ReadManifest(stored, identity);
  if (stored.manifest >= 0) close(stored.manifest);
  if (status.ok()) return std::move(stored.regions);
  DiscardKept(stored.regions);
  ForgetAll(manager);
  return status;
}

absl::Status StoreForNext(const ServiceManager& manager,
                          const ModelIdentity& identity,
                          const KeptRegions& regions) {
  ForgetAll(manager);
  Json manifest = {{"program", identity.program},
                   {"model", identity.model},
                   {"plan", identity.plan}};
  for (const auto& [name, region] : regions) {
    MLAD_RETURN_IF_ERROR(manager.Store(region.descriptor, name));
    manifest["regions"][name] = {{"bytes", region.bytes},
                                 {"checksum", region.checksum}};
  }
  // Last: without it the rest is worth nothing, so that a process that ends in
  // between leaves nothing half.
  const int descriptor = memfd_create("mlad manifest", MFD_CLOEXEC);
  const std::string text = manifest.dump();
  if (descriptor < 0 || write(descriptor, text.data(), text.size()) !=
                            static_cast<ssize_t>(text.size())) {
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    return absl::UnavailableError(
        absl::StrCat("the description of the kept memory cannot be written: ",
                     std::strerror(error)));
  }
  const absl::Status status = manager.Store(descriptor, kManifest);
  close(descriptor);
  return status;
}

}  // namespace mlad
