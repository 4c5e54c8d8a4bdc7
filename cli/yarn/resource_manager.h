// ResourceManager calls the REST interfaces of a YARN cluster's resource manager: that of its services, which is there
// where yarn.webapp.api-service.enable is true, and that of its applications.
//
// Where a cluster has several resource managers (HA), each call finds the active one. Errors name the service and the
// resource manager, and say what to do.
//
// Thread safety: all methods may be called from any thread; all block on the network, a minute at most.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http/http_client.h"
#include "common/http/retries.h"
#include "common/remote/hadoop_configuration.h"
#include "google/protobuf/struct.pb.h"

namespace samovar {

struct ResourceManagerAccess {
  // "http://host:port" each, one at least.
  std::vector<std::string> origins;
  // ?user.name=; empty: none.
  std::string user;
  // Identifies the user by the process's Kerberos ticket instead.
  bool negotiate = false;
  RetryPolicy retries = {};
};

// The access that yarn-site.xml and core-site.xml tell; `addresses`, unless empty, are taken instead of those in
// yarn-site.xml: HOST:PORT, or URLs, with commas between. INVALID_ARGUMENT: neither names a resource manager.
absl::StatusOr<ResourceManagerAccess> FindResourceManager(const std::string& addresses,
                                                          const HadoopConfiguration& configuration);

// There is a service of this name already: ALREADY_EXISTS, with what to do.
absl::Status IsTaken(const std::string& name);

// A container of a service that has not ended.
struct YarnContainer {
  std::string id;
  // The instance of a component that runs in it: "worker-3".
  std::string instance;
  // "READY", or where it is on its way there.
  std::string state;
  std::string host;
  // The web server of its node manager: "http://host:port".
  std::string node_url;
};

class ResourceManager {
 public:
  explicit ResourceManager(const ResourceManagerAccess& access) : access_(access) {}

  // Begins a service. ALREADY_EXISTS: there is one of this name; INVALID_ARGUMENT: YARN refuses the specification.
  absl::Status Launch(const std::string& name, const std::string& specification);
  // The answer of YARN, as it is. NOT_FOUND: there is no such service; INTERNAL: the answer is no service.
  absl::StatusOr<std::string> Describe(const std::string& name);
  // The same, parsed.
  absl::StatusOr<google::protobuf::Struct> DescribeParsed(const std::string& name);
  // Gives a component so many containers.
  absl::Status SetCount(const std::string& name, const std::string& component, int containers);
  // Ends the service and forgets its specification. INTERNAL: the answer does not say that it has ended.
  absl::Status Destroy(const std::string& name);
  // The containers of a service, by instances' names. `description` is Describe's.
  absl::StatusOr<std::vector<YarnContainer>> Containers(const google::protobuf::Struct& description);
  // The last `bytes` bytes of a file among a container's logs, from its node manager.
  absl::StatusOr<std::string> Log(const YarnContainer& container, const std::string& file, uint64_t bytes);

  const std::string& address() const { return access_.origins.front(); }

 private:
  // Any answer of an active resource manager.
  absl::StatusOr<HttpResponse> Ask(const std::string& method, const std::string& path, absl::string_view body);
  absl::StatusOr<HttpResponse> AskOnce(const std::string& method, const std::string& path, absl::string_view body);
  absl::StatusOr<HttpResponse> Send(const std::string& method, const std::string& url, absl::string_view body);
  absl::StatusOr<google::protobuf::Struct> AskForObject(const std::string& path);
  absl::Status Failure(const std::string& name, const HttpResponse& response) const;
  // An answer of success that YARN does not give.
  absl::Status Surprise(const std::string& name, const HttpResponse& response, absl::string_view expected) const;

  const ResourceManagerAccess access_;
  HttpClient http_;
};

}  // namespace samovar
