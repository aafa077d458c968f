#include "common.hpp"
#include "test_io_common.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tweedie/io/safetensors.hpp>

using common::equal_bits;
using namespace io_test;
namespace io = tweedie::io;

namespace {

auto parse = [](std::span<std::byte const> content) {
  return io::parse_safetensors(content, "given");
};

buffer with_header(std::string const& header, std::size_t data, std::uint64_t length) {
  buffer content;
  for (int i = 0; i < 8; ++i) content.push_back(static_cast<std::byte>(length >> (8 * i)));
  auto const text = bytes_of(header);
  content.insert(content.end(), text.begin(), text.end());
  content.resize(content.size() + data);
  return content;
}

/// Checks the sentence for a header, with so many zero bytes of data behind it.
void check_header(std::string const& header, std::size_t data,
                  std::initializer_list<std::string_view> parts) {
  check_error([&] { parse(with_header(header, data, header.size())); }, parts);
}

template <class T>
io::tensor tensor_of(std::string name, io::extents shape, std::vector<T> const& elements) {
  return io::make_tensor<T>(std::move(name), std::move(shape), elements);
}

io::tensor_file sample() {
  io::tensor_file file;
  file.tensors.push_back(tensor_of<double>("wide", {1}, {0.1}));
  file.tensors.push_back(tensor_of<std::int64_t>("i64", {2}, {-1, 1}));
  file.tensors.push_back(tensor_of<std::uint64_t>("u64", {}, {~std::uint64_t{0}}));
  file.tensors.push_back(tensor_of<float>("z.weight", {2, 3}, {1, -2, 3, 0.5f, -0.0f, 1e-30f}));
  file.tensors.push_back(tensor_of<float>("a.bias", {1}, {7}));
  file.tensors.push_back(tensor_of<std::int32_t>("i32", {2}, {-5, 6}));
  file.tensors.push_back(tensor_of<std::uint8_t>("bytes \"\xc3\xa9\"", {3}, {1, 2, 255}));
  file.metadata = {{"format", "tweedie"}, {"quote", "\"\n"}};
  return file;
}

void check_same(io::tensor_file const& a, io::tensor_file const& b) {
  BOOST_REQUIRE(a.tensors.size() == b.tensors.size());
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    BOOST_TEST(a.tensors[i].name == b.tensors[i].name);
    BOOST_TEST(equal_bits(a.tensors[i].dtype, b.tensors[i].dtype));
    BOOST_TEST(equal_bits(a.tensors[i].shape, b.tensors[i].shape));
    BOOST_TEST(equal_bits(a.tensors[i].bytes, b.tensors[i].bytes));
  }
  BOOST_TEST(equal_bits(a.metadata, b.metadata));
}

}  // namespace

BOOST_AUTO_TEST_CASE(round_trip) {
  folder place;
  io::write_safetensors(place / "a", sample());
  auto const back = io::read_safetensors(place / "a");
  check_same(sample(), back);
  BOOST_TEST(back.source == (place / "a").string());
  BOOST_TEST(equal_bits(io::read_file(place / "a"), io::to_safetensors(sample())));
  BOOST_TEST(equal_bits(io::to_safetensors(back), io::to_safetensors(sample())));
  BOOST_TEST(
      (io::floats(back, "z.weight", {2, 3}) == std::vector<float>{1, -2, 3, 0.5f, -0.0f, 1e-30f}));
  BOOST_TEST(
      equal_bits(io::values<std::int64_t>(back, "i64", {2}), std::vector<std::int64_t>{-1, 1}));
  BOOST_TEST(equal_bits(io::values<double>(back, "wide", {1}), std::vector<double>{0.1}));

  check_same(parse(io::to_safetensors({})), {});  // no tensors at all
  io::tensor_file empty;
  empty.tensors.push_back(tensor_of<float>("a", {0, 3}, {}));
  empty.tensors.push_back(tensor_of<float>("b", {2}, {1, 2}));
  check_same(parse(io::to_safetensors(empty)), empty);
}

