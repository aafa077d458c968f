#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/io/nearest.hpp>
#include <utility>

namespace tweedie::io {
namespace {

namespace fs = std::filesystem;

std::string reason(int code) { return std::generic_category().message(code); }

[[noreturn]] void cannot_read(fs::path const& path, std::string const& why) {
  throw error("cannot read '" + path.string() + "': " + why);
}

/// "; did you mean 'models/a.png'?" where a file with nearly this name lies beside it.
std::string nearest_file(fs::path const& path) {
  constexpr std::size_t most = 10'000;
  std::vector<std::string> names;
  std::error_code code;
  auto const folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator at(folder, code), end; !code && at != end; at.increment(code))
    if (names.size() < most) names.push_back(at->path().filename().string());
  auto const found = nearest(path.filename().string(), {names.begin(), names.end()});
  if (!found) return "";
  return "; did you mean '" + (path.parent_path() / *found).string() + "'?";
}

[[noreturn]] void too_long(fs::path const& path, std::uint64_t max_bytes) {
  cannot_read(path,
              "it holds more than the " + std::to_string(max_bytes) + " bytes expected at most");
}

[[noreturn]] void cannot_open(fs::path const& path, int code) {
  cannot_read(path, reason(code) + "; expected a file that can be read" +
                        (code == ENOENT ? nearest_file(path) : ""));
}

[[noreturn]] void cannot_write(fs::path const& path, std::string const& why) {
  throw error("cannot write '" + path.string() + "': " + why);
}

class descriptor {
 public:
  explicit descriptor(int number) : number_(number) {}
  descriptor(descriptor const&) = delete;
  descriptor& operator=(descriptor const&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }

  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  /// False, with errno, where the system reports only now that the data did not arrive (NFS,
  /// quotas).
  bool close() { return ::close(std::exchange(number_, -1)) == 0; }

 private:
  int number_;
};

/// Removes the temporary unless it was renamed.
struct temporary {
  fs::path path;
  bool is_kept = false;

  explicit temporary(fs::path p) : path(std::move(p)) {}
  temporary(temporary const&) = delete;
  temporary& operator=(temporary const&) = delete;
  ~temporary() {
    if (!is_kept) ::unlink(path.c_str());
  }
};

/// A name that no other thread or process is using; short, so that it fits wherever the target
/// does.
fs::path temporary_name(fs::path const& folder) {
  static std::atomic<unsigned> counter{0};
  return folder /
         (".tweedie." + std::to_string(::getpid()) + "." + std::to_string(counter++) + ".tmp");
}

bool write_all(int file, std::span<std::byte const> bytes) {
  while (!bytes.empty()) {
    auto const written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written == 0) errno = ENOSPC;
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

/// The file that `path` names, with links resolved: a rename would replace the link itself.
fs::path target_of(fs::path const& path) {
  std::error_code code;
  auto target = path;
  if (fs::is_symlink(fs::symlink_status(path, code))) {
    target = fs::canonical(path, code);
    if (code) cannot_write(path, "it is a link that leads nowhere (" + code.message() + ")");
  }
  auto const status = fs::status(target, code);
  if (fs::exists(status) && !fs::is_regular_file(status))
    cannot_write(path, "it is there and is not a regular file; expected a file or a new name");
  if (fs::exists(status) && ::access(target.c_str(), W_OK) != 0)
    cannot_write(path, reason(errno) + "; expected a file that may be replaced");
  // A longer name than a file may have is found here, not by the rename at the end.
  struct stat there {};
  if (::lstat(target.c_str(), &there) != 0 && errno != ENOENT)
    cannot_write(path, reason(errno) + "; expected a name that a file may have");
  return target;
}

fs::path folder_of(fs::path const& target) {
  return target.has_parent_path() ? target.parent_path() : fs::path(".");
}

/// Opens the file beside the target that is renamed to it once it is whole; says its name.
int open_beside(fs::path const& path, fs::path const& target, fs::path& name) {
  int number = -1;
  // A name may be taken: by a process of another machine, or by one that was killed while writing.
  for (int attempt = 0; attempt < 100 && number < 0; ++attempt) {
    name = temporary_name(folder_of(target));
    number = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (number < 0 && errno != EEXIST) break;
  }
  if (number < 0)
    cannot_write(path, reason(errno) + "; expected a name in a folder that can be written to");
  return number;
}

}  // namespace

buffer read_file(fs::path const& path, std::uint64_t max_bytes) {
  descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) cannot_open(path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) cannot_read(path, reason(errno));
  if (S_ISDIR(status.st_mode)) cannot_read(path, "it is a folder; expected a file");

