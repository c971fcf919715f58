// Tables for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/terminal.h"

namespace mlad {

/// Columns as wide as their widest cell, two spaces apart, numbers to the
/// right: a cell that starts with a digit counts as a number.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToString(const Colours& colours) const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
};

/// "1.5 GiB"
std::string HumanBytes(int64_t bytes);

}  // namespace mlad
