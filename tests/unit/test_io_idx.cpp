#include "common.hpp"
#include "test_io_common.hpp"

#include <zlib.h>

#include <algorithm>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/gzip.hpp>
#include <tweedie/io/idx.hpp>

using common::equal_bits;
using namespace io_test;
namespace io = tweedie::io;

namespace {

buffer packed(std::span<std::byte const> content) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  buffer result(deflateBound(&stream, content.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  BOOST_REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

buffer joined(buffer a, buffer const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

buffer const small = bytes_of({0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60});

auto parse = [](std::span<std::byte const> content) { return io::parse_idx(content, "given"); };

buffer images(int count, int height = 28, int width = 28) {
  auto content = bytes_of({0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, height, 0, 0, 0, width});
  for (int i = 0; i < count * height * width; ++i) content.push_back(static_cast<std::byte>(i));
  return content;
}

}  // namespace

BOOST_AUTO_TEST_CASE(gzip_round_trip_and_members) {
  buffer content(300000);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * i >> 5);
  BOOST_TEST(equal_bits(io::gunzip(packed(content), "given"), content));
  BOOST_TEST(equal_bits(io::gunzip(packed(buffer()), "given"), buffer()));
  auto const two = joined(packed(bytes_of("one ")), packed(bytes_of("two")));
  BOOST_TEST(text_of(io::gunzip(two, "given")) == "one two");
}

BOOST_AUTO_TEST_CASE(gzip_corruption) {
  auto const valid = packed(bytes_of("some words, some words, some words"));
  auto unpack = [](std::span<std::byte const> content) { return io::gunzip(content, "given"); };
  check_truncations(valid, unpack);
  count_refused_flips(valid, valid.size(), unpack);
  auto cut = valid;
  cut.pop_back();
  check_error([&] { unpack(cut); }, {"'given'", "truncated gzip"});
  auto checksum = valid;
  checksum[valid.size() - 6] ^= std::byte{1};
  check_error([&] { unpack(checksum); }, {"not a sound gzip file", "incorrect data check"});
  check_error([&] { unpack(joined(valid, bytes_of("xyz"))); }, {"not a sound gzip file"});
  check_error([&] { unpack(bytes_of("no gzip")); }, {"not a sound gzip file", "header check"});
}

BOOST_AUTO_TEST_CASE(gzip_bound) {
  auto const bomb = packed(buffer(1 << 20));
  check_error([&] { io::gunzip(bomb, "given", (1 << 20) - 1); }, {"more than the 1048575 bytes"});
  BOOST_TEST(io::gunzip(bomb, "given", 1 << 20).size() == 1u << 20);
}

BOOST_AUTO_TEST_CASE(idx_is_read_plain_and_packed) {
  folder place;
  io::write_file(place / "plain", small);
  io::write_file(place / "packed", packed(small));
  for (auto name : {"plain", "packed"}) {
    auto const array = io::read_idx(place / name);
    BOOST_TEST(equal_bits(array.shape, io::extents{2, 3}));
    BOOST_TEST(equal_bits(array.data, std::vector<std::uint8_t>{10, 20, 30, 40, 50, 60}));
  }
}

BOOST_AUTO_TEST_CASE(idx_corruption) {
  check_truncations(small, parse);
  // Each flip within the header contradicts the length of the data or the magic.
  BOOST_TEST(count_refused_flips(small, 12, parse) == 12u * 9);
  check_error([] { parse(bytes_of({0, 0})); }, {"'given'", "2 bytes; expected at least 4"});
  check_error([] { parse(bytes_of({1, 0, 8, 1})); }, {"expected two zeros"});
  check_error([] { parse(bytes_of({0, 0, 13, 1})); }, {"element type is 13; expected 8"});
  check_error([] { parse(bytes_of({0, 0, 8, 0})); }, {"0 dimensions"});
  check_error(
      [] {
        parse(bytes_of({0, 0, 8, 255, 0, 0}));
      },
      {"within its header", "255 dimensions"});
  auto huge = bytes_of({0, 0, 8, 3});
  huge.resize(4 + 12, std::byte{255});
  check_error([&] { parse(huge); }, {"more elements than memory can hold"});
  check_error([] { parse(joined(small, bytes_of({1}))); },
              {"7 bytes of data; expected 6", "[2, 3]"});
}

BOOST_AUTO_TEST_CASE(fashion_mnist_checks) {
  folder place;
  auto read = [&] { return io::read_fashion_mnist(io::fashion_mnist_part::test, place.path); };
  auto put = [&](buffer const& pictures, buffer const& labels) {
    io::write_file(place / "t10k-images-idx3-ubyte", pictures);
    io::write_file(place / "t10k-labels-idx1-ubyte", labels);
  };
  BOOST_TEST(!io::has_fashion_mnist(io::fashion_mnist_part::test, place.path));
  check_error([&] { read(); }, {"cannot read", "t10k-images-idx3-ubyte"});

  put(images(2), bytes_of({0, 0, 8, 1, 0, 0, 0, 2, 0, 9}));
  BOOST_TEST(io::has_fashion_mnist(io::fashion_mnist_part::test, place.path));
  auto const set = read();
  BOOST_TEST(set.count == 2u);
  BOOST_TEST(equal_bits(set.labels, std::vector<std::uint8_t>{0, 9}));
  BOOST_TEST(set.images.size() == 2u * 784);
  BOOST_TEST(set.images[0] == -1.0f);
  BOOST_TEST(set.images[255] == 1.0f);
  BOOST_TEST(set.images[127] == -set.images[128]);

  put(images(2, 27, 28), bytes_of({0, 0, 8, 1, 0, 0, 0, 2, 0, 9}));
  check_error([&] { read(); }, {"[2, 27, 28]; expected pictures, [count, 28, 28]"});
  put(images(2), bytes_of({0, 0, 8, 1, 0, 0, 0, 3, 0, 9, 1}));
  check_error([&] { read(); }, {"2 pictures; expected as many as the 3 labels"});
  put(images(2), bytes_of({0, 0, 8, 1, 0, 0, 0, 2, 0, 10}));
  check_error([&] { read(); }, {"the label 10 at index 1; expected 0 to 9"});
  put(images(2), small);
  check_error([&] { read(); }, {"[2, 3]; expected labels, [count]"});
}

BOOST_AUTO_TEST_CASE(fashion_mnist_of_the_package) {
  for (auto part : {io::fashion_mnist_part::train, io::fashion_mnist_part::test}) {
    if (!io::has_fashion_mnist(part)) {
      BOOST_TEST_MESSAGE("skipped: no Fashion-MNIST in " << io::fashion_mnist_folder
                                                         << " (package dataset-fashion-mnist)");
      continue;
    }
    auto const set = io::read_fashion_mnist(part);
    std::size_t const count = part == io::fashion_mnist_part::train ? 60000 : 10000;
    BOOST_TEST(set.count == count);
    BOOST_TEST(set.images.size() == count * 784);
    for (int label = 0; label < 10; ++label)
      BOOST_TEST(std::count(set.labels.begin(), set.labels.end(), label) ==
                 static_cast<std::ptrdiff_t>(count / 10));
    auto const [low, high] = std::minmax_element(set.images.begin(), set.images.end());
    BOOST_TEST(*low == -1.0f);
    BOOST_TEST(*high == 1.0f);
    // The first picture of either part is a boot.
    BOOST_TEST(io::fashion_mnist_classes[set.labels[0]] == "boot");
  }
}
