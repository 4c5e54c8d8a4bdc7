// The end of exceptions in threads that go round for as long as their process lives.
//
//   while (!stopper_.WaitFor(kTick)) RunTurn("the scheduler", [this] { StartReady(); });
//
// An exception of a turn, for want of memory say, ends that turn only. It is logged, if there is memory for that, and
// the thread goes on with its next turn. So the body must leave all its data whole when an exception ends it.
//
// Thread safety: may be called from any thread.
#pragma once

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace samovar {

// Whether nothing was thrown. `thread`: its name in the log.
bool RunTurn(absl::string_view thread, absl::FunctionRef<void()> body) noexcept;

}  // namespace samovar
