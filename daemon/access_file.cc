#include "daemon/access_file.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "base/status.h"
#include "daemon/nearest_name.h"
#include "daemon/toml_file.h"

namespace mlad {
namespace {

constexpr size_t kHexDigits = 2 * sizeof(Sha256);

absl::Status Mistake(const std::string& place, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(place, ": ", what));
}

/// One table [[client]].
class EntryReader {
 public:
  explicit EntryReader(const std::string& path) : path_(path) {}

  absl::StatusOr<AccessEntry> Read(const toml::table& table) {
    for (const auto& [key, node] : table) {
      place_ = TomlPlace(path_, node.source());
      MLAD_RETURN_IF_ERROR(Set(std::string(key.str()), node));
    }
    place_ = TomlPlace(path_, table.source());
    if (entry_.name.empty()) return Mistake(place_, "the client has no name");
    if (identities_ != 1) {
      return Mistake(place_, absl::StrCat("client '", entry_.name,
                                          "' needs one of token_sha256, "
                                          "certificate, user and group"));
    }
    if (!entry_.may_infer && !entry_.may_administer) {
      return Mistake(place_,
                     absl::StrCat("client '", entry_.name,
                                  "' has no roles; give \"infer\", \"admin\" "
                                  "or both"));
    }
    return std::move(entry_);
  }

 private:
  absl::Status Set(const std::string& key, const toml::node& node) {
    if (key == "roles") return SetRoles(node);
    if (key == "max_running") return SetCount(node, entry_.max_running);
    if (key == "requests_per_minute") {
      return SetCount(node, entry_.requests_per_minute);
    }
    if (key == "max_tokens") return SetCount(node, entry_.limits.max_tokens);
    if (key == "max_context") return SetCount(node, entry_.limits.max_context);
    if (key == "max_priority") return SetPriority(node);
    static const std::vector<std::string> kTexts = {
        "name", "token_sha256", "certificate", "user", "group"};
    if (std::find(kTexts.begin(), kTexts.end(), key) != kTexts.end()) {
      const auto* text = node.as_string();
      if (text == nullptr || text->get().empty()) {
        return Mistake(place_, absl::StrCat("'", key, "' must be a text"));
      }
      return SetText(key, text->get());
    }
    std::vector<std::string> known = {"roles",        "max_running",
                                      "max_tokens",   "max_context",
                                      "max_priority", "requests_per_minute"};
    known.insert(known.end(), kTexts.begin(), kTexts.end());
    const auto nearest = NearestName(key, known);
    return Mistake(place_, absl::StrCat("a client has no '", key, "'",
                                        nearest.has_value()
                                            ? absl::StrCat("; did you mean '",
                                                           *nearest, "'?")
                                            : ""));
  }

  absl::Status SetText(const std::string& key, const std::string& text) {
    if (key == "name") {
      entry_.name = text;
      return absl::OkStatus();
    }
    ++identities_;
    if (key == "certificate") {
      entry_.certificate_name = text;
      return absl::OkStatus();
    }
    if (key == "token_sha256") return SetHash(text);
    if (key == "user") {
      const passwd* const user = getpwnam(text.c_str());
      if (user == nullptr) {
        return Mistake(place_, absl::StrCat("there is no user '", text, "'"));
      }
      entry_.user = user->pw_uid;
      return absl::OkStatus();
    }
    const group* const found = getgrnam(text.c_str());
    if (found == nullptr) {
      return Mistake(place_, absl::StrCat("there is no group '", text, "'"));
    }
    entry_.group = found->gr_gid;
    return absl::OkStatus();
  }

  absl::Status SetHash(const std::string& text) {
    if (text.size() != kHexDigits ||
        text.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos) {
      return Mistake(place_,
                     absl::StrCat("token_sha256 must have ", kHexDigits,
                                  " hexadecimal digits; 'mlad make-token' "
                                  "makes a token and its hash"));
    }
    const std::string bytes = absl::HexStringToBytes(text);
    entry_.token_sha256.emplace();
    std::copy(bytes.begin(), bytes.end(), entry_.token_sha256->begin());
    return absl::OkStatus();
  }

  absl::Status SetCount(const toml::node& node, int64_t& count) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < 1) {
      return Mistake(place_, "a limit must be a whole number of 1 or more");
    }
    count = number->get();
    return absl::OkStatus();
  }

  absl::Status SetPriority(const toml::node& node) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < -kMaxPriority ||
        number->get() > kMaxPriority) {
      return Mistake(place_,
                     absl::StrCat("'max_priority' must be a whole number from ",
                                  -kMaxPriority, " to ", kMaxPriority));
    }
    entry_.limits.max_priority = static_cast<int>(number->get());
    return absl::OkStatus();
  }

  absl::Status SetRoles(const toml::node& node) {
    const toml::array* const roles = node.as_array();
    if (roles == nullptr) {
      return Mistake(place_, "'roles' must be an array: [\"infer\"]");
    }
    for (const toml::node& role : *roles) {
      const auto name = role.value<std::string_view>();
      if (name == "infer") {
        entry_.may_infer = true;
      } else if (name == "admin") {
        entry_.may_administer = true;
      } else {
        return Mistake(place_, "a role is \"infer\" or \"admin\"");
      }
    }
    return absl::OkStatus();
  }

  const std::string& path_;
  std::string place_;  // of what is being read
  AccessEntry entry_;
  int identities_ = 0;
};

absl::Status CheckMode(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || (info.st_mode & S_IWOTH) == 0) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      absl::StrCat("anybody may write to '", path,
                   "' and so let themselves in; run: chmod ", "o-w ", path));
}

}  // namespace

absl::StatusOr<AccessRules> ReadAccessFile(const std::string& path) {
  MLAD_ASSIGN_OR_RETURN(const toml::table table, ParseTomlFile(path));
  MLAD_RETURN_IF_ERROR(CheckMode(path));
  AccessRules rules;
  std::set<std::string> names;
  for (const auto& [key, node] : table) {
    const std::string place = TomlPlace(path, node.source());
    const toml::array* const clients = node.as_array();
    if (key.str() != "client" || clients == nullptr ||
        !clients->is_homogeneous(toml::node_type::table)) {
      return Mistake(place,
                     "the file may have tables [[client]] and nothing else");
    }
    for (const toml::node& client : *clients) {
      MLAD_ASSIGN_OR_RETURN(AccessEntry entry,
                            EntryReader(path).Read(*client.as_table()));
      if (!names.insert(entry.name).second) {
        return Mistake(
            place, absl::StrCat("client '", entry.name, "' is there twice"));
      }
      rules.entries.push_back(std::move(entry));
    }
  }
  return rules;
}

}  // namespace mlad
