#include "daemon/config_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mlad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Two commands: "all" knows one setting more than "some".
class Settings : public testing::Test {
 protected:
  Settings() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mlad-config-XXXXXX")
            .string();
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    AddBoth(all_);
    all_.add_option("--port", port_);
    AddBoth(some_);
  }
  ~Settings() override {
    std::filesystem::remove_all(folder_);
    unsetenv("MLAD_QUEUE_SIZE");
    unsetenv("MLAD_NAMES");
  }

  std::string Write(const std::string& text) const {
    std::string path = folder_ + "/mlad.toml";
    std::ofstream(path) << text;
    return path;
  }
  void Parse(CLI::App& command, const std::string& arguments) {
    command.parse(arguments);
  }
  /// The error of a file with this text.
  std::string ErrorOf(const std::string& text) {
    Parse(all_, "");
    const absl::Status status =
        SettingsReader(all_, all_).ApplyFile(Write(text));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }

  std::string folder_;
  CLI::App all_, some_;
  int queue_size_ = 7;
  int port_ = 1;
  bool insecure_ = false;
  std::vector<std::string> names_ = {"a"};

 private:
  void AddBoth(CLI::App& command) {
    command.add_option("--queue-size", queue_size_)
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    command.add_option("--names", names_)->capture_default_str();
    command.add_flag("--insecure", insecure_);
  }
};

TEST_F(Settings, TheFileSetsEveryKindOfValue) {
  Parse(all_, "");
  SettingsReader reader(all_, all_);
  ASSERT_TRUE(reader
                  .ApplyFile(Write("queue_size = 3\nnames = [\"b\", \"c\"]\n"
                                   "insecure = true\n"))
                  .ok());
  EXPECT_EQ(queue_size_, 3);
  EXPECT_THAT(names_, ElementsAre("b", "c"));
  EXPECT_TRUE(insecure_);
}

TEST_F(Settings, TheEnvironmentOverridesTheFileAndIsOverridden) {
  setenv("MLAD_QUEUE_SIZE", "4", 1);
  setenv("MLAD_NAMES", "d,e", 1);
  Parse(all_, "--names f");
  SettingsReader reader(all_, all_);
  ASSERT_TRUE(reader.ApplyEnvironment().ok());
  ASSERT_TRUE(reader.ApplyFile(Write("queue_size = 3\nport = 5\n")).ok());
  EXPECT_EQ(queue_size_, 4);
  EXPECT_THAT(names_, ElementsAre("f"));
  EXPECT_EQ(port_, 5);

  std::vector<std::string> told;
  for (const Setting& setting : reader.Describe()) {
    told.push_back(setting.key + " " + setting.value + " " + setting.origin);
  }
  EXPECT_THAT(told, ElementsAre("queue_size 4 MLAD_QUEUE_SIZE",
                                "names f command line", "insecure  default",
                                "port 5 " + folder_ + "/mlad.toml:2"));
}

TEST_F(Settings, TheEnvironmentMayHaveSeveralValues) {
  setenv("MLAD_NAMES", "d,e", 1);
  Parse(all_, "");
  ASSERT_TRUE(SettingsReader(all_, all_).ApplyEnvironment().ok());
  EXPECT_THAT(names_, ElementsAre("d", "e"));
}

TEST_F(Settings, AMistakeInTheEnvironmentNamesTheVariable) {
  setenv("MLAD_QUEUE_SIZE", "many", 1);
  Parse(all_, "");
  const absl::Status status = SettingsReader(all_, all_).ApplyEnvironment();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("MLAD_QUEUE_SIZE: "));
  EXPECT_THAT(std::string(status.message()), HasSubstr("many"));
}

TEST_F(Settings, SettingsOfOtherCommandsAreLeftAlone) {
  Parse(some_, "");
  SettingsReader reader(some_, all_);
  ASSERT_TRUE(reader.ApplyFile(Write("port = 5\nqueue_size = 3\n")).ok());
  EXPECT_EQ(queue_size_, 3);
  EXPECT_EQ(port_, 1);
  EXPECT_THAT(
      std::string(
          SettingsReader(some_, all_).ApplyFile(Write("prot = 5\n")).message()),
      HasSubstr("did you mean 'port'?"));
}

TEST_F(Settings, MistakesInTheFileNameItsLineAndTheNearestKey) {
  EXPECT_THAT(ErrorOf("\nqueue_sise = 3\n"),
              HasSubstr("mlad.toml:2: there is no setting 'queue_sise'; did "
                        "you mean 'queue_size'?"));
  EXPECT_THAT(ErrorOf("queue-size = 3\n"), HasSubstr("'queue_size'?"));
  EXPECT_THAT(ErrorOf("frobnicate = 3\n"), HasSubstr("mlad serve --help"));
  EXPECT_THAT(ErrorOf("help = true\n"), HasSubstr("no setting 'help'"));
  EXPECT_THAT(ErrorOf("queue_size = 300\n"), HasSubstr("mlad.toml:1: "));
  EXPECT_THAT(ErrorOf("queue_size = [1, 2]\n"), HasSubstr("takes one value"));
  EXPECT_THAT(ErrorOf("names = []\n"), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf("[queue_size]\na = 1\n"), HasSubstr("must be a string"));
  EXPECT_THAT(ErrorOf("queue_size = \n"), HasSubstr("mlad.toml:1: "));
  EXPECT_THAT(ErrorOf("queue_size = 1\nqueue_size = 2\n"),
              HasSubstr("mlad.toml:2: "));
}

TEST_F(Settings, AFileThatIsNotThere) {
  Parse(all_, "");
  EXPECT_EQ(SettingsReader(all_, all_).ApplyFile(folder_ + "/none").code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace mlad
