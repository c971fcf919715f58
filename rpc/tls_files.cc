#include "rpc/tls_files.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "absl/strings/str_cat.h"

#include "base/status.h"

namespace mlad {
namespace {

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

absl::StatusOr<Certificate> ParseCertificate(const std::string& pem,
                                             const std::string& path) {
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

absl::StatusOr<Key> ParseKey(const std::string& pem, const std::string& path) {
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

absl::StatusOr<ServerTlsPems> ReadTlsFiles(const ServerTlsFiles& files) {
  ServerTlsPems pems;
  MLAD_ASSIGN_OR_RETURN(pems.certificate, ReadFile(files.certificate));
  MLAD_ASSIGN_OR_RETURN(const Certificate certificate,
                        ParseCertificate(pems.certificate, files.certificate));
  MLAD_ASSIGN_OR_RETURN(pems.key, ReadFile(files.key));
  MLAD_ASSIGN_OR_RETURN(const Key key, ParseKey(pems.key, files.key));
  MLAD_RETURN_IF_ERROR(
      CheckPair(*certificate, *key, files.certificate, files.key));
  if (!files.client_ca.empty()) {
    MLAD_ASSIGN_OR_RETURN(pems.client_ca, ReadFile(files.client_ca));
    MLAD_RETURN_IF_ERROR(
        ParseCertificate(pems.client_ca, files.client_ca).status());
  }
  return pems;
}

absl::StatusOr<absl::Time> CheckTlsFiles(const ServerTlsFiles& files) {
  MLAD_ASSIGN_OR_RETURN(const ServerTlsPems pems, ReadTlsFiles(files));
  MLAD_ASSIGN_OR_RETURN(const Certificate certificate,
                        ParseCertificate(pems.certificate, files.certificate));
  return ExpiryOf(*certificate);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>>
MakeChannelCredentials(const ClientTlsFiles& files) {
  grpc::SslCredentialsOptions options;
  if (!files.ca.empty()) {
    MLAD_ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile(files.ca));
    MLAD_RETURN_IF_ERROR(
        ParseCertificate(options.pem_root_certs, files.ca).status());
  }
  if (files.certificate.empty() != files.key.empty()) {
    return absl::InvalidArgumentError(
        "a client's certificate and its key go together; give both");
  }
  if (!files.certificate.empty()) {
    MLAD_ASSIGN_OR_RETURN(ServerTlsPems pair,
                          ReadTlsFiles({files.certificate, files.key, ""}));
    options.pem_cert_chain = std::move(pair.certificate);
    options.pem_private_key = std::move(pair.key);
  }
  return grpc::SslCredentials(options);
}

}  // namespace mlad
