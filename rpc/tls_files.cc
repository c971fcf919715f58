#include "rpc/tls_files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

constexpr unsigned kRefreshSeconds = 2;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)),
                    std::istreambuf_iterator<char>());
  if (!bytes.empty()) return bytes;
  if (file.is_open()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' is empty or a folder; give a PEM file"));
  }
  const std::string what =
      absl::StrCat("cannot read '", path, "': ", std::strerror(errno));
  return errno == EACCES
             ? absl::PermissionDeniedError(what + "; change its owner or mode")
             : absl::NotFoundError(what);
}

Bio Source(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

absl::StatusOr<Certificate> ReadCertificate(const std::string& path) {
  MLAD_ASSIGN_OR_RETURN(const std::string pem, ReadFile(path));
  Certificate certificate(
      PEM_read_bio_X509(Source(pem).get(), nullptr, nullptr, nullptr));
  if (certificate != nullptr) return certificate;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", path, "' has no certificate in PEM form (-----BEGIN CERTIFICATE)"));
}

/// A passphrase would have to be typed: there is nobody to ask.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*for_writing*/,
                 void* /*context*/) {
  return -1;
}

absl::StatusOr<Key> ReadKey(const std::string& path) {
  MLAD_ASSIGN_OR_RETURN(const std::string pem, ReadFile(path));
  Key key(PEM_read_bio_PrivateKey(Source(pem).get(), nullptr, NoPassphrase,
                                  nullptr));
  if (key != nullptr) return key;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", path, "' has no private key in PEM form without a passphrase"));
}

absl::Status CheckPair(const X509& certificate, const EVP_PKEY& key,
                       const std::string& certificate_path,
                       const std::string& key_path) {
  if (X509_check_private_key(&certificate, &key) == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the key in '", key_path, "' is not the key of the certificate in '",
      certificate_path, "'; give a pair"));
}

absl::Time ExpiryOf(const X509& certificate) {
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(&certificate));
  return absl::Now() + days * absl::Hours(24) + absl::Seconds(seconds);
}

}  // namespace

absl::StatusOr<absl::Time> CheckTlsFiles(const ServerTlsFiles& files) {
  MLAD_ASSIGN_OR_RETURN(const Certificate certificate,
                        ReadCertificate(files.certificate));
  MLAD_ASSIGN_OR_RETURN(const Key key, ReadKey(files.key));
  MLAD_RETURN_IF_ERROR(
      CheckPair(*certificate, *key, files.certificate, files.key));
  if (!files.client_ca.empty()) {
    MLAD_RETURN_IF_ERROR(ReadCertificate(files.client_ca).status());
  }
  return ExpiryOf(*certificate);
}

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const ServerTlsFiles& files) {
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, kRefreshSeconds));
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>>
MakeChannelCredentials(const ClientTlsFiles& files) {
  grpc::SslCredentialsOptions options;
  if (!files.ca.empty()) {
    MLAD_RETURN_IF_ERROR(ReadCertificate(files.ca).status());
    MLAD_ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile(files.ca));
  }
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(
        "a client's certificate and its key go together; give both");
  }
  if (!files.certificate.empty()) {
    MLAD_ASSIGN_OR_RETURN(const Certificate certificate,
                          ReadCertificate(files.certificate));
    MLAD_ASSIGN_OR_RETURN(const Key key, ReadKey(files.key));
    MLAD_RETURN_IF_ERROR(
        CheckPair(*certificate, *key, files.certificate, files.key));
    MLAD_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadFile(files.certificate));
    MLAD_ASSIGN_OR_RETURN(options.pem_private_key, ReadFile(files.key));
  }
  return grpc::SslCredentials(options);
}

}  // namespace mlad
