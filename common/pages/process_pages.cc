#include "common/pages/process_pages.h"

#include "absl/strings/str_cat.h"
#include "common/base/process_usage.h"
#include "common/base/version.h"
#include "common/telemetry/prometheus_text.h"

namespace samovar {
namespace {

constexpr char kPlain[] = "text/plain; charset=utf-8";
constexpr char kPrometheus[] = "text/plain; version=0.0.4; charset=utf-8";

std::string ProcessMetrics() {
  PrometheusText text;
  text.Begin("samovar_build_info", "gauge", "1, with the version of the program.");
  text.Add({{"version", Version()}}, 1);
  text.Begin("process_cpu_seconds_total", "counter", "Processor time of the process, in seconds.");
  text.Add({}, ProcessCpuSeconds());
  text.Begin("process_resident_memory_bytes", "gauge", "Memory that the process has, in bytes.");
  text.Add({}, static_cast<double>(ProcessResidentBytes()));
  return text.text();
}

}  // namespace

std::map<std::string, PageServer::Handler> PagesOf(const ProcessPages& process) {
  std::map<std::string, PageServer::Handler> pages;
  pages["/healthz"] = [](const PageRequest&) { return Page{200, kPlain, "ok\n"}; };
  pages["/readyz"] = [process](const PageRequest&) {
    const std::string reason = process.unready();
    return reason.empty() ? Page{200, kPlain, "ready\n"} : Page{503, kPlain, absl::StrCat(reason, "\n")};
  };
  pages["/metrics"] = [process](const PageRequest&) {
    return Page{
        200, kPrometheus,
        absl::StrCat(process.metrics->Text(), ProcessMetrics(), process.more_metrics ? process.more_metrics() : "")};
  };
  return pages;
}

}  // namespace samovar