BOOST_AUTO_TEST_CASE(the_bytes_are_those_of_the_format) {
  io::tensor_file file;
  file.tensors.push_back(tensor_of<std::uint8_t>("u", {1}, {9}));
  file.tensors.push_back(tensor_of<float>("f", {1}, {1}));
  auto const content = io::to_safetensors(file);
  // Wider elements first, so that each tensor is aligned; spaces up to a multiple of 8.
  std::string expected = R"({"f":{"data_offsets":[0,4],"dtype":"F32","shape":[1]},)"
                         R"("u":{"data_offsets":[4,5],"dtype":"U8","shape":[1]}})";
  expected.resize((expected.size() + 7) / 8 * 8, ' ');
  BOOST_TEST(text_of(content).substr(8, expected.size()) == expected);
  BOOST_TEST(std::to_integer<std::size_t>(content[0]) == expected.size());
  BOOST_TEST(equal_bits(buffer(content.end() - 5, content.end()), bytes_of({0, 0, 0x80, 0x3f, 9})));
}

BOOST_AUTO_TEST_CASE(truncated_and_flipped) {
  auto const content = io::to_safetensors(sample());
  check_truncations(content, parse);
  auto longer = content;
  longer.push_back(std::byte{0});
  check_error([&] { parse(longer); }, {"leave a hole", "the end of the file"});
  auto const header = content.size() - 8 - 16 - 8 - 24 - 4 - 8 - 3;
  auto const refused = count_refused_flips(content, header, parse);
  BOOST_TEST(refused > header * 9 / 2);  // the rest are other names and other texts
  count_refused_flips(content, content.size(), parse);
}

BOOST_AUTO_TEST_CASE(header_length) {
  check_error([] { parse(bytes_of("1234567")); }, {"'given'", "7 bytes; expected 8"});
  check_error([] { parse(with_header("{}", 0, 3)); }, {"said to have 3 bytes, but only 2 follow"});
  check_error([] { parse(with_header("{}", 0, 100'000'001)); }, {"at most 100000000"});
  check_error([] { parse(with_header("{}", 0, ~std::uint64_t{0})); }, {"at most 100000000"});
}

BOOST_AUTO_TEST_CASE(header_json) {
  check_header("", 0, {"begin with '{'"});
  check_header("[]", 0, {"begin with '{'"});
  check_header("\xef\xbb\xbf{}", 0, {"begin with '{'"});
  check_header("{\"a\":", 0, {"not JSON"});
  check_header("{} x", 0, {"not JSON"});
  check_header("{\"\xff\":1}", 0, {"not JSON"});
  check_header("{\"a\":" + std::string(100000, '['), 0, {"deeper than 8"});
  check_header("{\"a\":1e999}", 0, {"not JSON"});
  std::string const a = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  BOOST_TEST(parse(with_header("{\"a\":" + a + "}  ", 0, a.size() + 8)).tensors.size() == 1u);
  check_header("{\"a\":" + a + ",\"a\":" + a + "}", 0, {"the name \"a\" is there twice"});
  check_header("{\"a\":" + a + ",\"\\u0061\":" + a + "}", 0, {"the name \"a\" is there twice"});
  check_header(R"({"a":{"dtype":"U8","dtype":"U8"}})", 0, {"the name \"dtype\" is there twice"});
  check_header(R"({"__metadata__":{"k":"v","k":"w"}})", 0, {"the name \"k\" is there twice"});
}

BOOST_AUTO_TEST_CASE(a_sentence_repeats_no_bytes_of_the_file) {
  for (std::string const header :
       {"{\"\xff\x1b[2J\":1}", "{\"a\x1b\":1}", "{\x1b", "{\"a\":tr\x7f}", "{\"\\u001b\":1}",
        "{\"\\u001b\":1,\"\\u001b\":1}", "{\"\\u001b\":{\"dtype\":\"\\u001b\"}}"}) {
    try {
      parse(with_header(header, 0, header.size()));
      BOOST_ERROR("expected an error for " << header);
    } catch (tweedie::error const& reason) {
      std::string const sentence = reason.what();
      BOOST_TEST(std::all_of(sentence.begin(), sentence.end(),
                             [](char letter) { return letter >= ' ' && letter <= '~'; }),
                 "expected printable ASCII in: " << sentence);
    }
  }
  std::string const long_string = "{\"" + std::string(100000, 'a');
  try {
    parse(with_header(long_string, 0, long_string.size()));
  } catch (tweedie::error const& reason) {
    BOOST_TEST(std::string_view(reason.what()).size() < 300u);
  }
}

