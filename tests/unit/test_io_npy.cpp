#include "common.hpp"
#include "test_io_common.hpp"

#include <tweedie/io/npy.hpp>

using common::equal_bits;
using namespace io_test;
namespace io = tweedie::io;

namespace {

auto parse = [](std::span<std::byte const> content) { return io::parse_npy(content, "given"); };

buffer with_header(std::string const& header, std::string const& data = "", int version = 1) {
  auto const length = static_cast<int>(header.size());
  auto content = bytes_of("\x93NUMPY");
  auto numbers = version == 1 ? bytes_of({version, 0, length & 255, length >> 8})
                              : bytes_of({version, 0, length & 255, length >> 8, 0, 0});
  content.insert(content.end(), numbers.begin(), numbers.end());
  for (auto const& part : {bytes_of(header), bytes_of(data)})
    content.insert(content.end(), part.begin(), part.end());
  return content;
}

std::string header_of(std::string const& descr, std::string const& order,
                      std::string const& shape) {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

}  // namespace

BOOST_AUTO_TEST_CASE(round_trip) {
  folder place;
  for (auto const& shape : {io::extents{}, {1}, {3}, {2, 3}, {0, 3}, {1, 2, 1, 2}}) {
    std::vector<float> elements(io::element_count(shape).value());
    for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = 0.1f - static_cast<float>(i);
    io::write_npy(place / "a", shape, elements);
    auto const back = io::read_npy(place / "a");
    BOOST_TEST(equal_bits(back.shape, shape));
    BOOST_TEST(equal_bits(std::get<std::vector<float>>(back.data), elements));
    BOOST_TEST(equal_bits(back.floats(), elements));
    BOOST_TEST(equal_bits(io::read_file(place / "a"), io::to_npy(shape, elements)));
  }
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_numpy) {
  auto header = [](io::extents const& shape, std::size_t count) {
    return text_of(io::to_npy(shape, std::vector<float>(count)));
  };
  auto const text = header({2, 3}, 6);
  BOOST_TEST(text.substr(0, 10) == std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  BOOST_TEST(text.substr(10, 57) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3),");
  BOOST_TEST(text.size() == 128u + 24);
  BOOST_TEST(text[127] == '\n');
  BOOST_TEST((header({5}, 5).find("'shape': (5,), }") != std::string::npos));
  BOOST_TEST((header({}, 1).find("'shape': (), }") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(other_types_and_versions) {
  auto const bytes = parse(with_header(header_of("'|u1'", "False", "(3,)"), "\x01\x02\xff"));
  BOOST_TEST(
      (std::get<std::vector<std::uint8_t>>(bytes.data) == std::vector<std::uint8_t>{1, 2, 255}));
  BOOST_TEST(equal_bits(bytes.floats(), std::vector<float>{1, 2, 255}));
  auto const truths =
      parse(with_header(header_of("'|b1'", "False", "(2,)"), std::string("\1\0", 2)));
  BOOST_TEST(equal_bits(truths.floats(), std::vector<float>{1, 0}));

  std::string const limit("\0\0\0\1", 4), beyond("\1\0\0\1", 4), below("\xff\xff\xff\xfe", 4);
  auto const whole = [&](char const* descr, std::string const& content) {
    return parse(with_header(header_of(descr, "False", "(2,)"), content));
  };
  auto const i4 = whole("'<i4'", limit + std::string("\xff\xff\xff\xff", 4));
  BOOST_TEST(equal_bits(i4.floats(), std::vector<float>{16777216, -1}));
  BOOST_TEST((i4.doubles() == std::vector<double>{16777216, -1}));
  std::string const zeros(4, '\0'), ones(4, '\xff');
  BOOST_TEST(equal_bits(whole("'<i8'", limit + zeros + ones + ones).floats(),
                        std::vector<float>{16777216, -1}));
  for (auto const& bad : {whole("'<i4'", limit + beyond), whole("'<i4'", limit + below),
                          whole("'<i8'", zeros + zeros + zeros + limit)})
    BOOST_TEST(common::contains(common::sentence([&] { bad.floats(); }),
                                "at place 1; expected whole numbers from "
                                "-16777216 to 16777216"));
  check_error([] { parse(with_header(header_of("'|b1'", "False", "(1,)"), "\x02")); },
              {"neither 0 nor 1"});
  std::string const half("\0\0\0\0\0\0\xe0\x3f", 8);
  for (int version : {1, 2, 3}) {
    auto const wide = parse(with_header(header_of("'<f8'", "False", "()"), half, version));
    BOOST_TEST(equal_bits(std::get<std::vector<double>>(wide.data), std::vector<double>{0.5}));
  }
  // Double quotes, no last comma, another order: all of them are Python.
  auto const python =
      parse(with_header(R"({"shape":(1, 1),"descr":"<f8","fortran_order":False})", half));
  BOOST_TEST(equal_bits(python.shape, io::extents{1, 1}));
}

BOOST_AUTO_TEST_CASE(truncated_and_flipped) {
  auto const content = io::to_npy({2, 3}, std::vector<float>(6, 1.0f));
  check_truncations(content, parse);
  auto longer = content;
  longer.push_back(std::byte{0});
  check_error([&] { parse(longer); }, {"'given'", "25 bytes of data; expected 24", "[2, 3]"});
  BOOST_TEST(count_refused_flips(content, 128, parse) > 128u * 8);
}

BOOST_AUTO_TEST_CASE(corrupt_headers) {
  auto check = [](std::string const& header, std::initializer_list<std::string_view> parts) {
    check_error([&] { parse(with_header(header, "1234")); }, parts);
  };
  check_error([] { parse(bytes_of("\x93NUMPX")); }, {"does not begin with"});
  check_error([] { parse(bytes_of("\x93NUMPY\x01")); }, {"within the length"});
  check_error([] { parse(with_header("{}", "", 4)); }, {"version is 4.0; expected 1.0"});
  auto past = with_header("{}");
  past[8] = std::byte{9};
  check_error([&] { parse(past); }, {"9 bytes, but only 2 follow"});
  BOOST_CHECK_NO_THROW(parse(with_header(header_of("'<f4'", "False", "(1,)"), "1234")));
  check(header_of("'<f4'", "True", "(1,)"), {"Fortran's order; expected C order"});
  check(header_of("'>f4'", "False", "(1,)"), {"another type; expected '<f4'"});
  check(header_of("'<f2'", "False", "(2,)"), {"another type"});
  check(header_of("[('a', '<f4')]", "False", "(1,)"), {"lacks a '''"});
  check(header_of("'<f4'", "Maybe", "(1,)"), {"neither True nor False"});
  check(header_of("'<f4'", "False", "(-1,)"), {"not a tuple of whole numbers"});
  check(header_of("'<f4'", "False", "(99999999999999999999,)"), {"not a tuple of whole numbers"});
  check(header_of("'<f4'", "False", "(4294967296, 4294967296)"), {"memory can hold"});
  check(header_of("'<f4'", "False", "(4611686018427387904,)"), {"memory can hold"});
  check(header_of("'<f4'", "False", "(2,)"), {"4 bytes of data; expected 8"});
  check(header_of("'<f4'", "False", "(1 2)"), {"lacks a ')'"});
  check("{'descr': '<f4', 'shape': (1,)}", {"lacks one of"});
  check("{'descr': '<f4', 'descr': '<f4'}", {"unknown or repeated key"});
  check("{'other': '<f4'}", {"unknown or repeated key"});
  check("{'descr", {"string without an end"});
  check(header_of("'<f4'", "False", "(1,)") + "x", {"goes on behind"});
  check("", {"lacks a '{'"});
}

BOOST_AUTO_TEST_CASE(what_is_not_written) {
  folder place;
  check_error([&] { io::write_npy(place / "a", {2}, std::vector<float>(3)); },
              {"given 3 elements", "[2]"});
  check_error([] { io::to_npy(io::extents(30000, 1), std::vector<float>(1)); }, {"at most 65535"});
  BOOST_TEST(place.count() == 0);
}

BOOST_AUTO_TEST_CASE(a_header_is_judged_before_the_elements_are_read) {
  folder place;
  io::write_file(place / "a", with_header(header_of("'<f4'", "False", "(2,)"), "12345678"));
  BOOST_TEST(io::read_npy(place / "a").floats().size() == 2u);
  // 3 GiB that no disk holds.
  fs::resize_file(place / "a", std::uintmax_t{3} << 30);
  check_error([&] { io::read_npy(place / "a"); }, {"bytes of data; expected 8"});
  io::write_file(place / "b", "no array");
  fs::resize_file(place / "b", std::uintmax_t{3} << 30);
  check_error([&] { io::read_npy(place / "b"); }, {"'" + (place / "b").string(), "begin with"});
}
