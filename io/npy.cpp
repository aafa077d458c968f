#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <functional>
#include <optional>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/npy.hpp>
#include <type_traits>
#include <utility>

namespace tweedie::io {
namespace {

static_assert(std::endian::native == std::endian::little,
              "elements are copied as they are: expected little-endian");

constexpr std::string_view magic = "\x93NUMPY";

/// The part of Python that a header is written in: a dictionary of strings, truth values and tuples
/// of whole numbers. Each function takes what it names, or throws a sentence.
class header_reader {
 public:
  header_reader(std::string_view text, std::string const& name) : rest_(text), name_(name) {}

  [[noreturn]] void fail(std::string const& why) const {
    throw error("'" + name_ + "' is not a sound NPY file: " + why);
  }

  bool take_if(char wanted) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void take(char wanted) {
    if (!take_if(wanted)) fail(std::string("its header lacks a '") + wanted + "'" + where());
  }

  std::string_view string() {
    char const quote = take_if('"') ? '"' : (take('\''), '\'');
    auto const end = rest_.find(quote);
    if (end == std::string_view::npos) fail("its header has a string without an end");
    auto const text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool truth() {
    skip_blanks();
    for (bool value : {false, true}) {
      std::string_view const word = value ? "True" : "False";
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    fail("its fortran_order is neither True nor False" + where());
  }

  extents tuple() {
    extents numbers;
    take('(');
    while (!take_if(')')) {
      skip_blanks();
      std::size_t number = 0;
      auto const [end, code] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
      if (code != std::errc())
        fail("its shape is not a tuple of whole numbers that fit into 64 bits" + where());
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      numbers.push_back(number);
      if (take_if(',')) continue;
      take(')');
      break;
    }
    return numbers;
  }

  void end() {
    skip_blanks();
    if (!rest_.empty()) fail("its header goes on behind the dictionary" + where());
  }

 private:
  void skip_blanks() {
    auto const begin = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
  }

  std::string where() const {
    return ", " + std::to_string(rest_.size()) + " bytes before the header's end";
  }

  std::string_view rest_;
  std::string const& name_;
};

/// What a header says.
struct npy_header {
  std::string type;
  extents shape;
  std::uint64_t begin, bytes;  ///< of the elements in the file
};

/// Reads `to` from a place in the file.
using source = std::function<void(std::uint64_t begin, std::span<std::byte> to)>;

/// The header of a file of `size` bytes, which must be as long as the header says.
npy_header read_header(source const& read, std::uint64_t size, std::string const& name) {
  auto fail = [&](std::string const& why) { header_reader("", name).fail(why); };
  std::array<char, 12> prefix{};
  auto at = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(prefix[i])}; };
  read(0, std::as_writable_bytes(std::span(prefix)).first(std::min<std::size_t>(size, 12)));
  if (!std::string_view(prefix.data(), prefix.size()).starts_with(magic))
    fail("it does not begin with \\x93NUMPY");
  if (size < prefix.size()) fail("it ends within the length of its header");
  auto const version = at(6);
  if (version < 1 || version > 3 || at(7) != 0)
    fail("its version is " + std::to_string(version) + "." + std::to_string(at(7)) +
         "; expected 1.0, 2.0 or 3.0");
  std::size_t const begin = version == 1 ? 10 : 12;
  auto const length =
      version == 1 ? at(8) | at(9) << 8 : at(8) | at(9) << 8 | at(10) << 16 | at(11) << 24;
  if (length > size - begin)
    fail("its header is said to have " + std::to_string(length) + " bytes, but only " +
         std::to_string(size - begin) + " follow");
  constexpr std::size_t longest = 1 << 20;
  if (length > longest)
    fail("its header is said to have " + std::to_string(length) + " bytes; expected at most " +
         std::to_string(longest));
  std::string text(length, ' ');
  read(begin, std::as_writable_bytes(std::span(text)));

  header_reader header(text, name);
  std::optional<std::string_view> type;
  std::optional<bool> is_fortran;
  std::optional<extents> shape;
  header.take('{');
  while (!header.take_if('}')) {
    auto const key = header.string();
    header.take(':');
    if (key == "descr" && !type) type = header.string();
    else if (key == "fortran_order" && !is_fortran) is_fortran = header.truth();
    else if (key == "shape" && !shape) shape = header.tuple();
    else fail("its header has an unknown or repeated key; expected descr, fortran_order and shape");
    if (header.take_if(',')) continue;
    header.take('}');
    break;
  }
  header.end();
  if (!type || !is_fortran || !shape)
    fail("its header lacks one of descr, fortran_order and shape");
  if (*is_fortran) fail("it is in Fortran's order; expected C order (numpy.ascontiguousarray)");
  std::size_t const width = *type == "<f4" || *type == "<i4"   ? 4
                            : *type == "<f8" || *type == "<i8" ? 8
                            : *type == "|u1" || *type == "|b1" ? 1
                                                               : 0;
  if (width == 0)
    fail(
        "its elements are of another type; expected '<f4', '<f8', '<i4', '<i8', '|u1' or '|b1' as "
        "descr");

