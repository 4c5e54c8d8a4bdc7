// The checks of `samovar doctor` on a cluster's storage: whether this machine may read it, and its clock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/doctor/finding.h"
#include "common/storage/storage_table.h"

namespace samovar {

// Whether the URI or path can be listed with the credentials that this process finds, and its directory written to if
// `writes`. Does I/O; a storage that does not answer takes a while, and can be stopped.
Finding CheckStorage(const std::string& uri, bool writes, const StorageTable& storage);

// How far this machine's clock is from that of the server that answers for the URI; positive if this one is ahead.
// Nothing: the URI is a path of this machine, or its server tells no time.
std::optional<absl::Duration> StorageClockOffset(const std::string& uri);

// The time of a header "Date: Mon, 30 Nov 2026 02:30:00 GMT". Nothing: it is none.
std::optional<absl::Time> ParseHttpDate(absl::string_view text);

}  // namespace samovar
