// HelpFormatter writes the help of a command within 100 columns: what it does, how it is called, its arguments, its
// flags by group, examples.
//
// Thread safety: none.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace samovar {

// Prose and examples as they stand in the source, in any width: lines that follow each other are one paragraph, but for
// those that begin with "Example"; lines that are indented are commands, and those that are too long go on, indented
// further, behind a backslash.
std::string WrapText(absl::string_view text);

class HelpFormatter : public CLI::FormatterBase {
 public:
  // The options that commands cannot do without; outlives this.
  explicit HelpFormatter(const std::vector<std::pair<CLI::App*, CLI::Option*>>* required) : required_(*required) {}

  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;

 private:
  bool IsRequired(const CLI::Option* option) const;
  std::string Usage(const CLI::App& app, const std::string& name) const;
  std::string OptionHelp(const CLI::Option& option) const;

  const std::vector<std::pair<CLI::App*, CLI::Option*>>& required_;
};

}  // namespace samovar
