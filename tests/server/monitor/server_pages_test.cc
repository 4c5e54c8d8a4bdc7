#include "server/monitor/server_pages.h"

#include <limits>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/monitor/recent_page.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"

namespace samovar {
namespace {

// A coordinator with the job "a b&c", whose curve has two points and which has two events.
class Pages {
 public:
  explicit Pages(bool is_coordinator = true) {
    ServerPages server;
    server.process.metrics = &metrics_;
    server.process.unready = [] { return ""; };
    server.status = [this] {
      ++statuses_;
      v1::ClusterStatus status;
      status.set_coordinator("127.0.0.1:7100");
      return status;
    };
    if (is_coordinator) {
      server.history = [this](const v1::GetHistoryRequest& request,
                              absl::FunctionRef<bool(const v1::HistoryBlock&)> send) {
        asked_.push_back(request);
        if (request.job_id() != "a b&c") return absl::NotFoundError(absl::StrCat("no job ", request.job_id()));
        v1::HistoryBlock block;
        block.add_iterations(7);
        block.add_losses(0.5);
        send(block);
        block.set_iterations(0, 8);
        block.set_losses(0, std::numeric_limits<float>::quiet_NaN());
        send(block);
        return absl::OkStatus();
      };
      server.events = [](const std::string& job, uint64_t after, absl::FunctionRef<bool(const v1::JobEvent&)> send) {
        if (job != "a b&c") return absl::NotFoundError(absl::StrCat("no job ", job));
        for (uint64_t number = after + 1; number <= 2; ++number) {
          v1::JobEvent event;
          event.set_number(number);
          event.set_text("<b>\"&");
          send(event);
        }
        return absl::OkStatus();
      };
    }
    pages_ = PagesOf(server);
  }

  Page Get(const std::string& path, const std::map<std::string, std::string>& parameters = {}) const {
    const auto page = pages_.find(path);
    REQUIRE(page != pages_.end());
    return page->second({path, parameters});
  }

  int statuses() const { return statuses_; }
  const std::vector<v1::GetHistoryRequest>& asked() const { return asked_; }

 private:
  Metrics metrics_;
  int statuses_ = 0;
  std::vector<v1::GetHistoryRequest> asked_;
  std::map<std::string, PageServer::Handler> pages_;
};

TEST_CASE("a curve is sent as JSON, block by block, whatever its numbers are") {
  const Pages pages;
  const Page page = pages.Get("/api/v1/history", {{"job", "a b&c"}, {"first", "7"}, {"points", "50"}});
  CHECK(page.code == 200);
  CHECK(page.type == "application/json");
  CHECK(page.body ==
        "{\"blocks\":[{\"iterations\":[\"7\"],\"losses\":[0.5]},\n{\"iterations\":[\"8\"],\"losses\":[\"NaN\"]}]}\n");
  CHECK(pages.asked().back().first_iteration() == 7);
  CHECK(pages.asked().back().max_points() == 50);
  // As many as a picture shows, unless more are asked for.
  CHECK(pages.Get("/api/v1/history", {{"job", "a b&c"}}).code == 200);
  CHECK(pages.asked().back().first_iteration() == 0);
  CHECK(pages.asked().back().max_points() == 2000);
}

TEST_CASE("a job's events are sent as JSON, those after a number") {
  const Pages pages;
  CHECK(pages.Get("/api/v1/events", {{"job", "a b&c"}, {"after", "1"}}).body ==
        "{\"events\":[{\"number\":\"2\",\"text\":\"\\u003cb\\u003e\\\"&\"}]}\n");
  CHECK(pages.Get("/api/v1/events", {{"job", "a b&c"}, {"after", "2"}}).body == "{\"events\":[]}\n");
}

TEST_CASE("a job that is not there, and parameters that are wrong, are refused in words") {
  const Pages pages;
  for (const char* path : {"/api/v1/history", "/api/v1/events"}) {
    INFO(path);
    const Page unknown = pages.Get(path, {{"job", "x"}});
    CHECK(unknown.code == 404);
    CHECK(unknown.body == "no job x\n");
    CHECK(pages.Get(path).code == 400);
    CHECK(pages.Get(path).body == absl::StrCat("say which job: ", path, "?job=NAME\n"));
  }
  for (const char* garbage : {"", "x", "-1", "1.5", "99999999999999999999"}) {
    INFO(garbage);
    CHECK(pages.Get("/api/v1/history", {{"job", "a b&c"}, {"first", garbage}}).code == 400);
    CHECK(pages.Get("/api/v1/events", {{"job", "a b&c"}, {"after", garbage}}).code == 400);
  }
  for (const char* garbage : {"", "x", "0", "100001", "-5"}) {
    INFO(garbage);
    const Page page = pages.Get("/api/v1/history", {{"job", "a b&c"}, {"points", garbage}});
    CHECK(page.code == 400);
    CHECK(page.body == "\"points\" must be a whole number from 1 to 100000\n");
  }
  CHECK(pages.asked().size() == 1);
}

TEST_CASE("a server that is no coordinator says so, where jobs are asked for") {
  const Pages pages(/*is_coordinator=*/false);
  const Page page = pages.Get("/api/v1/history", {{"job", "a"}});
  CHECK(page.code == 404);
  CHECK(absl::StrContains(page.body, "no coordinator"));
  CHECK(pages.Get("/api/v1/status").code == 200);
}

TEST_CASE("the status is made once for all that ask within a moment") {
  const Pages pages;
  for (int i = 0; i < 100; ++i) CHECK(absl::StrContains(pages.Get("/api/v1/status").body, "\"127.0.0.1:7100\""));
  CHECK(pages.statuses() < 100);
}

TEST_CASE("a page is made again when it is old, and an error is not kept") {
  absl::Time now = absl::UnixEpoch();
  int made = 0;
  int code = 503;
  RecentPage page(
      [&] {
        return Page{code, "text/plain", absl::StrCat("page ", ++made)};
      },
      absl::Milliseconds(500), [&] { return now; });
  CHECK(page.Get().code == 503);
  code = 200;
  CHECK(page.Get().body == "page 2");
  now += absl::Milliseconds(499);
  CHECK(page.Get().body == "page 2");
  now += absl::Milliseconds(1);
  CHECK(page.Get().body == "page 3");
}

TEST_CASE("the dashboard is one page, a script and a style, and nothing below them") {
  const Pages pages;
  const Page page = pages.Get("/");
  CHECK(page.code == 200);
  CHECK(page.type == "text/html; charset=utf-8");
  CHECK(absl::StartsWith(page.body, "<!DOCTYPE html>"));
  // What the policy of the pages forbids.
  CHECK_FALSE(absl::StrContains(page.body, "<script>"));
  CHECK_FALSE(absl::StrContains(page.body, " style="));
  CHECK(pages.Get("/app.js").type == "text/javascript; charset=utf-8");
  CHECK(pages.Get("/app.js").body.size() > 10000);
  CHECK(pages.Get("/app.css").type == "text/css; charset=utf-8");
  CHECK(absl::StrContains(pages.Get("/NOTICE").body, "The MIT License"));
}

}  // namespace
}  // namespace samovar
