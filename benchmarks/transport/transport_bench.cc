// How fast weights and gradients move between a worker and a parameter server, beside plain TCP in the same run.
//
//     transport_bench [--rounds 7] [--seconds 0.2] [--sizes 4096,262144,...] [--encoding bfloat16] [--peer COMMAND]
//     [--json]
//
// Bytes are those of the model in float32, whatever it travels in.
//
// Every way of moving so many bytes has its turn in each round, so that whatever else the machine does meets all alike;
// figures are medians over the rounds, ratios are of the same round. README.md says what the columns are.
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "benchmarks/support/cpu_seconds.h"
#include "benchmarks/transport/peer.h"
#include "benchmarks/transport/raw_tcp.h"
#include "benchmarks/transport/service_driver.h"
#include "common/base/clock.h"
#include "common/base/process_tuning.h"
#include "common/base/status_macros.h"
#include "common/model/consistency.h"
#include "common/parameters/encoding.h"
#include "common/telemetry/log.h"

ABSL_FLAG(std::string, server, "build/release/bin/samovar-server", "the program to measure");
ABSL_FLAG(int, rounds, 7, "turns of each way");
ABSL_FLAG(double, seconds, 0.2, "length of a turn");
ABSL_FLAG(std::vector<std::string>, sizes,
          std::vector<std::string>({"4096", "262144", "1048576", "4194304", "16777216", "67108864"}),
          "bytes of the model");
ABSL_FLAG(int, connections, 2, "the most connections at a time, from 1 to 4");
ABSL_FLAG(std::string, encoding, "float32", "how gradients and weights travel: float32, bfloat16, float16, int8");
ABSL_FLAG(int, channels, 0, "channels of each connection of ours, from 1 to 8; 0: as the client chooses");
ABSL_FLAG(std::string, peer, "",
          "command of another system that has its turns, too; peer.h says what it reads and writes");
ABSL_FLAG(bool, json, false, "prints one JSON object instead of a table");

