// The daemon's certificate and key, read again while serving.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <grpcpp/security/server_credentials.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "rpc/tls_files.h"

namespace mlad {

/// Looks at the files every two seconds and shows gRPC copies in memory of
/// those that ReadTlsFiles takes: gRPC itself would take a key of another
/// certificate and then refuse every handshake. Copies, since a file that was
/// checked may be another one when gRPC reads it. While they are being written
/// gRPC may see one of them new and one old; it looks again a second later.
class TlsFileWatch {
 public:
  /// Told, once for each change, why new files are not used.
  using MistakeSink = std::function<void(const absl::Status&)>;

  /// Errors: as of ReadTlsFiles; kResourceExhausted without memory or
  /// descriptors for the copies.
  static absl::StatusOr<std::unique_ptr<TlsFileWatch>> Create(
      const ServerTlsFiles& files, MistakeSink on_mistake);
  ~TlsFileWatch();
  TlsFileWatch(const TlsFileWatch&) = delete;
  TlsFileWatch& operator=(const TlsFileWatch&) = delete;

  /// TLS 1.2 and 1.3. With a client_ca, clients must show a certificate that it
  /// has signed. Use them no longer than this object.
  std::shared_ptr<grpc::ServerCredentials> MakeCredentials() const;

 private:
  /// A file in memory under a path of this process.
  class Copy {
   public:
    Copy() = default;
    ~Copy();
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    absl::Status Open();
    absl::Status Write(const std::string& bytes);
    std::string path() const;

   private:
    int descriptor_ = -1;
  };

  TlsFileWatch(const ServerTlsFiles& files, MistakeSink on_mistake)
      : files_(files), on_mistake_(std::move(on_mistake)) {}
  /// Copies the files where they have changed and are good.
  absl::Status Refresh();
  void Run();

  const ServerTlsFiles files_;
  const MistakeSink on_mistake_;
  Copy certificate_;
  Copy key_;
  Copy client_ca_;
  ServerTlsPems shown_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stops_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace mlad
