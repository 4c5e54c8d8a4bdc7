// The format, as far as it is checked (numbers little-endian, offsets in bytes; page size is a power of two):
//
//   page    0 page number u64 | 8 unused u16 | 10 flags u16 | 12 lower u16 | 14 upper u16 | 16 ...
//           overflow page: 12 number of pages u32 | 16 the value, running on through the pages that follow
//           branch, leaf: 16 ... lower: offsets u16 of the nodes in the page; upper ... end: the nodes
//   node    0 low u16 | 2 high u16 | 4 flags u16 | 6 key size u16 | 8 key | value
//           leaf: value size = low | high << 16; flag kBigValue: instead of the value the number u64 of its first page
//           branch: page number = low | high << 16 | flags << 32
//   meta    pages 0 and 1; the one with the higher transaction holds. At 16:
//           0 magic u32 | 4 version u32 | 8 address u64 | 16 map size u64 | 24 free-page database | 72 main database |
//           120 last page u64 | 128 transaction u64
//   database  0 pad u32 (page size, in the free-page database) | 4 flags u16 | 6 depth u16 | 8 branch pages u64 |
//           16 leaf pages u64 | 24 overflow pages u64 | 32 entries u64 | 40 root page u64 (all ones: empty)
//   value of the free-page database   0 count u64 | 8 page numbers u64
#include "common/storage/lmdb_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/storage/lmdb_errors.h"

namespace samovar {
namespace {

static_assert(std::endian::native == std::endian::little, "LMDB's files have the byte order of the machine");

constexpr uint32_t kMagic = 0xBEEFC0DE;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kMinPageBytes = 256;
constexpr uint32_t kMaxPageBytes = 32768;
constexpr uint64_t kMaxFileBytes = uint64_t{1} << 46;  // as much as can be mapped
constexpr uint32_t kHeaderBytes = 16;                  // of a page
constexpr uint32_t kNodeBytes = 8;                     // without key and value
constexpr uint32_t kMetaBytes = kHeaderBytes + 136;
constexpr uint32_t kMaxKeyBytes = 511;
constexpr int kMaxDepth = 32;
constexpr uint64_t kNoPage = ~uint64_t{0};

constexpr uint16_t kBranch = 0x01;
constexpr uint16_t kLeaf = 0x02;
constexpr uint16_t kOverflow = 0x04;
constexpr uint16_t kMeta = 0x08;
constexpr uint16_t kPageKinds = 0x6F;  // with those of duplicate keys
constexpr uint16_t kBigValue = 0x01;
// Duplicate keys in all their forms; and in the main database integer and reversed keys.
constexpr uint16_t kFreeRefusedFlags = 0x76;
constexpr uint16_t kMainRefusedFlags = 0x7E;

template <typename Number>
Number Load(const char* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(number));
  return number;
}

struct Database {
  bool is_free_list;
  uint16_t flags;
  uint16_t depth;
  uint64_t entries;
  uint64_t root;
};

Database LoadDatabase(const char* bytes, bool is_free_list) {
  return {is_free_list, Load<uint16_t>(bytes + 4), Load<uint16_t>(bytes + 6), Load<uint64_t>(bytes + 32),
          Load<uint64_t>(bytes + 40)};
}

class Checker {
 public:
  Checker(const std::string& path, int file, uint64_t file_bytes, bool for_writing)
      : path_(path), file_(file), file_bytes_(file_bytes), for_writing_(for_writing) {}

  absl::Status Check() {
    SAMOVAR_ASSIGN_OR_RETURN(const std::string meta, ReadMeta());
    last_page_ = Load<uint64_t>(meta.data() + kHeaderBytes + 120);
    if (last_page_ < 1 || last_page_ >= kMaxFileBytes / page_bytes_) return Damaged("its last page is impossible");
    SAMOVAR_RETURN_IF_ERROR(CheckDatabase(LoadDatabase(meta.data() + kHeaderBytes + 72, false)));
    if (!for_writing_) return absl::OkStatus();
    return CheckDatabase(LoadDatabase(meta.data() + kHeaderBytes + 24, true));
  }

