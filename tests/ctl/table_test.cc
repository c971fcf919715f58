#include "ctl/table.h"

#include <gtest/gtest.h>

#include "ctl/terminal.h"

namespace mlad {
namespace {

TEST(Table, NumbersAreSetToTheRight) {
  Table table({"name", "count"});
  table.Add({"a", "5"});
  table.Add({"long name", "1234567"});
  EXPECT_EQ(table.ToString(Colours(false)),
            "name         count\n"
            "a                5\n"
            "long name  1234567\n");
}

TEST(Table, TheHeadingIsBoldInColour) {
  Table table({"name"});
  table.Add({"a"});
  EXPECT_EQ(table.ToString(Colours(true)), "\x1b[1mname\x1b[0m\na\n");
}

TEST(HumanBytes, HasOneDecimalFromAKibibyteOn) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1536 << 10), "1.5 MiB");
  EXPECT_EQ(HumanBytes(int64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(HumanBytes(int64_t{5000} << 40), "5000.0 TiB");
}

TEST(ForTerminal, LetsNoModelCommandTheTerminal) {
  EXPECT_EQ(ForTerminal("a\tb\nc \x1b[31mred\x07", true),
            "a\tb\nc \xEF\xBF\xBD[31mred\xEF\xBF\xBD");
  // U+009B begins a command as ESC [ does; U+00E9 is a letter.
  EXPECT_EQ(ForTerminal("\xC2\x9B"
                        "31m \xC3\xA9 \xC2\xA0",
                        true),
            "\xEF\xBF\xBD"
            "31m \xC3\xA9 \xC2\xA0");
  EXPECT_EQ(ForTerminal("\r\x7F", true), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(ForTerminal, LeavesWhatGoesElsewhereAsItIs) {
  EXPECT_EQ(ForTerminal("\x1b[31m\r", false), "\x1b[31m\r");
}

}  // namespace
}  // namespace mlad
