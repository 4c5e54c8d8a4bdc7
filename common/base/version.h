// What this build is, for people and for the status.
#pragma once

namespace samovar {

// Of this build: "0.1.0".
const char* Version();

}  // namespace samovar
