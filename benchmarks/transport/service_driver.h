// ServiceDriver moves a model's gradients and weights through a real parameter server, a process of its own, with the
// worker's own client: decoded, checked, entered into ledgers, answered.
//
// Thread safety: one thread at a time; Exchange by one thread for each client.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "benchmarks/support/server_process.h"
#include "common/parameters/parameter_client.h"

namespace samovar {

enum class Direction { kPush, kPull, kFused };

class ServiceDriver {
 public:
  // Starts `program`, with its state and log below `directory`. Gradients and weights travel in the encoding.
  static absl::StatusOr<std::unique_ptr<ServiceDriver>> Start(const std::string& program, const std::string& directory,
                                                              v1::Encoding encoding, uint32_t channels);

  pid_t pid() const { return server_->pid(); }

  // Makes the server hold a model of so many floats, and connects that many clients, each with a gradient and weights
  // of its own. Without `applies` each client pushes one iteration again and again: gradients arrive, are decoded and
  // looked up in the ledger, which has them.
  absl::Status Open(uint64_t elements, int clients, bool applies);
  absl::Status Close();

  // One exchange of the whole model. A push is answered when it is in the ledger.
  absl::Status Exchange(Direction direction, int client);

 private:
  ServiceDriver() = default;

  v1::Encoding encoding_ = v1::ENCODING_FLOAT32;
  uint32_t channels_ = 0;
  std::unique_ptr<ServerProcess> server_;
  int jobs_ = 0;
  std::string job_id_;
  bool applies_ = false;
  std::atomic<uint64_t> iteration_ = 0;
  std::vector<std::unique_ptr<ParameterClient>> clients_;
  std::vector<std::vector<float>> gradients_;
  std::vector<std::vector<float>> weights_;
};

}  // namespace samovar
