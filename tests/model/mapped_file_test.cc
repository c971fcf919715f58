#include "model/mapped_file.h"

#include <filesystem>

#include <sys/stat.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/test_file.h"

#include "model/gguf_writer.h"

namespace mlad {
namespace {

using ::testing::HasSubstr;

std::string OpenError(const std::string& path, absl::StatusCode code) {
  const absl::Status status = MappedFile::Open(path).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("'" + path + "'"));
  return std::string(status.message());
}

TEST(MappedFile, ShowsTheBytes) {
  const auto file =
      MappedFile::Open(WriteTestFile("a", GgufBytes().U32(77).bytes()));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->bytes().size(), 4u);
  EXPECT_EQ((*file)->bytes()[0], std::byte{77});
  (*file)->DropPageCache();
  EXPECT_EQ((*file)->bytes()[0], std::byte{77});
}

TEST(MappedFile, MissingFile) {
  const std::string path = WriteTestFile("a", {std::byte{0}});
  OpenError(path + ".missing", absl::StatusCode::kNotFound);
  OpenError(path + "/below_a_file", absl::StatusCode::kNotFound);
}

TEST(MappedFile, Folder) {
  const std::string folder =
      std::filesystem::path(WriteTestFile("a", {})).parent_path().string();
  EXPECT_THAT(OpenError(folder, absl::StatusCode::kInvalidArgument),
              HasSubstr("is a folder"));
}

TEST(MappedFile, EmptyFile) {
  EXPECT_THAT(
      OpenError(WriteTestFile("empty", {}), absl::StatusCode::kInvalidArgument),
      HasSubstr("is empty"));
}

TEST(MappedFile, PipeDoesNotBlock) {
  const std::string path = WriteTestFile("pipe", {}) + ".fifo";
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(OpenError(path, absl::StatusCode::kInvalidArgument),
              HasSubstr("is not a regular file"));
  EXPECT_THAT(OpenError("/dev/null", absl::StatusCode::kInvalidArgument),
              HasSubstr("is not a regular file"));
}

TEST(MappedFile, UnreadableFile) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const std::string path = WriteTestFile("secret", {std::byte{0}});
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  OpenError(path, absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace mlad
