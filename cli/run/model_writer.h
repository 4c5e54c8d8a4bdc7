// ModelWriter writes a job's models and solver states on a thread of its own, since it waits for servers that are lost
// meanwhile, and the run's own thread must start them again.
//
// Thread safety: none; the waker is notified from its thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "cli/run/waker.h"
#include "common/base/stopper.h"
#include "common/rpc/dialer.h"
#include "common/storage/storage_table.h"
#include "samovar/v1/job.pb.h"

namespace samovar {

class ModelWriter {
 public:
  struct Written {
    uint64_t iteration = 0;
    std::string model_path;
    std::string state_path;
    // Whether each was written; a message names the file. Without the model the state is not tried.
    absl::Status model;
    absl::Status state;
  };

  // Spec and waker outlive the object; the waker is notified when something was written, or was not.
  ModelWriter(const v1::JobSpec* spec, std::string snapshot_prefix, const Dialer& dialer, const StorageTable& storage,
              Waker* waker);
  // Abandons the files that are being written.
  ~ModelWriter();
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;

  // Begins to write the copy that the job's servers froze or persisted as `iteration` (model_export.h). REQUIRES:
  // !busy()
  void Start(uint64_t iteration, const v1::JobStatus& status);
  // From Start until Take has returned the result.
  bool busy() const { return thread_.joinable(); }
  // The result, if there is one.
  std::optional<Written> Take();

 private:
  Written Write(uint64_t iteration, const v1::JobStatus& status) const;

  const v1::JobSpec& spec_;
  const std::string snapshot_prefix_;
  const Dialer dialer_;
  const StorageTable storage_;
  Waker& waker_;
  Stopper stopper_;
  absl::Mutex mu_;
  std::optional<Written> written_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace samovar
