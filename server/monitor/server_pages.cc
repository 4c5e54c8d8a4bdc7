#include "server/monitor/server_pages.h"

#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/pages/gzip.h"
#include "common/rpc/proto_json.h"
#include "server/dashboard/dashboard_pages.h"
#include "server/monitor/recent_page.h"

namespace samovar {
namespace {

constexpr absl::Duration kShared = absl::Milliseconds(500);
// As many as a picture can show; and a bound of what one answer costs.
constexpr uint64_t kPoints = 2000;
constexpr uint64_t kMaxPoints = 100000;

constexpr char kPlain[] = "text/plain; charset=utf-8";

int CodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnimplemented:
      return 404;
    default:
      return 503;
  }
}

Page JsonOf(const absl::StatusOr<std::string>& json) {
  if (!json.ok()) return {CodeOf(json.status()), kPlain, absl::StrCat(json.status().message(), "\n")};
  return {200, "application/json", *json};
}

absl::StatusOr<std::string> JobOf(const PageRequest& request) {
  const auto job = request.parameters.find("job");
  if (job != request.parameters.end() && !job->second.empty()) return job->second;
  return absl::InvalidArgumentError(absl::StrCat("say which job: ", request.path, "?job=NAME"));
}

// The parameter, or `otherwise` if it is not given.
absl::StatusOr<uint64_t> NumberOf(const PageRequest& request, const std::string& name, uint64_t otherwise,
                                  uint64_t least, uint64_t most) {
  const auto parameter = request.parameters.find(name);
  if (parameter == request.parameters.end()) return otherwise;
  uint64_t number = 0;
  if (!absl::SimpleAtoi(parameter->second, &number) || number < least || number > most) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" must be a whole number from ", least, " to ", most));
  }
  return number;
}

// The messages that `send_all` sends, as {"NAME": [...]}.
template <typename Message>
absl::StatusOr<std::string> ListOf(
    const char* name, const std::function<absl::Status(absl::FunctionRef<bool(const Message&)> send)>& send_all) {
  std::string json = absl::StrCat("{\"", name, "\":[");
  const char* separator = "";
  absl::Status written;
  const absl::Status sent = send_all([&](const Message& message) {
    const absl::StatusOr<std::string> line = ToJsonLine(message);
    written = line.status();
    if (!line.ok()) return false;
    absl::StrAppend(&json, separator, *line);
    separator = ",\n";
    return true;
  });
  SAMOVAR_RETURN_IF_ERROR(written);
  SAMOVAR_RETURN_IF_ERROR(sent);
  return absl::StrCat(json, "]}\n");
}

absl::Status NoCoordinator() {
  return absl::UnimplementedError("this server is no coordinator, and has no jobs; ask its coordinator");
}

absl::StatusOr<std::string> HistoryOf(const ServerPages& server, const PageRequest& request) {
  v1::GetHistoryRequest wanted;
  SAMOVAR_ASSIGN_OR_RETURN(*wanted.mutable_job_id(), JobOf(request));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t first, NumberOf(request, "first", 0, 0, UINT64_MAX));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t points, NumberOf(request, "points", kPoints, 1, kMaxPoints));
  wanted.set_first_iteration(first);
  wanted.set_max_points(static_cast<uint32_t>(points));
  if (server.history == nullptr) return NoCoordinator();
  return ListOf<v1::HistoryBlock>(
      "blocks", [&](absl::FunctionRef<bool(const v1::HistoryBlock&)> send) { return server.history(wanted, send); });
}

absl::StatusOr<std::string> EventsOf(const ServerPages& server, const PageRequest& request) {
  SAMOVAR_ASSIGN_OR_RETURN(const std::string job, JobOf(request));
  SAMOVAR_ASSIGN_OR_RETURN(const uint64_t after, NumberOf(request, "after", 0, 0, UINT64_MAX));
  if (server.events == nullptr) return NoCoordinator();
  return ListOf<v1::JobEvent>(
      "events", [&](absl::FunctionRef<bool(const v1::JobEvent&)> send) { return server.events(job, after, send); });
}

}  // namespace

std::map<std::string, PageServer::Handler> PagesOf(const ServerPages& server) {
  std::map<std::string, PageServer::Handler> pages = PagesOf(server.process);
  pages.merge(DashboardPages());
  const auto status = std::make_shared<RecentPage>(
      [make = server.status] {
        Page page = JsonOf(ToJson(make()));
        page.gzip = Gzip(page.body);
        return page;
      },
      kShared);
  pages["/api/v1/status"] = [status](const PageRequest&) { return status->Get(); };
  pages["/api/v1/history"] = [server](const PageRequest& request) { return JsonOf(HistoryOf(server, request)); };
  pages["/api/v1/events"] = [server](const PageRequest& request) { return JsonOf(EventsOf(server, request)); };
  return pages;
}

}  // namespace samovar
