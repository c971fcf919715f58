// Who may call what, as an access file says it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "engine/engine.h"

namespace mlad {

enum class Role : uint8_t {
  kInfer,  // mlad.v1.Inference
  kAdmin,  // mlad.v1.Admin
};

using Sha256 = std::array<uint8_t, 32>;

/// Of each request of a client; 0: no limit of its own.
struct ClientLimits {
  int64_t max_tokens = 0;   // of an answer
  int64_t max_context = 0;  // tokens of text and answer together
  int max_priority = kMaxPriority;
};

/// One client. It is whoever shows the token, the certificate, or comes over a
/// unix socket as the user or as a member of the group: one of the four is set.
struct AccessEntry {
  std::string name;  // in logs; unique
  std::optional<Sha256> token_sha256;
  std::string certificate_name;  // common name or alternative name
  std::optional<uid_t> user;
  std::optional<gid_t> group;

  bool may_infer = false;
  bool may_administer = false;
  // Of Inference calls; 0: no limit.
  int64_t max_running = 0;
  int64_t requests_per_minute = 0;
  ClientLimits limits;
};

struct AccessRules {
  std::vector<AccessEntry> entries;
};

/// What is known of whoever makes a call.
struct Caller {
  struct UnixPeer {
    uid_t user = 0;
    std::vector<gid_t> groups;
  };
  std::optional<std::string> token;            // as sent, a secret
  std::vector<std::string> certificate_names;  // of a verified certificate
  std::optional<UnixPeer> unix_peer;           // from the kernel
  std::string address;  // of the other end, without a port; empty: a unix peer
};

}  // namespace mlad
