#include "server/monitor/server_pages.h"

#include "absl/strings/str_cat.h"
#include "common/rpc/proto_json.h"

namespace samovar {
namespace {

Page JsonOf(const google::protobuf::Message& message) {
  const absl::StatusOr<std::string> json = ToJson(message);
  if (!json.ok()) return {503, "text/plain; charset=utf-8", absl::StrCat(json.status().message(), "\n")};
  return {200, "application/json", *json};
}

}  // namespace

std::map<std::string, PageServer::Handler> PagesOf(const ServerPages& server) {
  std::map<std::string, PageServer::Handler> pages = PagesOf(server.process);
  pages["/api/v1/status"] = [server](const PageRequest&) { return JsonOf(server.status()); };
  return pages;
}

}  // namespace samovar
