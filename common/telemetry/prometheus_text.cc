#include "common/telemetry/prometheus_text.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace samovar {

void PrometheusText::Begin(const std::string& name, const std::string& type, const std::string& help) {
  name_ = name;
  absl::StrAppend(&text_, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}

void PrometheusText::Add(const Labels& labels, double value, absl::string_view suffix) {
  absl::StrAppend(&text_, name_, suffix);
  absl::string_view separator = "{";
  for (const auto& [label, text] : labels) {
    absl::StrAppend(&text_, separator, label, "=\"",
                    absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}}), "\"");
    separator = ",";
  }
  if (!labels.empty()) absl::StrAppend(&text_, "}");
  const std::string number = std::isnan(value)   ? "NaN"
                             : std::isinf(value) ? (value > 0 ? "+Inf" : "-Inf")
                                                 : absl::StrFormat("%.15g", value);
  absl::StrAppend(&text_, " ", number, "\n");
}

}  // namespace samovar
