#include "config/config_file.h"

#include <cstdint>
#include <set>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/base/printable.h"
#include "common/base/read_file.h"
#include "common/base/status_macros.h"
#include "common/base/suggest.h"

namespace samovar {
namespace {

constexpr uint64_t kMaxBytes = 1 << 20;
// An error shows a line of a file that may be anything.
constexpr size_t kMaxErrorBytes = 400;

std::vector<std::string> Keys(const CLI::App& app) {
  std::vector<std::string> keys;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_configurable() && !option->get_lnames().empty()) keys.push_back(option->get_lnames().front());
  }
  return keys;
}

bool IsFlag(const CLI::Option& option) { return option.get_expected_min() == 0; }

// Both kinds of quote end where they begin, unless a '#' between them has been taken for a comment.
bool HasLooseQuote(absl::string_view value) {
  return absl::StartsWith(value, "\"") || absl::StartsWith(value, "'") || absl::EndsWith(value, "\"") ||
         absl::EndsWith(value, "'");
}

absl::Status Set(const std::vector<std::string>& values, CLI::Option* option) {
  if (values.size() != 1)
    return absl::InvalidArgumentError("takes one value; one with spaces or commas stands in quotes");
  const std::string& value = values.front();
  if (HasLooseQuote(value))
    return absl::InvalidArgumentError("has a quote too many or too few; there can be no # in a value");
  if (IsFlag(*option) && value != "true" && value != "false") {
    return absl::InvalidArgumentError(absl::StrCat("is true or false, not \"", value, "\""));
  }
  return SetOption(value, option);
}

// One line that is neither empty nor a comment. `seen` holds the keys of the lines above.
absl::Status ReadLine(const std::string& line, CLI::App* app, std::set<std::string>* seen) {
  if (absl::StartsWith(line, "[")) {
    return absl::InvalidArgumentError(absl::StrCat(line, ": there are no sections here; all keys stand on their own"));
  }
  std::istringstream text(line);
  const std::vector<CLI::ConfigItem> items = CLI::ConfigTOML().from_config(text);
  if (!absl::StrContains(line, "=") || items.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("\"", line, "\" is not KEY = VALUE"));
  }
  const std::string key = items.front().fullname();
  CLI::Option* const option = app->get_option_no_throw(absl::StrCat("--", key));
  if (option == nullptr)
    return absl::InvalidArgumentError(absl::StrCat("unknown key \"", key, "\"", DidYouMean(key, Keys(*app))));
  if (!option->get_configurable())
    return absl::InvalidArgumentError(absl::StrCat(key, " is for the command line only"));
  if (!seen->insert(key).second) return absl::InvalidArgumentError(absl::StrCat(key, " comes twice"));
  if (option->count() > 0) return absl::OkStatus();
  const absl::Status status = Set(items.front().inputs, option);
  return status.ok() ? status : absl::InvalidArgumentError(absl::StrCat(key, ": ", status.message()));
}

}  // namespace

absl::Status SetOption(const std::string& value, CLI::Option* option) {
  try {
    option->add_result(value);
    option->run_callback();
  } catch (const CLI::ParseError& error) {
    const std::string what = error.what();
    return absl::InvalidArgumentError(absl::StripPrefix(what, absl::StrCat(option->get_name(), ": ")));
  }
  return absl::OkStatus();
}

absl::Status ReadConfigFile(const std::string& path, CLI::App* app) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxBytes));
  std::set<std::string> seen;
  int number = 0;
  // A line at a time, so that errors have its number.
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(absl::StripAsciiWhitespace(raw));
    if (line.empty() || absl::StartsWith(line, "#")) continue;
    const absl::Status status = ReadLine(line, app, &seen);
    if (!status.ok()) {
      const std::string what = Printable(status.message(), kMaxErrorBytes);
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", what));
    }
  }
  return absl::OkStatus();
}

}  // namespace samovar