namespace samovar {
namespace {

// One way of moving bytes: each call moves `bytes` over one connection, in each of its directions.
struct Way {
  std::string name;
  int connections = 1;
  uint64_t bytes = 0;
  std::function<absl::Status(int connection)> call;
};

struct Turn {
  double bytes_per_second = 0;
  double calls_per_second = 0;
  // Both ends together, and the part of the one that drives.
  double cpu_seconds_per_gigabyte = 0;
  double client_cpu_seconds_per_gigabyte = 0;
};

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

absl::StatusOr<Turn> Measure(const Way& way, pid_t peer) {
  const double client_start = CpuSecondsOf(getpid());
  const double server_start = CpuSecondsOf(peer);
  const absl::Time start = SteadyNow();
  const absl::Time end = start + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  std::atomic<int> calls = 0;
  std::vector<absl::Status> results(static_cast<size_t>(way.connections));
  const auto repeat = [&](int connection) {
    absl::Status& result = results[static_cast<size_t>(connection)];
    do {
      result = way.call(connection);
      ++calls;
    } while (result.ok() && SteadyNow() < end);
  };
  std::vector<std::thread> threads;
  for (int connection = 1; connection < way.connections; ++connection) threads.emplace_back(repeat, connection);
  repeat(0);
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) SAMOVAR_RETURN_IF_ERROR(result);
  const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
  const double client = CpuSecondsOf(getpid()) - client_start;
  const double cpu = client + CpuSecondsOf(peer) - server_start;
  const double bytes = static_cast<double>(way.bytes) * calls;
  return Turn{bytes / seconds, calls / seconds, cpu / bytes * 1e9, client / bytes * 1e9};
}

using Results = std::map<std::string, std::vector<Turn>>;

std::string Label(const std::string& name, int connections, uint64_t bytes) {
  return absl::StrCat(name, "/", connections, "/", bytes);
}

double MedianOf(const Results& results, const std::string& label, double Turn::*figure) {
  std::vector<double> values;
  for (const Turn& turn : results.at(label)) values.push_back(turn.*figure);
  return Median(values);
}

// Median over the rounds of one way's rate by another's.
double RatioOf(const Results& results, const std::string& over, const std::string& under) {
  std::vector<double> values;
  for (size_t i = 0; i < results.at(over).size(); ++i) {
    values.push_back(results.at(over)[i].bytes_per_second / results.at(under)[i].bytes_per_second);
  }
  return Median(values);
}

// The yardstick of each.
std::string TcpOf(const std::string& name) { return absl::EndsWith(name, "pull") ? "tcp pull" : "tcp push"; }

// All ways that were measured.
std::vector<std::string> NamesOf(const Results& results, int connections, uint64_t bytes) {
  std::vector<std::string> names;
  for (const char* name :
       {"tcp push", "tcp pull", "peer push", "peer pull", "push", "pull", "fused", "push+apply", "fused+apply"}) {
    if (results.contains(Label(name, connections, bytes))) names.push_back(name);
  }
  return names;
}

// The peer has one connection.
absl::Status MeasurePeer(uint64_t bytes, Peer* peer, Results* results) {
  for (const std::string kind : {"push", "pull"}) {
    SAMOVAR_ASSIGN_OR_RETURN(const Peer::Answer answer, peer->Do(kind, bytes, absl::GetFlag(FLAGS_seconds)));
    const double moved = static_cast<double>(bytes) * answer.calls;
    (*results)[Label(absl::StrCat("peer ", kind), 1, bytes)].push_back(
        {moved / answer.seconds, answer.calls / answer.seconds, answer.cpu_seconds / moved * 1e9});
  }
  return absl::OkStatus();
}

absl::Status MeasureSize(uint64_t bytes, RawTcp* tcp, ServiceDriver* service, Peer* peer, Results* results) {
  const int most = absl::GetFlag(FLAGS_connections);
  for (const bool applies : {false, true}) {
    SAMOVAR_RETURN_IF_ERROR(service->Open(bytes / sizeof(float), most, applies));
    for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
      if (peer != nullptr && !applies) SAMOVAR_RETURN_IF_ERROR(MeasurePeer(bytes, peer, results));
      for (int n = 1; n <= most; ++n) {
        const auto run = [&](const std::string& name, pid_t peer,
                             std::function<absl::Status(int)> call) -> absl::Status {
          SAMOVAR_ASSIGN_OR_RETURN(const Turn turn, Measure({name, n, bytes, std::move(call)}, peer));
          (*results)[Label(name, n, bytes)].push_back(turn);
          return absl::OkStatus();
        };
        const auto serve = [&](Direction direction) {
          return [=](int connection) { return service->Exchange(direction, connection); };
        };
        if (applies) {
          SAMOVAR_RETURN_IF_ERROR(run("push+apply", service->pid(), serve(Direction::kPush)));
          SAMOVAR_RETURN_IF_ERROR(run("fused+apply", service->pid(), serve(Direction::kFused)));
          continue;
        }
        SAMOVAR_RETURN_IF_ERROR(run("tcp push", tcp->pid(), [=](int connection) {
          tcp->Push(connection, bytes);
          return absl::OkStatus();
        }));
        SAMOVAR_RETURN_IF_ERROR(run("push", service->pid(), serve(Direction::kPush)));
        SAMOVAR_RETURN_IF_ERROR(run("tcp pull", tcp->pid(), [=](int connection) {
          tcp->Pull(connection, bytes);
          return absl::OkStatus();
        }));
        SAMOVAR_RETURN_IF_ERROR(run("pull", service->pid(), serve(Direction::kPull)));
        SAMOVAR_RETURN_IF_ERROR(run("fused", service->pid(), serve(Direction::kFused)));
      }
    }
    SAMOVAR_RETURN_IF_ERROR(service->Close());
  }
  return absl::OkStatus();
}

void PrintTable(const std::vector<uint64_t>& sizes, const Results& results) {
  std::cout << absl::StrFormat("%10s %5s  %-12s %9s %10s %12s %10s\n", "bytes", "conn.", "way", "GB/s", "calls/s",
                               "CPU s/GB", "of TCP");
  for (const uint64_t bytes : sizes) {
    for (int n = 1; n <= absl::GetFlag(FLAGS_connections); ++n) {
      for (const std::string& name : NamesOf(results, n, bytes)) {
        const std::string label = Label(name, n, bytes);
        std::cout << absl::StrFormat("%10d %5d  %-12s %9.3f %10.0f %12.2f", bytes, n, name,
                                     MedianOf(results, label, &Turn::bytes_per_second) * 1e-9,
                                     MedianOf(results, label, &Turn::calls_per_second),
                                     MedianOf(results, label, &Turn::cpu_seconds_per_gigabyte));
        if (!absl::StartsWith(name, "tcp")) {
          std::cout << absl::StrFormat(" %9.0f%%", 100 * RatioOf(results, label, Label(TcpOf(name), n, bytes)));
        }
        std::cout << "\n";
      }
    }
  }
}

