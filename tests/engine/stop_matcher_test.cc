#include "engine/stop_matcher.h"

#include <optional>

#include <gtest/gtest.h>

namespace mlad {
namespace {

/// What a text gives when it is known from the start.
struct Expected {
  std::string text;
  std::string stop_string;
  size_t read = 0;  // bytes up to the end of the stop string
};

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

Expected FindStop(const std::vector<std::string>& stops,
                  const std::string& text) {
  for (size_t read = 1; read <= text.size(); ++read) {
    const std::string_view head = std::string_view(text).substr(0, read);
    std::string longest;
    for (const std::string& stop : stops) {
      if (EndsWith(head, stop) && stop.size() > longest.size()) longest = stop;
    }
    if (!longest.empty()) {
      return {text.substr(0, read - longest.size()), longest, read};
    }
  }
  return {text, "", text.size()};
}

/// Bytes at the end of `text` that may become a stop string.
size_t OpenBytes(const std::vector<std::string>& stops,
                 const std::string& text) {
  size_t open = 0;
  for (const std::string& stop : stops) {
    for (size_t length = 1; length < stop.size(); ++length) {
      if (EndsWith(text, std::string_view(stop).substr(0, length))) {
        open = std::max(open, length);
      }
    }
  }
  return open;
}

/// Feeds `text` cut where `cuts` has bits and checks every answer.
void CheckText(const std::vector<std::string>& stops, const std::string& text,
               uint32_t cuts) {
  const Expected expected = FindStop(stops, text);
  StopMatcher matcher(stops);
  std::string given;
  std::string fed;
  for (size_t i = 0; i < text.size() && !matcher.matched();) {
    size_t end = i + 1;
    while (end < text.size() && ((cuts >> (end - 1)) & 1u) == 0) ++end;
    fed = text.substr(0, end);
    given += matcher.Add(std::string_view(text).substr(i, end - i));
    i = end;
    if (!matcher.matched()) {
      ASSERT_EQ(given, fed.substr(0, fed.size() - OpenBytes(stops, fed)));
    }
  }
  ASSERT_EQ(matcher.stop_string(), expected.stop_string);
  if (!matcher.matched()) given += matcher.Flush();
  ASSERT_EQ(given, expected.text);
}

std::vector<std::string> AllTexts(std::string_view alphabet, size_t longest) {
  std::vector<std::string> texts = {""};
  for (size_t begin = 0, length = 1; length <= longest; ++length) {
    const size_t end = texts.size();
    for (size_t i = begin; i < end; ++i) {
      for (const char letter : alphabet) texts.push_back(texts[i] + letter);
    }
    begin = end;
  }
  texts.erase(texts.begin());
  return texts;
}

TEST(StopMatcher, AgreesWithASearchOfTheWholeTextForAllPairsOfStops) {
  const std::vector<std::string> texts = AllTexts("ab", 7);
  const std::vector<std::string> stops = AllTexts("ab", 3);
  for (const std::string& first : stops) {
    for (const std::string& second : stops) {
      for (const std::string& text : texts) {
        // All at once, byte by byte, and one cut in the middle.
        for (const uint32_t cuts : {0u, ~0u, 1u << (text.size() / 2)}) {
          CheckText({first, second}, text, cuts);
          if (HasFatalFailure()) {
            FAIL() << first << " " << second << " in " << text;
          }
        }
      }
    }
  }
}

TEST(StopMatcher, DoesNotDependOnHowTheTextIsCut) {
  for (const std::vector<std::string>& stops :
       std::vector<std::vector<std::string>>{
           {"aab"}, {"abab", "bb"}, {"aa", "abaa", "c"}, {"abcabc", "bca"}}) {
    for (const std::string& text : AllTexts("abc", 6)) {
      for (uint32_t cuts = 0; cuts < (1u << (text.size() - 1)); ++cuts) {
        CheckText(stops, text, cuts);
        if (HasFatalFailure()) FAIL() << text << " cut at " << cuts;
      }
    }
  }
}

TEST(StopMatcher, PassesEverythingThroughWithoutStops) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.Add("some text"), "some text");
  EXPECT_EQ(matcher.Flush(), "");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, MatchesAtTheVeryStart) {
  StopMatcher matcher({"###"});
  EXPECT_EQ(matcher.Add("#"), "");
  EXPECT_EQ(matcher.Add("## and more"), "");
  EXPECT_EQ(matcher.stop_string(), "###");
}

TEST(StopMatcher, GivesHeldTextWhenItTurnsOutNotToBeAStop) {
  StopMatcher matcher({"\n\nUser:"});
  EXPECT_EQ(matcher.Add("Hello\n"), "Hello");
  EXPECT_EQ(matcher.Add("\nUs"), "");
  EXPECT_EQ(matcher.Add("eful\n\n"), "\n\nUseful");
  EXPECT_EQ(matcher.Flush(), "\n\n");
  EXPECT_FALSE(matcher.matched());
}

TEST(StopMatcher, KeepsAShorterCandidateWithinAFailedLongerOne) {
  StopMatcher matcher({"aaab", "aac"});
  EXPECT_EQ(matcher.Add("xaa"), "x");
  EXPECT_EQ(matcher.Add("a"), "");
  EXPECT_EQ(matcher.Add("c"), "a");
  EXPECT_EQ(matcher.stop_string(), "aac");
}

TEST(StopMatcher, TheFirstCompleteStopWins) {
  StopMatcher matcher({"abcdef", "cd"});
  EXPECT_EQ(matcher.Add("xxabcd"), "xxab");
  EXPECT_EQ(matcher.stop_string(), "cd");
}

TEST(StopMatcher, OfStopsCompleteTogetherTheLongestWins) {
  StopMatcher matcher({"d", "bcd", "cd"});
  EXPECT_EQ(matcher.Add("abcd"), "a");
  EXPECT_EQ(matcher.stop_string(), "bcd");
}

TEST(StopMatcher, HoldsBackWholeCharactersOnly) {
  // U+3002 and U+3001 share their first two bytes.
  StopMatcher matcher({"\xE3\x80\x82"});
  EXPECT_EQ(matcher.Add("好\xE3\x80\x81"), "好\xE3\x80\x81");
  EXPECT_EQ(matcher.Add("吗\xE3\x80\x82好"), "吗");
  EXPECT_TRUE(matcher.matched());
}

}  // namespace
}  // namespace mlad