BOOST_AUTO_TEST_CASE(many_names_take_no_quadratic_time) {
  std::string names = "{";
  for (int i = 0; i < 500'000; ++i) names += (i ? ",\"" : "\"") + std::to_string(i) + "\":{}";
  // A second; the test's time is up long before a quadratic parser's.
  check_header(names + "}", 0, {"tensor \"0\" has no dtype"});
}

BOOST_AUTO_TEST_CASE(header_entries) {
  auto entry = [](std::string const& dtype, std::string const& shape, std::string const& offsets) {
    return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  BOOST_TEST(parse(with_header(entry("\"F32\"", "[2]", "[0,8]"), 8,
                               entry("\"F32\"", "[2]", "[0,8]").size()))
                 .tensors.size() == 1u);
  check_header(R"({"a":3})", 0, {"tensor \"a\" is not a JSON object"});
  check_header(R"({"a":{"dtype":"F32","shape":[0]}})", 0, {"tensor \"a\" has no data_offsets"});
  check_header(R"({"a":{"dtype":"F32","x":[0]}})", 0, {"tensor \"a\" has the key \"x\""});
  check_header(entry("7", "[2]", "[0,8]"), 8, {"dtype that is not a string"});
  for (auto shape : {"2", "[-2]", "[2.0]", "[\"2\"]", "[18446744073709551616]", "{}", "[null]"})
    check_header(entry("\"F32\"", shape, "[0,8]"), 8, {"shape that is not a list"});
  for (auto offsets : {"8", "[0]", "[0,4,8]", "[-8,0]", "[0,8.0]", "[0,1e1]", "{}"})
    check_header(entry("\"F32\"", "[2]", offsets), 8, {"data_offsets that are not two"});
  check_header(entry("\"F32\"", "[2]", "[8,0]"), 8, {"begins behind its end, at 8 to 0"});
  check_header(entry("\"F32\"", "[3]", "[0,12]"), 8, {"outside the file's 8 bytes"});
  check_header(entry("\"F32\"", "[2]", "[0,18446744073709551615]"), 8, {"outside the file's"});
  check_header(entry("\"F32\"", "[3]", "[0,8]"), 8, {"8 bytes; expected 12 for F32[3]"});
  check_header(entry("\"F32\"", "[1]", "[0,8]"), 8, {"8 bytes; expected 4 for F32[1]"});
  check_header(entry("\"F32\"", "[]", "[0,8]"), 8, {"8 bytes; expected 4 for F32[]"});
  check_header(entry("\"U8\"", "[4294967296,4294967296]", "[0,0]"), 0, {"memory can hold"});
  // 2^62 floats are 2^64 bytes, which is 0 in 64 bits.
  check_header(entry("\"F32\"", "[4611686018427387904]", "[0,0]"), 0, {"memory can hold"});
}

BOOST_AUTO_TEST_CASE(overlaps_and_holes) {
  auto two = [](std::string const& a, std::string const& b) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}";
  };
  auto const good = two("[4,8]", "[0,4]");
  BOOST_TEST(parse(with_header(good, 8, good.size())).tensors[0].name == "b");
  check_header(two("[0,4]", "[2,6]"), 6, {"\"b\" begins at 2, within the tensor before it"});
  check_header(two("[0,4]", "[0,4]"), 4, {"\"b\" begins at 0, within the tensor before it"});
  check_header(two("[0,4]", "[6,10]"), 10, {"\"b\" begins at 6, behind a hole; expected 4"});
  check_header(two("[2,6]", "[6,10]"), 10, {"\"a\" begins at 2, behind a hole; expected 0"});
  check_header(two("[0,4]", "[4,8]"), 9, {"end at 8 and leave a hole; expected 9"});
  check_header("{}", 1, {"end at 0 and leave a hole"});
}

BOOST_AUTO_TEST_CASE(metadata) {
  check_header(R"({"__metadata__":[]})", 0, {"__metadata__ is not a JSON object"});
  std::string const none = R"({"__metadata__":null})";  // as some writers say that there is none
  BOOST_TEST(parse(with_header(none, 0, none.size())).metadata.empty());
  check_header(R"({"__metadata__":{"k":1}})", 0, {"__metadata__ holds under \"k\""});
}