std::string JsonName(const std::string& name, int connections, uint64_t bytes) {
  const std::string size = bytes >= 1 << 20 ? absl::StrCat(bytes >> 20, "mb") : absl::StrCat(bytes >> 10, "kb");
  std::string words =
      absl::StrCat(name, "_", size, connections > 1 ? absl::StrCat("_", connections, "_connections") : "");
  std::replace_if(
      words.begin(), words.end(), [](char c) { return c == ' ' || c == '+'; }, '_');
  return words;
}

void PrintJson(const std::vector<uint64_t>& sizes, const Results& results) {
  std::vector<std::string> fields;
  double fastest = 0;
  for (const auto& [label, turns] : results) {
    if (absl::StartsWith(label, "tcp push/1/"))
      fastest = std::max(fastest, MedianOf(results, label, &Turn::bytes_per_second));
  }
  fields.push_back(absl::StrFormat("\"tcp_bytes_per_second\":%.0f", fastest));
  for (const uint64_t bytes : sizes) {
    for (int n = 1; n <= absl::GetFlag(FLAGS_connections); ++n) {
      for (const std::string& name : NamesOf(results, n, bytes)) {
        const std::string label = Label(name, n, bytes);
        const std::string key = JsonName(name, n, bytes);
        fields.push_back(
            absl::StrFormat("\"%s_bytes_per_second\":%.0f", key, MedianOf(results, label, &Turn::bytes_per_second)));
        fields.push_back(
            absl::StrFormat("\"%s_calls_per_second\":%.0f", key, MedianOf(results, label, &Turn::calls_per_second)));
        fields.push_back(absl::StrFormat("\"%s_cpu_seconds_per_gigabyte\":%.3f", key,
                                         MedianOf(results, label, &Turn::cpu_seconds_per_gigabyte)));
        fields.push_back(absl::StrFormat("\"%s_client_cpu_seconds_per_gigabyte\":%.3f", key,
                                         MedianOf(results, label, &Turn::client_cpu_seconds_per_gigabyte)));
      }
    }
  }
  std::cout << "{" << absl::StrJoin(fields, ",") << "}\n";
}

absl::Status Main(RawTcp* tcp) {
  const std::vector<std::string> encodings = EncodingNames();
  if (std::find(encodings.begin(), encodings.end(), absl::GetFlag(FLAGS_encoding)) == encodings.end()) {
    return absl::InvalidArgumentError(absl::StrCat("--encoding is one of ", absl::StrJoin(encodings, ", ")));
  }
  std::vector<uint64_t> sizes;
  for (const std::string& text : absl::GetFlag(FLAGS_sizes)) {
    uint64_t bytes = 0;
    if (!absl::SimpleAtoi(text, &bytes) || bytes < 4 || bytes % 4 != 0) {
      return absl::InvalidArgumentError(absl::StrCat("--sizes: \"", text, "\" is no number of bytes that floats fill"));
    }
    sizes.push_back(bytes);
  }
  if (absl::GetFlag(FLAGS_connections) < 1 || absl::GetFlag(FLAGS_connections) > RawTcp::kConnections ||
      absl::GetFlag(FLAGS_rounds) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--connections is from 1 to ", RawTcp::kConnections, ", --rounds 1 or more"));
  }
  char directory[] = "/dev/shm/transport_bench.XXXXXX";
  if (mkdtemp(directory) == nullptr) return absl::ErrnoToStatus(errno, "cannot make a directory in /dev/shm");
  Results results;
  absl::Status status;
  {
    std::unique_ptr<Peer> peer;
    if (!absl::GetFlag(FLAGS_peer).empty()) {
      SAMOVAR_ASSIGN_OR_RETURN(peer, Peer::Start(absl::GetFlag(FLAGS_peer)));
    }
    const auto service =
        ServiceDriver::Start(absl::GetFlag(FLAGS_server), directory, EncodingOf(absl::GetFlag(FLAGS_encoding)),
                             static_cast<uint32_t>(absl::GetFlag(FLAGS_channels)));
    status = service.status();
    for (size_t i = 0; i < sizes.size() && status.ok(); ++i)
      status = MeasureSize(sizes[i], tcp, service->get(), peer.get(), &results);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  SAMOVAR_RETURN_IF_ERROR(status);
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(sizes, results);
  } else {
    PrintTable(sizes, results);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  samovar::TuneProcess();
  // Before any thread: it forks.
  samovar::RawTcp tcp;
  if (!samovar::InitLogging({"transport_bench", "warning"}).ok()) return 1;
  const absl::Status status = samovar::Main(&tcp);
  if (!status.ok()) std::cerr << "transport_bench: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
