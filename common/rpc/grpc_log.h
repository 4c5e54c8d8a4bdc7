// The logs of libraries.
#pragma once

namespace samovar {

// Sends the lines that gRPC and protobuf would write to standard error to our log: errors as warnings, all else as
// debug lines, since it repeats errors that calls return. Logs as well when connections are refused for want of open
// files (open_files.h). Call once, at the start of main, after InitLogging.
void RouteGrpcLog();

}  // namespace samovar
