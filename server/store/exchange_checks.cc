#include "server/store/exchange_checks.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/model/push_units.h"
#include "common/parameters/encoding.h"

namespace samovar {
namespace {

absl::Status CheckIteration(uint64_t iteration, const HostedJob& job) {
  if (iteration < job.max_iter()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("iteration ", iteration, " is not one of job \"", job.id(),
                                                 "\", which has max_iter ", job.max_iter()));
}

absl::Status CheckWatermark(const v1::ExchangeRequest& request, const HostedJob* job) {
  if (request.frozen()) return absl::InvalidArgumentError("a frozen copy does not change; leave out waits, or frozen");
  if (request.watermark() <= job->max_iter()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("job \"", job->id(), "\" has max_iter ", job->max_iter(),
                                                 " and will not get to the watermark ", request.watermark()));
}

absl::Status CheckClipping(const v1::ExchangeRequest& request, const HostedJob* job) {
  if (job == nullptr || !job->clips())
    return absl::InvalidArgumentError("squares and apply are for jobs with clip_gradients and several parts");
  SAMOVAR_RETURN_IF_ERROR(CheckIteration(request.iteration(), *job));
  const bool squares = request.squares_size() > 0;
  if (request.push_size() > 0 || request.frozen() || (squares && (request.apply() || request.pull_size() > 0))) {
    return absl::InvalidArgumentError(
        "squares do not go together with anything else, apply only with a pull of live weights");
  }
  if (static_cast<size_t>(request.squares_size()) > job->chunks()) {
    return absl::InvalidArgumentError(absl::StrCat("the request asks for the squares of ", request.squares_size(),
                                                   " chunks, but ", job->chunks(), " of job \"", job->id(),
                                                   "\" are here"));
  }
  if (!request.apply() || (std::isfinite(request.norm()) && request.norm() >= 0)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the norm of a gradient is at least 0, not ", request.norm()));
}

// Whether the push is of whole units.
absl::Status CheckUnit(const v1::ExchangeRequest& request, const HostedJob& job) {
  const uint64_t t = request.iteration();
  const uint64_t end = UnitEnd(t, job.push_every(), job.max_iter());
  if (BetweenUnits(t, job.push_every(), job.max_iter()) && t + IterationsOf(request) == end) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("job \"", job.id(), "\" takes whole units of ", job.push_every(),
                                                 " iterations (push_every), not a push of ", IterationsOf(request),
                                                 " from ", t, " on"));
}

}  // namespace

PartRange PushedPart(const v1::ExchangeRequest& request) {
  return PartRange(request.part(), std::max(1u, request.part_count()));
}

uint64_t IterationsOf(const v1::ExchangeRequest& request) { return std::max(1u, request.iterations()); }

absl::Status CheckExchange(const v1::ExchangeRequest& request, const HostedJob* job) {
  if (request.vector() != 0 && !request.frozen()) {
    return absl::InvalidArgumentError(
        "the solver's history is read from frozen copies only; set frozen, or vector to 0");
  }
  if (!IsEncoding(request.pull_encoding())) {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown pull_encoding ", static_cast<int>(request.pull_encoding())));
  }
  if (request.pull_encoding() == v1::ENCODING_SPARSE)
    return absl::InvalidArgumentError("weights are not sparse; pull them in another encoding");
  if (request.waits()) SAMOVAR_RETURN_IF_ERROR(CheckWatermark(request, job));
  if (request.apply() || request.squares_size() > 0) SAMOVAR_RETURN_IF_ERROR(CheckClipping(request, job));
  return absl::OkStatus();
}

absl::Status CheckChange(const v1::ExchangeRequest& request, const HostedJob& job) {
  SAMOVAR_RETURN_IF_ERROR(CheckIteration(request.iteration(), job));
  if (request.push_size() > 0) SAMOVAR_RETURN_IF_ERROR(CheckUnit(request, job));
  if (static_cast<size_t>(request.push_size()) <= job.chunks()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the request pushes ", request.push_size(), " chunks, but ",
                                                 job.chunks(), " of job \"", job.id(), "\" are here"));
}

}  // namespace samovar
