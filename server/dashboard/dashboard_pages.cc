#include "server/dashboard/dashboard_pages.h"

#include "absl/strings/string_view.h"
#include "common/pages/gzip.h"
#include "server/dashboard/bundle.h"

namespace samovar {
namespace {

PageServer::Handler FileAt(const char* path, const char* type, absl::string_view content) {
  return [path, page = Page{200, type, std::string(content), Gzip(content)}](const PageRequest& request) {
    // A path that ends in '/' is asked for all that is below it, too.
    if (request.path != path) return Page{404, "text/plain; charset=utf-8", "there is no such page\n"};
    return page;
  };
}

}  // namespace

std::map<std::string, PageServer::Handler> DashboardPages() {
  std::map<std::string, PageServer::Handler> pages;
  pages["/"] = FileAt("/", "text/html; charset=utf-8", dashboard::kIndexHtml);
  pages["/app.js"] = FileAt("/app.js", "text/javascript; charset=utf-8", dashboard::kAppJs);
  pages["/app.css"] = FileAt("/app.css", "text/css; charset=utf-8", dashboard::kAppCss);
  pages["/NOTICE"] = FileAt("/NOTICE", "text/plain; charset=utf-8", dashboard::kNotice);
  return pages;
}

}  // namespace samovar