BOOST_AUTO_TEST_CASE(values_that_are_not_finite) {
  constexpr float inf = std::numeric_limits<float>::infinity();
  for (float bad : {std::nanf(""), inf, -inf}) {
    io::tensor_file file;
    file.tensors.push_back(tensor_of<float>("X", {3}, {std::numeric_limits<float>::max(), 1, bad}));
    auto const content = io::to_safetensors(file);
    check_error([&] { parse(content); },
                {"tensor \"X\" holds a value that is not finite at index 2"});
    BOOST_TEST(io::parse_safetensors(content, "given", {.must_be_finite = false}).tensors.size() ==
               1u);
  }
  io::tensor_file wide;
  wide.tensors.push_back(tensor_of<double>("X", {2}, {std::numeric_limits<double>::max(), inf}));
  check_error([&] { parse(io::to_safetensors(wide)); }, {"not finite at index 1"});
  // The largest and the first infinite pattern of half and of bfloat16.
  for (auto [dtype, largest, infinite] : {std::tuple(io::tensor_dtype::f16, 0x7bff, 0x7c00),
                                          std::tuple(io::tensor_dtype::bf16, 0x7f7f, 0x7f80)}) {
    io::tensor_file file;
    file.tensors.push_back({"X", dtype, {1}, bytes_of({largest & 255, largest >> 8})});
    BOOST_TEST(parse(io::to_safetensors(file)).tensors.size() == 1u);
    file.tensors[0].bytes = bytes_of({infinite & 255, infinite >> 8});
    check_error([&] { parse(io::to_safetensors(file)); }, {"not finite at index 0"});
  }
  // All bits of a whole number may be set.
  io::tensor_file whole;
  whole.tensors.push_back(tensor_of<std::int32_t>("X", {1}, {-1}));
  BOOST_TEST(parse(io::to_safetensors(whole)).tensors.size() == 1u);
}

BOOST_AUTO_TEST_CASE(asking_for_a_tensor) {
  auto file = sample();
  file.source = "model";
  check_error([&] { io::floats(file, "none", {1}); },
              {"'model' has no tensor \"none\"; expected one of F32[1]"});
  check_error([&] { io::floats(file, "i64", {2}); },
              {"\"i64\" has the dtype I64; expected F32[2]"});
  check_error(
      [&] {
        io::floats(file, "z.weight", {3, 2});
      },
      {"\"z.weight\" has the shape [2, 3]; expected [3, 2]"});
  check_error([&] { io::floats(file, "z.weight", {2}); }, {"expected [2]"});
  std::vector<std::string> names;
  for (auto const& next : file.tensors) names.push_back(next.name);
  BOOST_CHECK_NO_THROW(io::expect_names(file, names));
  auto more = names;
  more.push_back("more");
  check_error([&] { io::expect_names(file, more); }, {"'model' has no tensor \"more\""});
  names.erase(names.begin());
  check_error([&] { io::expect_names(file, names); }, {"'model' has the extra tensor \"wide\""});
}

BOOST_AUTO_TEST_CASE(what_is_not_written) {
  folder place;
  io::write_file(place / "a", "old");
  auto refuse = [&](io::tensor_file const& file, std::initializer_list<std::string_view> parts) {
    check_error([&] { io::write_safetensors(place / "a", file); }, parts);
    BOOST_TEST(text_of(io::read_file(place / "a")) == "old");
    BOOST_TEST(place.count() == 1);
  };
  auto file = sample();
  file.tensors[1].name = "wide";
  refuse(file, {"cannot write", "two tensors are named \"wide\""});
  file = sample();
  file.tensors[1].name = "__metadata__";
  refuse(file, {"reserved"});
  file.tensors[1].name = "\xff";
  refuse(file, {"not UTF-8"});
  file = sample();
  file.metadata["k"] = "\xff";
  refuse(file, {"not UTF-8"});
  file = sample();
  file.tensors[0].bytes.pop_back();
  refuse(file, {"\"wide\" has 7 bytes; expected as many as F64[1]"});
  check_error([] { tensor_of<float>("a", {2}, {1}); }, {"'a' was given 1 elements", "[2]"});
}