 private:
  absl::Status NotLmdb(absl::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": not an LMDB: ", why));
  }
  absl::Status Damaged(absl::string_view how) const {
    return absl::DataLossError(absl::StrCat(path_, ": damaged: ", how, "; copy or import it again"));
  }
  absl::Status DamagedPage(uint64_t page, absl::string_view how) const {
    return Damaged(absl::StrCat("page ", page, " ", how));
  }
  absl::Status Truncated(uint64_t needed_bytes) const {
    return Damaged(absl::StrCat("truncated: it has ", file_bytes_, " bytes, but needs at least ", needed_bytes));
  }

  absl::Status ReadAt(uint64_t offset, uint64_t size, char* bytes) const {
    if (offset > file_bytes_ || size > file_bytes_ - offset) return Truncated(offset + size);
    while (size > 0) {
      const ssize_t count = pread(file_, bytes, size, static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return LmdbStatus(errno, path_, "reading");
      if (count == 0) return Truncated(offset + size);
      bytes += count;
      offset += static_cast<uint64_t>(count);
      size -= static_cast<uint64_t>(count);
    }
    return absl::OkStatus();
  }

  // The bytes of the meta page that holds. Sets page_bytes_.
  absl::StatusOr<std::string> ReadMeta() {
    SAMOVAR_ASSIGN_OR_RETURN(std::string first, ReadMetaAt(0));
    page_bytes_ = PageBytes(first);
    if (!std::has_single_bit(page_bytes_) || page_bytes_ < kMinPageBytes || page_bytes_ > kMaxPageBytes)
      return Damaged("its page size is impossible");
    if (file_bytes_ < 2 * uint64_t{page_bytes_}) return Truncated(2 * uint64_t{page_bytes_});
    SAMOVAR_ASSIGN_OR_RETURN(std::string second, ReadMetaAt(page_bytes_));
    if (PageBytes(second) != page_bytes_) return Damaged("its meta pages contradict each other");
    const bool second_holds = Transaction(second) > Transaction(first);
    std::string& meta = second_holds ? second : first;
    // LMDB takes the meta page whose number is the transaction's parity, and both are 0 in a new file.
    if (Transaction(meta) != 0 && (Transaction(meta) & 1) != (second_holds ? 1 : 0))
      return Damaged("its meta pages contradict each other");
    return std::move(meta);
  }

  absl::StatusOr<std::string> ReadMetaAt(uint64_t offset) const {
    std::string meta(kMetaBytes, '\0');
    if (file_bytes_ < kMetaBytes) return NotLmdb(absl::StrCat("data.mdb has only ", file_bytes_, " bytes"));
    SAMOVAR_RETURN_IF_ERROR(ReadAt(offset, meta.size(), meta.data()));
    const bool is_meta = (Load<uint16_t>(meta.data() + 10) & kMeta) != 0;
    if (!is_meta || Load<uint32_t>(meta.data() + kHeaderBytes) != kMagic) {
      if (offset == 0) return NotLmdb("data.mdb does not begin as one");
      return DamagedPage(1, "is not a meta page");
    }
    const uint32_t version = Load<uint32_t>(meta.data() + kHeaderBytes + 4);
    if (version != kVersion)
      return NotLmdb(absl::StrCat("data.mdb has format ", version, "; only ", kVersion, " is known"));
    return meta;
  }

  static uint32_t PageBytes(const std::string& meta) { return Load<uint32_t>(meta.data() + kHeaderBytes + 24); }
  static uint64_t Transaction(const std::string& meta) { return Load<uint64_t>(meta.data() + kHeaderBytes + 128); }

  absl::Status CheckDatabase(const Database& database) {
    if ((database.flags & (database.is_free_list ? kFreeRefusedFlags : kMainRefusedFlags)) != 0)
      return NotLmdb("it has duplicate, integer or reversed keys, which Caffe's databases do not have");
    if (database.root == kNoPage) {
      if (database.entries != 0) return Damaged("it has records, but no root page");
      return absl::OkStatus();
    }
    if (database.depth < 1 || database.depth > kMaxDepth) return Damaged("its depth is impossible");
    pages_ = 0;
    entries_ = 0;
    SAMOVAR_RETURN_IF_ERROR(CheckTree(database, database.root, 1));
    if (entries_ == database.entries) return absl::OkStatus();
    return Damaged(absl::StrCat("it should have ", database.entries, " records, but has ", entries_));
  }

  // Checks a page and all below it. `depth` of the root is 1.
  absl::Status CheckTree(const Database& database, uint64_t page, int depth) {
    if (page < 2 || page > last_page_) return DamagedPage(page, "is referred to, but does not exist");
    // More pages than there are: the tree runs in circles.
    if (++pages_ > last_page_) return DamagedPage(page, "is reached more than once");
    std::vector<char> bytes(page_bytes_);
    SAMOVAR_RETURN_IF_ERROR(ReadAt(page * page_bytes_, page_bytes_, bytes.data()));
    if (Load<uint64_t>(bytes.data()) != page) return DamagedPage(page, "has another number");
    const bool is_leaf = depth == database.depth;
    if ((Load<uint16_t>(bytes.data() + 10) & kPageKinds) != (is_leaf ? kLeaf : kBranch))
      return DamagedPage(page, "is of the wrong kind");
    const uint32_t lower = Load<uint16_t>(bytes.data() + 12);
    const uint32_t upper = Load<uint16_t>(bytes.data() + 14);
    if (lower < kHeaderBytes || lower % 2 != 0 || upper < lower || upper > page_bytes_)
      return DamagedPage(page, "has impossible bounds");
    const uint32_t nodes = (lower - kHeaderBytes) / 2;
    // LMDB aborts at a branch with a single node, except among the free pages.
    if (nodes < (is_leaf || database.is_free_list ? 1 : 2)) return DamagedPage(page, "has too few nodes");
    for (uint32_t i = 0; i < nodes; ++i) {
      const uint32_t offset = Load<uint16_t>(bytes.data() + kHeaderBytes + 2 * i);
      if (offset < upper || offset % 2 != 0 || offset + kNodeBytes > page_bytes_)
        return DamagedPage(page, absl::StrCat("has node ", i, " in an impossible place"));
      const char* node = bytes.data() + offset;
      const uint32_t room = page_bytes_ - offset - kNodeBytes;
      SAMOVAR_RETURN_IF_ERROR(is_leaf ? CheckLeafNode(database, page, node, room)
                                      : CheckBranchNode(database, page, depth, node, room));
    }
    return absl::OkStatus();
  }

  // `room`: bytes from the end of the node's header to the end of the page.
  absl::Status CheckBranchNode(const Database& database, uint64_t page, int depth, const char* node, uint32_t room) {
    if (Load<uint16_t>(node + 6) > room) return DamagedPage(page, "has a key beyond its end");
    const uint64_t child =
        Load<uint16_t>(node) | (uint64_t{Load<uint16_t>(node + 2)} << 16) | (uint64_t{Load<uint16_t>(node + 4)} << 32);
    return CheckTree(database, child, depth + 1);
  }

  absl::Status CheckLeafNode(const Database& database, uint64_t page, const char* node, uint32_t room) {
    ++entries_;
    const uint16_t flags = Load<uint16_t>(node + 4);
    const uint32_t key_bytes = Load<uint16_t>(node + 6);
    const uint32_t value_bytes = Load<uint16_t>(node) | (uint32_t{Load<uint16_t>(node + 2)} << 16);
    if ((flags & ~kBigValue) != 0)
      return NotLmdb("it has named databases or duplicate keys, which Caffe's databases do not have");
    if (key_bytes < 1 || key_bytes > kMaxKeyBytes || (database.is_free_list && key_bytes != 8))
      return DamagedPage(page, "has a key of an impossible size");
    const bool is_big = (flags & kBigValue) != 0;
    const uint64_t stored_bytes = is_big ? sizeof(uint64_t) : value_bytes;
    if (key_bytes + stored_bytes > room) return DamagedPage(page, "has a record beyond its end");
    const char* value = node + kNodeBytes + key_bytes;
    std::vector<char> big_value;
    if (is_big) {
      const uint64_t first_page = Load<uint64_t>(value);
      SAMOVAR_RETURN_IF_ERROR(CheckBigValue(page, first_page, value_bytes));
      if (!database.is_free_list) return absl::OkStatus();
      big_value.resize(value_bytes);
      SAMOVAR_RETURN_IF_ERROR(ReadAt(first_page * page_bytes_ + kHeaderBytes, value_bytes, big_value.data()));
      value = big_value.data();
    }
    return database.is_free_list ? CheckFreePages(page, value, value_bytes) : absl::OkStatus();
  }

  absl::Status CheckBigValue(uint64_t page, uint64_t first_page, uint32_t value_bytes) const {
    const uint64_t pages = (uint64_t{value_bytes} + kHeaderBytes - 1) / page_bytes_ + 1;
    if (first_page < 2 || first_page > last_page_ || pages - 1 > last_page_ - first_page)
      return DamagedPage(page, "refers to a value on pages that do not exist");
    const uint64_t end = first_page * page_bytes_ + kHeaderBytes + value_bytes;
    if (end > file_bytes_) return Truncated(end);
    if (!for_writing_) return absl::OkStatus();
    // A writer that replaces the value frees as many pages as its header says.
    char header[kHeaderBytes];
    SAMOVAR_RETURN_IF_ERROR(ReadAt(first_page * page_bytes_, sizeof(header), header));
    if (Load<uint64_t>(header) != first_page || (Load<uint16_t>(header + 10) & kPageKinds) != kOverflow ||
        Load<uint32_t>(header + 12) != pages)
      return DamagedPage(first_page, "should begin a large value, but does not");
    return absl::OkStatus();
  }

  absl::Status CheckFreePages(uint64_t page, const char* value, uint32_t value_bytes) const {
    const uint64_t room = value_bytes / sizeof(uint64_t);
    const uint64_t count = room > 0 ? Load<uint64_t>(value) : kNoPage;
    if (count >= room) return DamagedPage(page, "has a list of free pages of an impossible length");
    for (uint64_t i = 1; i <= count; ++i) {
      const uint64_t free_page = Load<uint64_t>(value + i * sizeof(uint64_t));
      if (free_page < 2 || free_page > last_page_) return DamagedPage(page, "lists free pages that do not exist");
    }
    return absl::OkStatus();
  }

  const std::string& path_;
  const int file_;
  const uint64_t file_bytes_;
  const bool for_writing_;
  uint32_t page_bytes_ = 0;
  uint64_t last_page_ = 0;
  // Counts in the database being checked, so far.
  uint64_t pages_ = 0;
  uint64_t entries_ = 0;
};

}  // namespace

absl::Status CheckLmdbFile(const std::string& data_file, bool for_writing) {
  // Not blocking: the name may be that of a pipe that nobody writes to.
  const int file = open(data_file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return LmdbStatus(errno, data_file, "opening");
  struct stat status;
  absl::Status result;
  if (fstat(file, &status) != 0) {
    result = LmdbStatus(errno, data_file, "opening");
  } else if (!S_ISREG(status.st_mode)) {
    result = absl::InvalidArgumentError(absl::StrCat(data_file, ": not an LMDB: not a regular file"));
  } else {
    result = Checker(data_file, file, static_cast<uint64_t>(status.st_size), for_writing).Check();
  }
  close(file);
  return result;
}

}  // namespace samovar
