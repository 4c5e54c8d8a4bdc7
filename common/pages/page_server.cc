#include "common/pages/page_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/exceptions.h"
#include "common/base/printable.h"
#include "common/telemetry/log.h"

namespace samovar {
namespace {

std::string Decoded(absl::string_view text) {
  std::string result(text.size() + 1, '\0');
  const int size =
      mg_url_decode(text.data(), static_cast<int>(text.size()), result.data(), static_cast<int>(result.size()), 1);
  result.resize(static_cast<size_t>(std::max(0, size)));
  return result;
}

// Pages show what they were asked for.
bool IsText(const PageRequest& request) {
  const auto is_text = [](const std::string& text) { return Printable(text, text.size()) == text; };
  return is_text(request.path) &&
         std::all_of(request.parameters.begin(), request.parameters.end(),
                     [&](const auto& parameter) { return is_text(parameter.first) && is_text(parameter.second); });
}

// The numbers of this machine, or a name of them that no DNS server gives: else a page of elsewhere could have its own
// name lead here, and read the answers.
bool IsLoopbackHost(absl::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon != absl::string_view::npos && !absl::EndsWith(host, "]")) host = host.substr(0, colon);
  if (absl::EqualsIgnoreCase(host, "localhost") || host == "[::1]") return true;
  in_addr number = {};
  // 127.evil.example is a name.
  return inet_pton(AF_INET, std::string(host).c_str(), &number) == 1 && ntohl(number.s_addr) >> 24 == IN_LOOPBACKNET;
}

std::map<std::string, std::string> ParametersOf(const char* query) {
  std::map<std::string, std::string> parameters;
  if (query == nullptr) return parameters;
  for (const absl::string_view part : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    parameters[Decoded(pair.first)] = Decoded(pair.second);
  }
  return parameters;
}

const char* ReasonOf(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Error";
  }
}

bool TakesGzip(const mg_connection* connection) {
  const char* const accepted = mg_get_header(connection, "Accept-Encoding");
  return accepted != nullptr && absl::StrContains(accepted, "gzip") && !absl::StrContains(accepted, "gzip;q=0");
}

void Send(mg_connection* connection, const Page& answer, bool with_body) {
  const bool compressed = !answer.gzip.empty() && TakesGzip(connection);
  const std::string& body = compressed ? answer.gzip : answer.body;
  // No other page may use what this one shows, and a browser loads nothing from elsewhere.
  const std::string head = absl::StrCat(
      "HTTP/1.1 ", answer.code, " ", ReasonOf(answer.code), "\r\nContent-Type: ", answer.type,
      compressed ? "\r\nContent-Encoding: gzip" : "", "\r\nContent-Length: ", body.size(),
      "\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n",
      "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n",
      "Content-Security-Policy: default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'\r\n",
      "Cache-Control: no-store\r\n\r\n");
  mg_write(connection, head.data(), head.size());
  if (with_body) mg_write(connection, body.data(), body.size());
}

}  // namespace

struct PageServer::Context {
  std::map<std::string, Handler> pages;
  mg_context* server = nullptr;
  // Only this machine can reach it.
  bool is_local = false;

  const Handler* Find(const std::string& path) const {
    const Handler* found = nullptr;
    size_t longest = 0;
    for (const auto& [page, handler] : pages) {
      const bool fits = path == page || (absl::EndsWith(page, "/") && absl::StartsWith(path, page));
      if (!fits || page.size() < longest) continue;
      longest = page.size();
      found = &handler;
    }
    return found;
  }

  Page AnswerTo(const mg_request_info& info, const char* host) const {
    if (is_local && host != nullptr && !IsLoopbackHost(host))
      return {403, "text/plain; charset=utf-8", "this port answers to localhost and numbers of this machine only\n"};
    const bool reads = std::strcmp(info.request_method, "GET") == 0 || std::strcmp(info.request_method, "HEAD") == 0;
    if (!reads) return {405, "text/plain; charset=utf-8", "this port answers GET only\n"};
    PageRequest request;
    request.path = info.local_uri != nullptr ? info.local_uri : "/";
    request.parameters = ParametersOf(info.query_string);
    if (!IsText(request)) return {400, "text/plain; charset=utf-8", "the address has bytes that are no text\n"};
    const Handler* const handler = Find(request.path);
    if (handler == nullptr) return {404, "text/plain; charset=utf-8", "there is no such page\n"};
    Page answer;
    const absl::Status done = CatchExceptions([&] {
      answer = (*handler)(request);
      return absl::OkStatus();
    });
    return done.ok() ? answer : Page{503, "text/plain; charset=utf-8", absl::StrCat(done.message(), "\n")};
  }

  // civetweb's callbacks.
  static int Handle(mg_connection* connection, void*) {
    const mg_request_info* const info = mg_get_request_info(connection);
    const auto* const self = static_cast<const Context*>(info->user_data);
    const Page answer = self->AnswerTo(*info, mg_get_header(connection, "Host"));
    Send(connection, answer, std::strcmp(info->request_method, "HEAD") != 0);
    return 1;
  }
  static int Log(const mg_connection*, const char* message) {
    LogDebug(absl::StrCat("http: ", message));
    return 1;
  }
};

PageServer::PageServer(std::unique_ptr<Context> context) : context_(std::move(context)) {}

PageServer::~PageServer() {
  if (context_->server != nullptr) mg_stop(context_->server);
}

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(const std::string& listen,
                                                              const std::map<std::string, Handler>& pages) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  // civetweb reads lists and options into it.
  const bool plain = listen.find_first_of(", +") == std::string::npos;
  if (!plain || colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(absl::string_view(listen).substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", listen, "\" is not HOST:PORT"));
  }
  auto context = std::make_unique<Context>();
  context->pages = pages;
  const std::string host = listen.substr(0, colon) == "localhost" ? "127.0.0.1" : listen.substr(0, colon);
  context->is_local = IsLoopbackHost(absl::StrCat(host, ":", port));
  const std::string ports = absl::StrCat(host, ":", port);
  const char* options[] = {"listening_ports",
                           ports.c_str(),
                           "num_threads",
                           "32",
                           "request_timeout_ms",
                           "3000",
                           "max_request_size",
                           "16384",
                           "connection_queue",
                           "128",
                           "enable_keep_alive",
                           "no",
                           "enable_directory_listing",
                           "no",
                           nullptr};
  mg_callbacks callbacks = {};
  callbacks.log_message = &Context::Log;
  static const unsigned initialised = mg_init_library(0);
  (void)initialised;
  context->server = mg_start(&callbacks, context.get(), options);
  if (context->server == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               " for HTTP; is another process using the port, or is the address not "
                                               "this machine's?"));
  }
  mg_set_request_handler(context->server, "**", &Context::Handle, nullptr);
  mg_server_port bound = {};
  const int found = mg_get_server_ports(context->server, 1, &bound);
  std::unique_ptr<PageServer> server(new PageServer(std::move(context)));
  server->address_ = absl::StrCat(listen.substr(0, colon), ":", found == 1 ? bound.port : port);
  return server;
}

}  // namespace samovar
