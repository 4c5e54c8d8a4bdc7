#include "cli/run/model_writer.h"

#include <utility>

#include "cli/run/model_export.h"
#include "common/base/exceptions.h"
#include "common/storage/write_file.h"

namespace samovar {

ModelWriter::ModelWriter(const v1::JobSpec* spec, std::string snapshot_prefix, const Dialer& dialer,
                         const StorageTable& storage, Waker* waker)
    : spec_(*spec), snapshot_prefix_(std::move(snapshot_prefix)), dialer_(dialer), storage_(storage), waker_(*waker) {}

ModelWriter::~ModelWriter() {
  stopper_.Stop();
  if (thread_.joinable()) thread_.join();
}

void ModelWriter::Start(uint64_t iteration, const v1::JobStatus& status) {
  thread_ = std::thread([this, iteration, status] {
    Written written;
    written.model = CatchExceptions([&] {
      written = Write(iteration, status);
      return written.model;
    });
    {
      absl::MutexLock lock(&mu_);
      written_ = std::move(written);
    }
    waker_.Notify();
  });
}

std::optional<ModelWriter::Written> ModelWriter::Take() {
  std::optional<Written> written;
  {
    absl::MutexLock lock(&mu_);
    written = std::exchange(written_, std::nullopt);
  }
  if (written.has_value()) thread_.join();
  return written;
}

ModelWriter::Written ModelWriter::Write(uint64_t iteration, const v1::JobStatus& status) const {
  Written written;
  written.iteration = iteration;
  written.model_path = ModelPath(snapshot_prefix_, iteration, spec_.solver());
  written.state_path = SolverStatePath(snapshot_prefix_, iteration, spec_.solver());
  written.model = CannotWrite(written.model_path,
                              ExportModel(spec_, status, iteration, written.model_path, dialer_, storage_, stopper_));
  if (!written.model.ok()) return written;
  written.state = CannotWrite(written.state_path, ExportSolverState(spec_, status, iteration, written.model_path,
                                                                    written.state_path, dialer_, storage_, stopper_));
  return written;
}

}  // namespace samovar
