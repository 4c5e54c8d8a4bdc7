// NextEvent takes the next event out of a completion queue. It looks for a short while before it sleeps: when messages
// follow each other, waking a sleeping thread for each would take longer than the message itself.
//
// Thread safety: as grpc::CompletionQueue.
#pragma once

#include <grpcpp/completion_queue.h>

#include "absl/time/time.h"

namespace samovar {

// Blocks until there is an event, but not longer than `time`. As grpc::CompletionQueue::AsyncNext.
grpc::CompletionQueue::NextStatus NextEvent(grpc::CompletionQueue* queue, absl::Duration time, void** tag, bool* ok);

}  // namespace samovar
