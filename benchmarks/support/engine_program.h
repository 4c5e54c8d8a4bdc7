// The main function of a program that measures the engine.
#pragma once

#include <iostream>

#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "common/base/loader.h"
#include "worker/nn/engine.h"

namespace samovar {

// Takes the engine's build for the instruction set that the environment asks for, reads the flags, and runs `program`.
// Exit code 2: the processor has no such instructions; 1: the program's error, which is printed.
template <typename Program>
int RunEngineProgram(int argc, char** argv, Program program) {
  if (const absl::Status status = KeepToInstructionSet(EngineLevel(), argv); !status.ok()) {
    std::cerr << status.message() << "\n";
    return 2;
  }
  absl::ParseCommandLine(argc, argv);
  const absl::Status status = program();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}

}  // namespace samovar