  auto with_bytes = *shape;
  with_bytes.push_back(width);
  auto const expected = element_count(with_bytes);
  if (!expected) fail("its shape " + to_text(*shape) + " has more bytes than memory can hold");
  auto const bytes = size - begin - length;
  if (bytes != *expected)
    fail("it has " + std::to_string(bytes) + " bytes of data; expected " +
         std::to_string(*expected) + " for the shape " + to_text(*shape));
  return {std::string(*type), *std::move(shape), begin + length, bytes};
}

npy_array read_array(source const& read, std::uint64_t size, std::string const& name) {
  auto header = read_header(read, size, name);
  npy_array array{std::move(header.shape), {}, name};
  auto const fill = [&]<class T>(std::vector<T> elements) {
    elements.resize(static_cast<std::size_t>(header.bytes) / sizeof(T));
    read(header.begin, std::as_writable_bytes(std::span(elements)));
    if constexpr (std::is_same_v<T, truth>)
      if (std::ranges::any_of(elements, [](truth t) { return t > truth::yes; }))
        header_reader("", name).fail("it holds truth values that are neither 0 nor 1");
    array.data = std::move(elements);
  };
  if (header.type == "<f4") fill(std::vector<float>());
  if (header.type == "<f8") fill(std::vector<double>());
  if (header.type == "<i4") fill(std::vector<std::int32_t>());
  if (header.type == "<i8") fill(std::vector<std::int64_t>());
  if (header.type == "|u1") fill(std::vector<std::uint8_t>());
  if (header.type == "|b1") fill(std::vector<truth>());
  return array;
}

}  // namespace

std::vector<float> npy_array::floats() const {
  return std::visit(
      [&]<class T>(std::vector<T> const& elements) {
        constexpr std::int64_t most = 1 << 24;
        std::vector<float> result;
        result.reserve(elements.size());
        for (T const element : elements) {
          if constexpr (std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t>)
            if (element > most || element < -most)
              throw error("'" + name + "' has the number " + std::to_string(element) +
                          " at place " + std::to_string(result.size()) +
                          "; expected whole numbers from -16777216 to 16777216, which floats hold");
          result.push_back(static_cast<float>(element));
        }
        return result;
      },
      data);
}

std::vector<double> npy_array::doubles() const {
  return std::visit(
      [&]<class T>(std::vector<T> const& elements) {
        std::vector<double> result;
        result.reserve(elements.size());
        for (T const element : elements) result.push_back(static_cast<double>(element));
        return result;
      },
      data);
}

npy_array parse_npy(std::span<std::byte const> content, std::string const& name) {
  return read_array(
      [&](std::uint64_t begin, std::span<std::byte> to) {
        std::ranges::copy(content.subspan(static_cast<std::size_t>(begin), to.size()), to.begin());
      },
      content.size(), name);
}

npy_array read_npy(std::filesystem::path const& path, std::uint64_t max_bytes) {
  input_file const file(path, max_bytes);
  return read_array([&](std::uint64_t begin, std::span<std::byte> to) { file.read(begin, to); },
                    file.size(), path.string());
}

namespace {

std::string header_of(extents const& shape, std::size_t count) {
  if (element_count(shape) != count)
    throw error("an NPY file was given " + std::to_string(count) +
                " elements; expected as many as the shape " + to_text(shape) + " has");
  std::string tuple = "(";
  for (auto size : shape) tuple += std::to_string(size) + ", ";
  if (shape.size() == 1) tuple.pop_back();  // "(3,)", and "(2, 3)"
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  auto dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': " + tuple + "), }";
  constexpr std::size_t prefix = 10, alignment = 64;
  auto const length = (prefix + dictionary.size() + alignment) / alignment * alignment - prefix;
  if (length > 0xffff)
    throw error("an NPY header of " + std::to_string(length) + " bytes; expected at most 65535");
  dictionary.resize(length - 1, ' ');
  return std::string(magic) + '\1' + '\0' + static_cast<char>(length & 0xff) +
         static_cast<char>(length >> 8) + dictionary + '\n';
}

}  // namespace

buffer to_npy(extents const& shape, std::span<float const> elements) {
  auto const header = header_of(shape, elements.size());
  auto const begin = std::as_bytes(std::span(header)), data = std::as_bytes(elements);
  buffer content(begin.begin(), begin.end());
  content.insert(content.end(), data.begin(), data.end());
  return content;
}

void write_npy(std::filesystem::path const& path, extents const& shape,
               std::span<float const> elements) {
  auto const header = header_of(shape, elements.size());
  std::span<std::byte const> const parts[] = {std::as_bytes(std::span(header)),
                                              std::as_bytes(elements)};
  write_file(path, parts);
}

}  // namespace tweedie::io