BOOST_AUTO_TEST_CASE(a_dtype_that_is_not_known_disturbs_nobody_who_does_not_ask_for_it) {
  folder place;
  std::string const header = R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},)"
                             R"("b":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})";
  auto const content = with_header(header, 7, header.size());
  io::write_file(place / "m", content);
  BOOST_TEST(parse(content).tensors.size() == 1u);
  io::safetensors_file const file(place / "m");
  BOOST_TEST(file.tensors().size() == 2u);
  BOOST_TEST(equal_bits(file.floats("b", {1}), std::vector<float>{0}));
  std::vector<std::string> const only_b{"b"};
  BOOST_CHECK_NO_THROW(file.expect_names(only_b));
  check_error([&] { file.floats("a", {3}); },
              {"tensor \"a\" has the dtype \"F8_E4M3\"; expected F32[3], F16[3], BF16[3]"});
  check_error([&] { file.read(file.tensors()[0]); }, {"\"F8_E4M3\"; expected one of BOOL, U8"});
  // Its bytes are within the file all the same.
  check_header(R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,4]}})", 3, {"outside"});
}

BOOST_AUTO_TEST_CASE(half_floats_are_widened) {
  folder place;
  io::tensor_file file;
  file.tensors.push_back({"half", io::tensor_dtype::f16, {2}, bytes_of({0x00, 0x3c, 0x00, 0xc1})});
  file.tensors.push_back({"brain", io::tensor_dtype::bf16, {1}, bytes_of({0x20, 0xc0})});
  io::write_safetensors(place / "m", file);
  io::safetensors_file const read(place / "m");
  BOOST_TEST(equal_bits(read.floats("half", {2}), std::vector<float>{1, -2.5f}));
  BOOST_TEST(equal_bits(read.floats("brain", {1}), std::vector<float>{-2.5f}));
  check_error([&] { read.floats("hafl", {2}); }, {"no tensor \"hafl\"", "did you mean \"half\"?"});
}

BOOST_AUTO_TEST_CASE(a_header_is_judged_before_its_tensors_are_read) {
  folder place;
  // 8 GiB that no disk holds: who reads them needs as much memory, and more than this test has
  // time.
  std::uint64_t const data = std::uint64_t{8} << 30;
  std::string const header =
      R"({"a":{"dtype":"U8","shape":[8589934592],"data_offsets":[0,8589934592]}})";
  io::write_file(place / "m", with_header(header, 0, header.size()));
  fs::resize_file(place / "m", 8 + header.size() + data);
  io::safetensors_file const file(place / "m");
  BOOST_TEST(file.tensors().at(0).end == data);
  check_error([&] { file.floats("b", {1}); }, {"has no tensor \"b\""});
  check_error([&] { io::safetensors_file(place / "m", {.max_bytes = 1000}); },
              {"more than the 1000"});
  fs::resize_file(place / "m", 8 + header.size());
  check_error([&] { file.read(file.tensors()[0]); }, {"it ends before byte", "bytes to stay"});
}

BOOST_AUTO_TEST_CASE(a_seal_is_broken_by_every_change) {
  auto sealed = sample();
  io::seal(sealed);
  BOOST_CHECK_NO_THROW(io::expect_sealed(sealed));
  BOOST_CHECK_NO_THROW(io::expect_sealed(parse(io::to_safetensors(sealed))));
  auto broken = [&](auto change) {
    auto file = sealed;
    change(file);
    check_error([&] { io::expect_sealed(file); }, {"was changed since it was written"});
  };
  broken([](auto& f) { f.metadata["format"] = "tweedle"; });
  broken([](auto& f) { f.metadata["more"] = ""; });
  broken([](auto& f) { f.metadata.erase("quote"); });
  broken([](auto& f) { f.tensors[0].bytes[3] ^= std::byte{1}; });
  broken([](auto& f) { std::swap(f.tensors[1].name, f.tensors[2].name); });
  broken([](auto& f) { f.tensors.pop_back(); });
  broken([](auto& f) { f.tensors[3].shape = {3, 2}; });
  broken([](auto& f) { f.tensors[3].dtype = io::tensor_dtype::i32; });
  broken([](auto& f) { f.metadata["checksum"] = "crc32 00000000"; });
  check_error([] { io::expect_sealed(sample()); }, {"has no checksum"});
}
