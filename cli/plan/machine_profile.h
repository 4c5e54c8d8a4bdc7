// Machines, and the costs of Samovar's processes on them: the measured numbers that the model computes with.
// benchmarks/scale/calibrate.py measures them; benchmarks/scale/README.md says where the built-in ones come from.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "samovar/v1/encoding.pb.h"

namespace samovar {

// A kind of machine.
struct Machine {
  std::string name;
  // Hardware threads, and how many of them, each as fast as one alone, they are worth when all of them compute.
  double threads = 1;
  double cores = 1;
  // A thread alone, of the reference machine's.
  double speed = 1;
  // Bytes a second that its network card passes in each direction; 0: without limit (loopback).
  double network = 0;
  double memory_bytes = 0;
};

// Seconds of a processor of the reference machine for a float's way.
struct FloatSeconds {
  // Encoding and sending a gradient, receiving and decoding weights.
  double worker_push = 0;
  double worker_pull = 0;
  // Receiving and decoding a gradient, encoding and sending weights; the solver's rule is not in it.
  double server_push = 0;
  double server_pull = 0;
};

// In seconds of a processor of the reference machine.
struct ProcessCosts {
  // By v1::Encoding.
  std::array<FloatSeconds, v1::Encoding_ARRAYSIZE> encodings = {};
  // The server's rule for a float, and its search for NaN, with one vector of history, where a model fits into the
  // processors' caches.
  double apply = 0;
  // Adding up parts, a float, at a worker or a server; likewise.
  double add = 0;
  // How much longer these two take where a model is far larger than the caches.
  double beyond_caches = 1;
  // A request, each side.
  double worker_request = 0;
  double server_request = 0;
  // A worker's work once a pass, apart from computing: records, results, reports.
  double worker_pass = 0;
  // From one process to another, one way, without any bytes: what waking takes.
  double wake = 0;
  // A lease: until the coordinator has answered.
  double lease = 0;
  // Compute times vary: standard deviation of their logarithm.
  double jitter = 0;
};

struct Profile {
  std::string name;
  // Where the costs were measured.
  Machine reference;
  ProcessCosts costs;
  // Multiplications and additions a second of one thread of the reference machine (peak_flops.h).
  double peak_flops = 0;
};

// The one that comes with Samovar.
const Profile& BuiltInProfile();

// As calibrate.py writes it; fields that it does not have are the built-in ones'. INVALID_ARGUMENT names the field.
absl::StatusOr<Profile> ParseProfile(absl::string_view json);

// Kinds of virtual machines, the smallest first.
const std::vector<Machine>& KnownMachines();
// INVALID_ARGUMENT lists the names that there are.
absl::StatusOr<Machine> FindMachine(absl::string_view name);

// "10gbit", "1.5gbit", "100mbit": bytes a second. INVALID_ARGUMENT: another text.
absl::StatusOr<double> ParseNetwork(absl::string_view text);

}  // namespace samovar