  auto const announced = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
  if (announced > max_bytes) too_long(path, max_bytes);

  // The size is only a hint: pipes announce none, and a file may grow while it is read.
  buffer content(static_cast<std::size_t>(announced));
  std::size_t used = 0;
  std::array<std::byte, 1 << 16> rest;
  for (;;) {
    bool const is_within = used < content.size();
    auto* const to = is_within ? content.data() + used : rest.data();
    auto const got = ::read(file.get(), to, is_within ? content.size() - used : rest.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path, reason(errno));
    if (got == 0) break;
    auto const count = static_cast<std::size_t>(got);
    if (count > max_bytes - used) too_long(path, max_bytes);
    if (!is_within) content.insert(content.end(), rest.begin(), rest.begin() + got);
    used += count;
  }
  content.resize(used);
  return content;
}

input_file::input_file(fs::path const& path, std::uint64_t max_bytes) : path_(path) {
  std::error_code code;
  auto const status = fs::status(path, code);
  if (!code && fs::exists(status) &&
      !fs::is_regular_file(status)) {  // or read_file says what it is
    content_ = read_file(path, max_bytes);
    size_ = content_.size();
    return;
  }
  descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) cannot_open(path, errno);
  struct stat of {};
  if (::fstat(file.get(), &of) != 0) cannot_read(path, reason(errno));
  size_ = static_cast<std::uint64_t>(std::max<off_t>(of.st_size, 0));
  if (size_ > max_bytes) too_long(path, max_bytes);
  number_ = file.release();
}

input_file::~input_file() {
  if (number_ >= 0) ::close(number_);
}

void input_file::read(std::uint64_t begin, std::span<std::byte> to) const {
  if (number_ < 0 && begin <= content_.size() && to.size() <= content_.size() - begin) {
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(begin), to.size(), to.begin());
    return;
  }
  while (!to.empty()) {
    auto const got =
        number_ < 0 ? 0 : ::pread(number_, to.data(), to.size(), static_cast<off_t>(begin));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(path_, reason(errno));
    if (got == 0)
      cannot_read(path_, "it ends before byte " + std::to_string(begin + to.size()) +
                             "; expected its " + std::to_string(size_) + " bytes to stay");
    to = to.subspan(static_cast<std::size_t>(got));
    begin += static_cast<std::uint64_t>(got);
  }
}

void expect_writable(fs::path const& path) {
  fs::path name;
  descriptor const file(open_beside(path, target_of(path), name));
  temporary const unused(name);
}

void write_file(fs::path const& path, std::span<std::span<std::byte const> const> parts) {
  auto const target = target_of(path);
  fs::path name;
  descriptor file(open_beside(path, target, name));
  temporary fresh(name);
  struct stat old {};
  if (::stat(target.c_str(), &old) == 0 && ::fchmod(file.get(), old.st_mode & 07777) != 0)
    cannot_write(path, reason(errno) + " while taking over its permissions");

  std::uint64_t size = 0;
  for (auto part : parts) size += part.size();
  auto const expected = "; expected room for " + std::to_string(size) + " bytes";
  for (auto part : parts)
    if (!write_all(file.get(), part)) cannot_write(path, reason(errno) + expected);
  // EINVAL: this file system knows no flushing.
  if (::fsync(file.get()) != 0 && errno != EINVAL) cannot_write(path, reason(errno) + expected);
  if (!file.close()) cannot_write(path, reason(errno) + expected);
  if (::rename(name.c_str(), target.c_str()) != 0)
    cannot_write(path, reason(errno) + "; expected a name that a file may have");
  fresh.is_kept = true;

  // The name itself reaches the disk with its folder. No error from here on: the new file is in
  // place and whole, and after a power cut there would be the old one or the new one, never a half.
  descriptor listing(::open(folder_of(target).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (listing.get() >= 0) ::fsync(listing.get());
}

void write_file(fs::path const& path, std::span<std::byte const> content) {
  write_file(path, std::span(&content, 1));
}

void write_file(fs::path const& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace tweedie::io
