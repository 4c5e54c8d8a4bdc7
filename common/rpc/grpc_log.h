// The logs of libraries.
#pragma once

namespace samovar {

// Sends what gRPC and protobuf would write to standard error to our log: errors as warnings, all else as debug lines,
// since it repeats in their words what calls return as errors. Tells there as well when connections are refused for
// want of open files (open_files.h). Call once, at the start of main, after InitLogging.
void RouteGrpcLog();

}  // namespace samovar
