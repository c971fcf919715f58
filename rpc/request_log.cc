#include "rpc/request_log.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include <grpcpp/server_context.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace mlad {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

constexpr char kRequestId[] = "x-request-id";
constexpr size_t kLongestId = 64;

bool IsRequestId(absl::string_view id) {
  return !id.empty() && id.size() <= kLongestId &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::string RandomId() {
  thread_local std::mt19937_64 random{std::random_device()()};
  return absl::StrFormat("%016x", random());
}

/// Lower-case hexadecimal digits that are not all zero.
bool IsTraceField(absl::string_view digits) {
  return std::all_of(
             digits.begin(), digits.end(),
             [](char c) {
               return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                      (c >= 'a' && c <= 'f');
             }) &&
         digits.find_first_not_of('0') != absl::string_view::npos;
}

class RequestLog final : public grpc::experimental::Interceptor {
 public:
  RequestLog(ServerRpcInfo& call, const RequestSink& sink)
      : call_(call), sink_(sink) {
    record_.method = std::string(absl::StripPrefix(call.method(), "/"));
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      ReadMetadata(*methods->GetRecvInitialMetadata());
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace(kRequestId, record_.id);
    }
    if (methods->QueryInterceptionHookPoint(
            InterceptionHookPoints::PRE_SEND_STATUS)) {
      record_.code = methods->GetSendStatus().error_code();
      record_.duration = absl::Now() - began_;
      record_.peer = call_.server_context()->peer();
      sink_(record_);
    }
    methods->Proceed();
  }

 private:
  using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

  static absl::string_view Find(const Metadata& metadata, const char* key) {
    const auto it = metadata.find(key);
    if (it == metadata.end()) return "";
    return {it->second.data(), it->second.size()};
  }

  void ReadMetadata(const Metadata& metadata) {
    const absl::string_view id = Find(metadata, kRequestId);
    record_.id = IsRequestId(id) ? std::string(id) : RandomId();
    record_.trace = TraceIdOf(Find(metadata, "traceparent"));
  }

  ServerRpcInfo& call_;
  const RequestSink& sink_;
  const absl::Time began_ = absl::Now();
  RequestRecord record_;
};

class RequestLogFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RequestLogFactory(RequestSink sink) : sink_(std::move(sink)) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      ServerRpcInfo* call) override {
    return new RequestLog(*call, sink_);  // gRPC deletes it
  }

 private:
  const RequestSink sink_;
};

}  // namespace

std::string TraceIdOf(absl::string_view traceparent) {
  constexpr size_t kLength = 55;  // 00-(32 digits)-(16 digits)-(2 digits)
  if (traceparent.size() < kLength) return "";
  const absl::string_view version = traceparent.substr(0, 2);
  const absl::string_view trace = traceparent.substr(3, 32);
  const absl::string_view parent = traceparent.substr(36, 16);
  const bool has_dashes =
      traceparent[2] == '-' && traceparent[35] == '-' && traceparent[52] == '-';
  // A later version may say more behind another dash.
  const bool has_length = traceparent.size() == kLength ||
                          (version != "00" && traceparent[kLength] == '-');
  const bool has_version =
      version == "00" || (IsTraceField(version) && version != "ff");
  if (!has_dashes || !has_length || !has_version || !IsTraceField(trace) ||
      !IsTraceField(parent)) {
    return "";
  }
  return std::string(trace);
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
MakeRequestLog(RequestSink sink) {
  return std::make_unique<RequestLogFactory>(std::move(sink));
}

}  // namespace mlad
