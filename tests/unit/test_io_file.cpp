#include "common.hpp"
#include "test_io_common.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

using common::equal_bits;
using namespace io_test;
namespace io = tweedie::io;
using tweedie::io::read_file;
using tweedie::io::write_file;

namespace {

/// Files of this process cannot grow beyond `bytes`: what a full disk does, with EFBIG for a
/// reason.
struct file_size_limit {
  rlimit before{};
  explicit file_size_limit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    auto limit = before;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  file_size_limit(file_size_limit const&) = delete;
  file_size_limit& operator=(file_size_limit const&) = delete;
  ~file_size_limit() { setrlimit(RLIMIT_FSIZE, &before); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
  folder place;
  for (std::size_t size : {0u, 1u, 65536u, 200001u}) {
    buffer content(size);
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<std::byte>(i * 7 >> 3);
    write_file(place / "a", content);
    BOOST_TEST(equal_bits(read_file(place / "a"), content));
    BOOST_TEST(equal_bits(read_file(place / "a", size), content));
  }
  BOOST_TEST(place.count() == 1);
}

BOOST_AUTO_TEST_CASE(parts_are_written_in_order) {
  folder place;
  auto const a = bytes_of("one "), b = bytes_of(""), c = bytes_of("two");
  std::span<std::byte const> const parts[] = {a, b, c};
  write_file(place / "a", parts);
  BOOST_TEST(text_of(read_file(place / "a")) == "one two");
}

BOOST_AUTO_TEST_CASE(a_bound_is_kept) {
  folder place;
  write_file(place / "a", "12345");
  check_error([&] { read_file(place / "a", 4); }, {"cannot read", "a'", "more than the 4 bytes"});
  // A file that announces no size is bounded all the same.
  check_error([&] { read_file("/dev/zero", 100000); }, {"/dev/zero", "more than the 100000 bytes"});
}

BOOST_AUTO_TEST_CASE(a_pipe_is_read_to_its_end) {
  folder place;
  BOOST_REQUIRE(::mkfifo((place / "pipe").c_str(), 0600) == 0);
  std::string const text(200000, 'x');
  std::thread writer([&] {
    int const file = ::open((place / "pipe").c_str(), O_WRONLY);
    for (std::size_t used = 0; used < text.size();) {
      auto const got = ::write(file, text.data() + used, text.size() - used);
      if (got <= 0) break;
      used += static_cast<std::size_t>(got);
    }
    ::close(file);
  });
  auto const content = read_file(place / "pipe");
  writer.join();
  BOOST_TEST(equal_bits(text_of(content), text));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read_is_named) {
  folder place;
  check_error([&] { read_file(place / "none"); }, {"cannot read", "none", "No such file"});
  check_error([&] { read_file(place.path); }, {"cannot read", "folder"});
  check_error([&] { read_file(""); }, {"cannot read ''", "No such file"});
}

BOOST_AUTO_TEST_CASE(a_parent_that_is_a_file_is_refused) {
  folder place;
  write_file(place / "a", "old");
  check_error([&] { write_file(place / "a/b", "new"); },
              {"cannot write", "a/b", "Not a directory"});
  check_error([&] { write_file(place / "none/b", "new"); }, {"cannot write", "No such file"});
  BOOST_TEST(text_of(read_file(place / "a")) == "old");
  BOOST_TEST(place.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_full_disk_keeps_the_old_file) {
  folder place;
  write_file(place / "a", "old");
  std::string const large(100000, 'x');
  {
    file_size_limit const limit(50000);
    check_error([&] { write_file(place / "a", large); },
                {"cannot write", "a'", "File too large", "room for 100000 bytes"});
  }
  BOOST_TEST(text_of(read_file(place / "a")) == "old");
  BOOST_TEST(place.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_rename_that_fails_leaves_nothing_behind) {
  folder place;
  check_error([&] { write_file(place / std::string(300, 'n'), "new"); },
              {"cannot write", "File name too long"});
  BOOST_TEST(place.count() == 0);
}

BOOST_AUTO_TEST_CASE(only_regular_files_are_replaced) {
  // A pipe of its own stands for /dev/null: were the check broken, a test run by root would replace
  // the machine's device.
  folder place;
  BOOST_REQUIRE(::mkfifo((place / "pipe").c_str(), 0600) == 0);
  check_error([&] { write_file(place / "pipe", "x"); }, {"pipe", "not a regular file"});
  check_error([&] { write_file(place.path, "x"); }, {"not a regular file"});
  BOOST_TEST(fs::is_fifo(place / "pipe"));
  BOOST_TEST(place.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_link_is_followed_and_permissions_stay) {
  folder place;
  write_file(place / "a", "old");
  fs::permissions(place / "a", fs::perms{0640});
  fs::create_symlink(place / "a", place / "link");
  write_file(place / "link", "new");
  BOOST_TEST(fs::is_symlink(place / "link"));
  BOOST_TEST(text_of(read_file(place / "a")) == "new");
  BOOST_TEST(equal_bits(fs::status(place / "a").permissions(), fs::perms{0640}));
  fs::create_symlink(place / "none", place / "broken");
  check_error([&] { write_file(place / "broken", "x"); }, {"broken", "leads nowhere"});
}

BOOST_AUTO_TEST_CASE(a_reader_sees_one_whole_file_while_others_write) {
  folder place;
  write_file(place / "a", std::string(100000, 'a'));
  std::vector<std::thread> writers;
  for (char letter : {'b', 'c'})
    writers.emplace_back([&place, letter] {
      for (int i = 0; i < 20; ++i) write_file(place / "a", std::string(100000, letter));
    });
  bool is_whole = true;
  for (int i = 0; i < 200; ++i) {
    auto const text = text_of(read_file(place / "a"));
    is_whole = is_whole && text == std::string(100000, text.at(0));
  }
  for (auto& writer : writers) writer.join();
  BOOST_TEST(is_whole);
  BOOST_TEST(place.count() == 1);
}

BOOST_AUTO_TEST_CASE(a_part_of_a_file_is_read) {
  folder place;
  io::write_file(place / "a", "0123456789");
  io::input_file const file(place / "a");
  BOOST_TEST(file.size() == 10u);
  buffer part(3);
  file.read(4, part);
  BOOST_TEST(text_of(part) == "456");
  file.read(10, {});
  check_error([&] { file.read(8, part); }, {"cannot read", "it ends before byte 11"});
  check_error([&] { file.read(~std::uint64_t{0} >> 1, part); }, {"cannot read"});
  fs::resize_file(place / "a", 5);
  check_error([&] { file.read(4, part); }, {"expected its 10 bytes to stay"});
  check_error([&] { io::input_file(place / "a", 4); }, {"more than the 4 bytes"});
  check_error([&] { io::input_file(place.path); }, {"it is a folder"});
  check_error([&] { io::input_file(place / "none"); }, {"cannot read", "none"});
  BOOST_TEST(io::input_file("/dev/null").size() == 0u);
}

BOOST_AUTO_TEST_CASE(a_name_that_is_nearly_right_gets_the_nearest) {
  folder place;
  io::write_file(place / "fashion-v.safetensors", "a");
  io::write_file(place / "other.png", "a");
  auto const meant = "did you mean '" + (place / "fashion-v.safetensors").string() + "'?";
  check_error([&] { io::read_file(place / "fashion_v.safetensors"); }, {meant});
  check_error([&] { io::input_file(place / "Fashion-V.safetensor"); }, {meant});
  try {
    io::read_file(place / "cat.jpeg");
  } catch (tweedie::error const& e) {
    BOOST_TEST(equal_bits(std::string_view(e.what()).find("mean"), std::string_view::npos));
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_written_is_said_before) {
  folder place;
  io::write_file(place / "a", "old");
  fs::create_directory(place / "folder");
  fs::create_symlink("nowhere", place / "link");
  BOOST_CHECK_NO_THROW(io::expect_writable(place / "a"));
  BOOST_CHECK_NO_THROW(io::expect_writable(place / "new"));
  for (auto const& one :
       {std::pair<fs::path, std::string_view>{place / "folder", "not a regular file"},
        {place / "link", "a link that leads nowhere"},
        {place / "none" / "a", "expected a name in a folder that can be written to"},
        {place / "a" / "b", "Not a directory"},
        {place / std::string(300, 'a'), "expected a name that a file may have"},
        {"/dev/null", "not a regular file"}}) {
    check_error([&] { io::expect_writable(one.first); }, {"cannot write", one.second});
    check_error([&] { io::write_file(one.first, "new"); }, {"cannot write", one.second});
  }
  BOOST_TEST(text_of(io::read_file(place / "a")) == "old");
  BOOST_TEST(place.count() == 3);
}
