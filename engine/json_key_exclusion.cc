#include "engine/json_key_exclusion.h"

#include <map>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

#include "engine/code_points.h"
#include "engine/json_grammar.h"
#include "model/utf8.h"

namespace mlad {
namespace {

// What a key is not made of: it would need an escape.
constexpr absl::string_view kNotPlain = R"("\\\x00-\x1F\x7F)";

/// The keys as a tree of characters.
struct Vertex {
  std::map<std::string, size_t> children;  // by a character in UTF-8
  bool is_key = false;
};

std::vector<Vertex> MakeTree(const std::vector<std::string>& keys) {
  std::vector<Vertex> tree(1);
  for (const std::string_view key : keys) {
    size_t at = 0;
    for (size_t i = 0; i < key.size();) {
      const size_t bytes = FirstUtf8(key.substr(i)).bytes;
      const auto [child, is_new] = tree[at].children.try_emplace(
          std::string(key.substr(i, bytes)), tree.size());
      at = child->second;
      if (is_new) tree.emplace_back();
      i += bytes;
    }
    tree[at].is_key = true;
  }
  return tree;
}

/// A character within a set of a grammar.
std::string InSet(const std::string& character) {
  if (std::string_view("\\[]^-\"").find(character) != std::string_view::npos) {
    return "\\" + character;
  }
  return character;
}

}  // namespace

std::string KeyExclusionRules(const std::string& name,
                              const std::vector<std::string>& keys) {
  const std::vector<Vertex> tree = MakeTree(keys);
  const auto rule = [&](size_t vertex) {
    return absl::StrCat(name, "-", vertex);
  };
  std::string rules = absl::StrCat(name, " ::= \"\\\"\" ", rule(0), "\n");
  for (size_t v = 0; v < tree.size(); ++v) {
    std::string others(kNotPlain);
    std::string alternatives;
    for (const auto& [character, child] : tree[v].children) {
      const auto code = static_cast<unsigned char>(character[0]);
      // A key with such a character is never spelled without an escape.
      if (character == "\"" || character == "\\" || code < 0x20 ||
          code == 0x7F) {
        continue;
      }
      absl::StrAppend(&alternatives, QuoteForGrammar(character), " ",
                      rule(child), " | ");
      others += InSet(character);
    }
    absl::StrAppend(&rules, rule(v), " ::= ", alternatives, "[^", others,
                    "] [^", kNotPlain, "]* \"\\\"\"",
                    tree[v].is_key ? "" : " | \"\\\"\"", "\n");
  }
  return rules;
}

}  // namespace mlad
