#include "model/mapped_file.h"

#include <filesystem>
#include <numeric>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/model/test_file.h"

#include "model/gguf_writer.h"

namespace mlad {
namespace {

using ::testing::AllOf;
using ::testing::Each;
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

/// Which pages of the bytes are in the page cache.
std::vector<unsigned char> InPageCache(absl::Span<const std::byte> bytes) {
  std::vector<unsigned char> pages((bytes.size() + 4095) / 4096);
  EXPECT_EQ(
      mincore(const_cast<std::byte*>(bytes.data()), bytes.size(), pages.data()),
      0);
  for (unsigned char& page : pages) page &= 1;
  return pages;
}

/// A file of whole and partial pages that is on the disk, not only in memory;
/// empty where the file system has no disk.
std::string WriteFileOnDisk(size_t bytes) {
  const std::string path =
      WriteTestFile("disk", std::vector<std::byte>(bytes, std::byte{5}));
  struct statfs system {};
  EXPECT_EQ(statfs(path.c_str(), &system), 0);
  if (system.f_type == TMPFS_MAGIC) return "";
  const int file = open(path.c_str(), O_RDONLY);
  EXPECT_EQ(fsync(file), 0);
  close(file);
  return path;
}

TEST(MappedFile, DropsThePagesWithinAPart) {
  const std::string path = WriteFileOnDisk(64 * 4096 + 100);
  if (path.empty()) GTEST_SKIP() << "the test folder is in memory";
  const auto file = *MappedFile::Open(path);
  const absl::Span<const std::byte> bytes = file->bytes();
  // What was written may be in pieces of many pages, which only go whole.
  file->DropPageCache();
  EXPECT_THAT(InPageCache(bytes), Each(0));
  ASSERT_TRUE(file->ReadIn(bytes).ok());
  EXPECT_THAT(InPageCache(bytes), Each(1));
  file->DropPageCache(bytes.subspan(3 * 4096 + 1, 8 * 4096));
  const auto pages = InPageCache(bytes);
  EXPECT_EQ(pages[3], 1) << "it is in the part partly only";
  EXPECT_EQ(pages[4], 0);
  EXPECT_EQ(pages[10], 0);
  EXPECT_EQ(pages[11], 1);
  file->DropPageCache(bytes.subspan(60 * 4096));
  EXPECT_EQ(InPageCache(bytes).back(), 0) << "the last page, a partial one";
  EXPECT_EQ(bytes[7 * 4096], std::byte{5});
}

TEST(MappedFile, ReadsInNoMoreThanThePart) {
  const std::string path = WriteFileOnDisk(512 * 4096);
  if (path.empty()) GTEST_SKIP() << "the test folder is in memory";
  const auto file = *MappedFile::Open(path);
  const absl::Span<const std::byte> bytes = file->bytes();
  file->DropPageCache();
  ASSERT_TRUE(file->ReadIn(bytes.subspan(100 * 4096, 50 * 4096)).ok());
  const auto pages = InPageCache(bytes);
  EXPECT_EQ(std::accumulate(pages.begin(), pages.end(), 0), 50);
  EXPECT_EQ(pages[100] + pages[149], 2);
}

TEST(MappedFile, WhatWasCutOffIsAnErrorAndNoSignal) {
  const std::string path = WriteFileOnDisk(64 * 4096);
  if (path.empty()) GTEST_SKIP() << "the test folder is in memory";
  const auto file = *MappedFile::Open(path);
  ASSERT_EQ(truncate(path.c_str(), 10 * 4096), 0);
  EXPECT_TRUE(file->ReadIn(file->bytes().subspan(0, 10 * 4096)).ok());
  const absl::Status status =
      file->ReadIn(file->bytes().subspan(9 * 4096, 2 * 4096));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("'" + path + "'"), HasSubstr("cut short")));
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
