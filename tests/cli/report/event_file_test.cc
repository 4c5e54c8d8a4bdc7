#include "cli/report/event_file.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/storage/crc32c.h"
#include "tensorboard.pb.h"
#include "tests/support/catch.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace samovar {
namespace {

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The events of the file's whole records; checks lengths and checksums.
std::vector<tensorboard::Event> EventsIn(absl::string_view bytes) {
  std::vector<tensorboard::Event> events;
  while (bytes.size() >= 16) {
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    if (bytes.size() < 16 + size) break;
    const std::string record(bytes.substr(0, 16 + size));
    CHECK(record == TensorFlowRecord(bytes.substr(12, size)));
    events.emplace_back();
    CHECK(events.back().ParseFromArray(bytes.data() + 12, static_cast<int>(size)));
    bytes.remove_prefix(16 + size);
  }
  return events;
}

TEST_CASE("CRC-32C is that of RFC 3720") {
  CHECK(Crc32c("") == 0);
  CHECK(Crc32c("123456789") == 0xe3069283);
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(Crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  std::string ascending;
  for (char i = 0; i < 32; ++i) ascending.push_back(i);
  CHECK(Crc32c(ascending) == 0x46dd794e);
  std::reverse(ascending.begin(), ascending.end());
  CHECK(Crc32c(ascending) == 0x113fdb5c);
}

TEST_CASE("a record is length, masked checksum, data, masked checksum") {
  const std::string record = TensorFlowRecord("abc");
  REQUIRE(record.size() == 8 + 4 + 3 + 4);
  CHECK(record.substr(0, 8) == std::string("\3\0\0\0\0\0\0\0", 8));
  CHECK(record.substr(12, 3) == "abc");
  uint32_t masked = 0;
  std::memcpy(&masked, record.data() + 15, 4);
  CHECK(std::rotl(masked - 0xa282ead8, 15) == Crc32c("abc"));
  // TensorFlow's own writer has these bytes for it.
  CHECK(TensorFlowRecord("") == std::string("\0\0\0\0\0\0\0\0\x29\x03\x98\x07\xd8\xea\x82\xa2", 16));
}

TEST_CASE("an event file begins with its version and its first step, and has what was flushed") {
  const TempDir dir;
  const std::string directory = dir.File("runs/lenet");
  auto created = EventFile::Create(directory, 500);
  REQUIRE_OK(created.status());
  EventFile& file = **created;
  CHECK(absl::StartsWith(file.path(), absl::StrCat(directory, "/events.out.tfevents.")));
  CHECK(EventsIn(BytesOf(file.path())).size() == 2);
  file.Add(500, absl::FromUnixMillis(1'500'000'000'250), {{"loss", 2.5f}, {"train/loss", 0.1f}, {"staleness", 0.0f}});
  CHECK(EventsIn(BytesOf(file.path())).size() == 2);
  REQUIRE_OK(file.Flush());
  const std::vector<tensorboard::Event> events = EventsIn(BytesOf(file.path()));
  REQUIRE(events.size() == 3);
  CHECK(events[0].file_version() == "brain.Event:2");
  CHECK(events[1].session_log().status() == tensorboard::SessionLog::START);
  CHECK(events[1].step() == 500);
  CHECK(events[2].step() == 500);
  CHECK(events[2].wall_time() == 1'500'000'000.25);
  REQUIRE(events[2].summary().value_size() == 3);
  CHECK(events[2].summary().value(1).tag() == "train/loss");
  CHECK(events[2].summary().value(1).simple_value() == 0.1f);
  // TensorBoard would leave it out, were it not written.
  CHECK(events[2].summary().value(2).has_simple_value());
  CHECK(events[2].summary().value(2).simple_value() == 0);

  // A second one in the same second is another file, which comes behind it.
  auto second = EventFile::Create(directory, 0);
  REQUIRE_OK(second.status());
  CHECK((*second)->path() > file.path());
}

TEST_CASE("of a file that ends within a record, the records before it are read") {
  const TempDir dir;
  auto file = EventFile::Create(dir.path(), 0);
  REQUIRE_OK(file.status());
  (*file)->Add(1, absl::Now(), {{"loss", 1}});
  (*file)->Add(2, absl::Now(), {{"loss", 2}});
  REQUIRE_OK((*file)->Flush());
  const std::string bytes = BytesOf((*file)->path());
  CHECK(EventsIn(bytes).size() == 4);
  CHECK(EventsIn(absl::string_view(bytes).substr(0, bytes.size() - 1)).size() == 3);
}

TEST_CASE("a place where no event file can be is named") {
  const TempDir dir;
  std::ofstream(dir.File("file")) << "x";
  const absl::Status status = EventFile::Create(dir.File("file"), 0).status();
  CHECK_FALSE(status.ok());
  CHECK(absl::StrContains(status.message(), dir.File("file")));
}

}  // namespace
}  // namespace samovar
