// The version and build of this program, for people and for the status.
#pragma once

#include <string_view>

namespace samovar {

// The version of this build: "0.2.0".
const char* Version();

// Whether a process of the other version may be in one cluster with this one: they are of the same minor release, 0.2.x
// say. False for a text that is no version.
bool FitsVersion(std::string_view other);

}  // namespace samovar
