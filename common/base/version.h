// What this build is, for people and for the status.
#pragma once

namespace samovar {

// "0.1.0"
const char* Version();

// The instruction-set level that the program was compiled for: "x86-64-v3".
const char* InstructionSet();

}  // namespace samovar
