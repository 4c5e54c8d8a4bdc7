// ServerProcess is a real samovar-server for a benchmark to talk to: started by it, or running already, on another
// machine say.
//
// Thread safety: none.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/run/child_process.h"
#include "cli/run/waker.h"
#include "samovar/v1/layout.pb.h"

namespace samovar {

class ServerProcess {
 public:
  // Starts `program` with one apply thread, its state and log below `directory`. With `processor` it is bound to that
  // one. Without `join`, the address of a coordinator, it is one itself.
  static absl::StatusOr<std::unique_ptr<ServerProcess>> Start(const std::string& program, const std::string& directory,
                                                              std::optional<int> processor = std::nullopt,
                                                              const std::string& join = "");
  // The one at this address, which goes on running.
  static std::unique_ptr<ServerProcess> At(const std::string& address);
  // Ends it, if Start began it.
  ~ServerProcess();

  const std::string& address() const { return address_; }
  // REQUIRES: begun by Start
  pid_t pid() const { return process_->pid(); }

  // Gives the server all chunks of a job of this name, layout and solver, of the size that the coordinator would
  // choose. Returns that size.
  absl::StatusOr<uint32_t> Open(const std::string& job_id, const v1::ParameterLayout& layout,
                                const caffe::SolverParameter& solver);
  absl::Status Close(const std::string& job_id);

  // The epoch that jobs are opened with, and pushes are to have.
  static constexpr uint64_t kEpoch = 1;

 private:
  ServerProcess() = default;

  Waker waker_;
  std::unique_ptr<ChildProcess> process_;
  std::string address_;
};

}  // namespace samovar
