#include "rpc/tls_file_watch.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr std::chrono::seconds kRefresh{2};
// Of gRPC, which looks at the copies.
constexpr unsigned kGrpcRefreshSeconds = 1;

absl::Status CopyError() {
  return absl::ResourceExhaustedError(absl::StrCat(
      "no memory for a copy of the certificates: ", std::strerror(errno)));
}

}  // namespace

TlsFileWatch::Copy::~Copy() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status TlsFileWatch::Copy::Open() {
  descriptor_ = memfd_create("mlad tls", MFD_CLOEXEC);
  return descriptor_ >= 0 ? absl::OkStatus() : CopyError();
}

absl::Status TlsFileWatch::Copy::Write(const std::string& bytes) {
  const auto size = static_cast<ssize_t>(bytes.size());
  if (pwrite(descriptor_, bytes.data(), bytes.size(), 0) != size ||
      ftruncate(descriptor_, size) != 0) {
    return CopyError();
  }
  return absl::OkStatus();
}

std::string TlsFileWatch::Copy::path() const {
  return absl::StrCat("/proc/self/fd/", descriptor_);
}

absl::StatusOr<std::unique_ptr<TlsFileWatch>> TlsFileWatch::Create(
    const ServerTlsFiles& files, MistakeSink on_mistake) {
  std::unique_ptr<TlsFileWatch> watch(
      new TlsFileWatch(files, std::move(on_mistake)));
  for (Copy* copy : {&watch->certificate_, &watch->key_, &watch->client_ca_}) {
    MLAD_RETURN_IF_ERROR(copy->Open());
  }
  MLAD_RETURN_IF_ERROR(watch->Refresh());
  watch->thread_ = std::thread([watch = watch.get()] { watch->Run(); });
  return watch;
}

TlsFileWatch::~TlsFileWatch() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<grpc::ServerCredentials> TlsFileWatch::MakeCredentials() const {
  const bool asks_clients = !files_.client_ca.empty();
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          key_.path(), certificate_.path(),
          asks_clients ? client_ca_.path() : "", kGrpcRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (asks_clients) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

absl::Status TlsFileWatch::Refresh() {
  MLAD_ASSIGN_OR_RETURN(ServerTlsPems pems, ReadTlsFiles(files_));
  if (pems == shown_) return absl::OkStatus();
  MLAD_RETURN_IF_ERROR(certificate_.Write(pems.certificate));
  MLAD_RETURN_IF_ERROR(key_.Write(pems.key));
  MLAD_RETURN_IF_ERROR(client_ca_.Write(pems.client_ca));
  shown_ = std::move(pems);
  return absl::OkStatus();
}

void TlsFileWatch::Run() {
  absl::Status told;
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kRefresh, [this] { return stops_; })) {
    const absl::Status status = Refresh();
    if (!status.ok() && status != told && on_mistake_) on_mistake_(status);
    told = status;
  }
}

}  // namespace mlad
