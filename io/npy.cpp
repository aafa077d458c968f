#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <tweedie/dsl/error.hpp>
#include <tweedie/io/npy.hpp>

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

template <class T> std::vector<T> elements_of(std::span<std::byte const> bytes) {
  std::vector<T> elements(bytes.size() / sizeof(T));
  if (!elements.empty()) std::memcpy(elements.data(), bytes.data(), bytes.size());
  return elements;
}

}  // namespace

std::vector<float> npy_array::floats() const {
  return std::visit(
      [](auto const& elements) {
        std::vector<float> result;
        result.reserve(elements.size());
        for (auto element : elements) result.push_back(static_cast<float>(element));
        return result;
      },
      data);
}

npy_array parse_npy(std::span<std::byte const> content, std::string const& name) {
  std::string_view const bytes(reinterpret_cast<char const*>(content.data()), content.size());
  auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(content[i]); };
  auto fail = [&](std::string const& why) { header_reader("", name).fail(why); };

  if (!bytes.starts_with(magic)) fail("it does not begin with \\x93NUMPY");
  if (bytes.size() < 12) fail("it ends within the length of its header");
  auto const version = at(6);
  if (version < 1 || version > 3 || at(7) != 0)
    fail("its version is " + std::to_string(version) + "." + std::to_string(at(7)) +
         "; expected 1.0, 2.0 or 3.0");
  std::size_t const begin = version == 1 ? 10 : 12;
  auto const length =
      version == 1 ? at(8) | at(9) << 8 : at(8) | at(9) << 8 | at(10) << 16 | at(11) << 24;
  if (length > bytes.size() - begin)
    fail("its header is said to have " + std::to_string(length) + " bytes, but only " +
         std::to_string(bytes.size() - begin) + " follow");

  header_reader header(bytes.substr(begin, length), name);
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
  bool const is_truth = *type == "|b1";
  std::size_t const size = *type == "<f4"               ? 4
                           : *type == "<f8"             ? 8
                           : *type == "|u1" || is_truth ? 1
                                                        : 0;
  if (size == 0)
    fail("its elements are of another type; expected '<f4', '<f8', '|u1' or '|b1' as descr");

  auto with_bytes = *shape;
  with_bytes.push_back(size);
  auto const expected = element_count(with_bytes);
  if (!expected) fail("its shape " + to_text(*shape) + " has more bytes than memory can hold");
  auto const data = content.subspan(begin + length);
  if (data.size() != *expected)
    fail("it has " + std::to_string(data.size()) + " bytes of data; expected " +
         std::to_string(*expected) + " for the shape " + to_text(*shape));
  npy_array array{*std::move(shape), {}};
  if (size == 4) array.data = elements_of<float>(data);
  if (size == 8) array.data = elements_of<double>(data);
  if (is_truth && std::ranges::any_of(data, [](std::byte b) { return b > std::byte{1}; }))
    fail("it holds truth values that are neither 0 nor 1");
  if (is_truth) array.data = elements_of<truth>(data);
  else if (size == 1) array.data = elements_of<std::uint8_t>(data);
  return array;
}

npy_array read_npy(std::filesystem::path const& path, std::uint64_t max_bytes) {
  return parse_npy(read_file(path, max_bytes), path.string());
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
