// gRPC's own log.
#pragma once

namespace samovar {

// Sends what gRPC would write to standard error to our log, as debug lines: it repeats in its own words what calls return as
// errors. Call once, at the start of main, after InitLogging.
void RouteGrpcLog();

}  // namespace samovar
