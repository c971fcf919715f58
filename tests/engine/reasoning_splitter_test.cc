#include "engine/reasoning_splitter.h"

#include <string>

#include <gtest/gtest.h>

namespace mlad {
namespace {

struct Case {
  bool begins_in_thought;
  std::string text, reasoning, answer;
};

/// In pieces of `size` bytes.
ReasoningSplitter::Parts Split(const Case& test, size_t size) {
  ReasoningSplitter splitter(test.begins_in_thought);
  ReasoningSplitter::Parts all;
  const auto add = [&](const ReasoningSplitter::Parts& parts) {
    all.reasoning += parts.reasoning;
    all.answer += parts.answer;
  };
  for (size_t i = 0; i < test.text.size(); i += size) {
    add(splitter.Add(test.text.substr(i, size)));
  }
  add(splitter.Flush());
  return all;
}

TEST(ReasoningSplitter, SplitsHoweverTheTextIsCut) {
  const Case kCases[] = {
      {false, "Hello <think>", "", "Hello <think>"},
      {false, "<think>\nhm\n</think>\n\n42", "hm\n", "42"},
      {false, " \n<think>a</think>b</think>c", "a", "b</think>c"},
      {false, "<think></think>x", "", "x"},
      {false, "<thinx>y", "", "<thinx>y"},
      {false, "  <thi", "", "  <thi"},
      {true, "hm</thi</think> 42 ", "hm</thi", "42 "},
      {true, "\nnever ends </thin", "never ends </thin", ""},
      {true, "</think>42", "", "42"},
      {true, "", "", ""},
      {false, "  ", "", "  "},
  };
  for (const Case& test : kCases) {
    for (size_t size = 1; size <= test.text.size() + 1; ++size) {
      const ReasoningSplitter::Parts parts = Split(test, size);
      EXPECT_EQ(parts.reasoning, test.reasoning) << test.text << " by " << size;
      EXPECT_EQ(parts.answer, test.answer) << test.text << " by " << size;
    }
  }
}

TEST(ReasoningSplitter, NothingIsHeldBackLongerThanNeeded) {
  ReasoningSplitter splitter(true);
  EXPECT_EQ(splitter.Add("one <").reasoning, "one ");
  EXPECT_EQ(splitter.Add("b").reasoning, "<b");
  EXPECT_FALSE(splitter.in_answer());
  EXPECT_EQ(splitter.Add("</think>x").answer, "x");
  EXPECT_TRUE(splitter.in_answer());
}

TEST(ReasoningSplitter, KnowsWhetherAPromptOpensAThought) {
  EXPECT_FALSE(OpensThought("Hi"));
  EXPECT_TRUE(OpensThought("Hi<think>\n"));
  EXPECT_FALSE(OpensThought("<think>a</think>Hi"));
  EXPECT_TRUE(OpensThought("<think>a</think>Hi<think>"));
}

}  // namespace
}  // namespace mlad
