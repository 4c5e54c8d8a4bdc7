#include "cli/doctor/finding.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/json_line.h"
#include "common/base/printable.h"

namespace samovar {
namespace {

const char* LevelName(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk:
      return "ok";
    case Finding::Level::kWarning:
      return "warning";
    case Finding::Level::kWrong:
      break;
  }
  return "wrong";
}

}  // namespace

Finding Ok(std::string what, std::string fact) { return {Finding::Level::kOk, std::move(what), std::move(fact), ""}; }

Finding Warning(std::string what, std::string fact, std::string todo) {
  return {Finding::Level::kWarning, std::move(what), std::move(fact), std::move(todo)};
}

Finding Wrong(std::string what, std::string fact, std::string todo) {
  return {Finding::Level::kWrong, std::move(what), std::move(fact), std::move(todo)};
}

std::string FindingLine(const Finding& finding) {
  const std::string text =
      absl::StrCat(finding.what, ": ", finding.fact, finding.todo.empty() ? "" : "; ", finding.todo);
  return absl::StrFormat("%-7s  %s", LevelName(finding.level), Printable(text));
}

std::string FindingJson(const Finding& finding) {
  JsonLine line;
  line.Text("level", LevelName(finding.level)).Text("what", finding.what).Text("fact", finding.fact);
  if (!finding.todo.empty()) line.Text("todo", finding.todo);
  return line.Finish();
}

}  // namespace samovar
