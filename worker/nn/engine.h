// The engine as a shared library: it is built once for each instruction-set level, and the loader takes the highest
// that the CPU has. Everything else in the process is compiled for the lowest.
#pragma once

// On the names of the engine that programs may use: Net, and little else. All other names stay inside the library.
#define SAMOVAR_ENGINE_API __attribute__((visibility("default")))

namespace samovar {

// The level that was loaded: "x86-64-v3". On the same level every machine computes the same bits.
SAMOVAR_ENGINE_API const char* EngineLevel();

}  // namespace samovar
