#include <zlib.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tweedie/dsl/base/half.hpp>
#include <tweedie/io/nearest.hpp>
#include <tweedie/io/safetensors.hpp>

namespace tweedie::io {

using nlohmann::json;

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 100;
  std::string const shown =
      text.size() > most ? std::string(text.substr(0, most)) + "..." : std::string(text);
  return json(shown).dump(-1, ' ', true, json::error_handler_t::replace);
}

namespace {

struct dtype_row {
  std::string_view name;
  std::size_t size;
  std::uint64_t exponent;  ///< all of these bits set: infinite or NaN; 0: always finite
};

/// In the order of `tensor_dtype`.
constexpr std::array<dtype_row, 13> dtype_rows{{{"BOOL", 1, 0},
                                                {"U8", 1, 0},
                                                {"I8", 1, 0},
                                                {"I16", 2, 0},
                                                {"U16", 2, 0},
                                                {"F16", 2, 0x7c00},
                                                {"BF16", 2, 0x7f80},
                                                {"I32", 4, 0},
                                                {"U32", 4, 0},
                                                {"F32", 4, 0x7f80'0000},
                                                {"F64", 8, 0x7ff0'0000'0000'0000},
                                                {"I64", 8, 0},
                                                {"U64", 8, 0}}};

constexpr dtype_row const& row(tensor_dtype dtype) {
  return dtype_rows[static_cast<std::size_t>(dtype)];
}

[[noreturn]] void fail(std::string const& source, std::string const& why) {
  throw error("'" + source + "' is not a sound safetensors file: " + why);
}

std::uint64_t little_endian(std::span<std::byte const> bytes) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

/// Sees the header before a tree is made of it. JSON itself lets the last of two equal names win,
/// here they are an error. The parser's callback sees the same, but with it each object is searched
/// again for every one of its members: hours, for some megabytes of names.
class header_check final : public nlohmann::json_sax<json> {
 public:
  explicit header_check(std::string const& source) : source_(source) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, std::string const&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(json::binary_t&) override { return true; }

  bool start_array(std::size_t) override { return enter(); }
  bool start_object(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool end_object() override { return leave(); }

  bool key(std::string& name) override {
    if (!open_.back().insert(name).second)
      fail(source_, "the name " + in_quotes(name) + " is there twice; expected it once");
    return true;
  }

  bool parse_error(std::size_t, std::string const&, json::exception const& reason) override {
    // The rest would repeat what was read, as it is: control characters, half a letter, megabytes.
    std::string const why = reason.what();
    fail(source_, "its header is not JSON (" + why.substr(0, why.find("; last read")) + ")");
  }

 private:
  bool enter() {
    if (open_.size() > 8)
      fail(source_, "its header is nested deeper than 8; expected tensors by name");
    open_.emplace_back();
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  std::string const& source_;
  std::vector<std::set<std::string>> open_;  ///< the names of each object and array that is open
};

json parse_json(std::string_view text, std::string const& source) {
  // A parser would also skip a byte order mark; the format says that the first byte is a brace.
  if (text.empty() || text.front() != '{')
    fail(source, "its header does not begin with '{'; expected a JSON object");
  header_check check(source);
  json::sax_parse(text.begin(), text.end(), &check);
  return json::parse(text.begin(), text.end());
}

tensor_entry parse_entry(std::string const& name, json const& value, std::uint64_t data_size,
                         std::string const& source) {
  auto wrong = [&](std::string const& why) {
    fail(source, "tensor " + in_quotes(name) + " " + why);
  };
  auto is_unsigned = [](json const& number) { return number.is_number_unsigned(); };

  if (!value.is_object()) wrong("is not a JSON object; expected dtype, shape and data_offsets");
  for (auto const& [key, ignored] : value.items())
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      wrong("has the key " + in_quotes(key) + "; expected only dtype, shape and data_offsets");
  for (auto key : {"dtype", "shape", "data_offsets"})
    if (!value.contains(key)) wrong(std::string("has no ") + key);

  auto const& dtype = value.at("dtype");
  if (!dtype.is_string()) wrong("has a dtype that is not a string");
  auto const dtype_name = dtype.get<std::string>();
  auto const found = std::find_if(dtype_rows.begin(), dtype_rows.end(),
                                  [&](auto const& known) { return known.name == dtype_name; });

  auto const& shape = value.at("shape");
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), is_unsigned))
    wrong("has a shape that is not a list of whole numbers from 0 on");
  auto const& offsets = value.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 ||
      !std::all_of(offsets.begin(), offsets.end(), is_unsigned))
    wrong("has data_offsets that are not two whole numbers from 0 on");

  tensor_entry result{name,
                      dtype_name,
                      {},
                      shape.get<extents>(),
                      offsets[0].get<std::uint64_t>(),
                      offsets[1].get<std::uint64_t>()};
  auto const range = std::to_string(result.begin) + " to " + std::to_string(result.end);
  if (result.begin > result.end) wrong("begins behind its end, at " + range);
  if (result.end > data_size)
    wrong("lies at " + range + ", outside the file's " + std::to_string(data_size) +
          " bytes of data");
  if (found == dtype_rows.end()) return result;  // how long an element is, who asks for it may know
  result.dtype = static_cast<tensor_dtype>(found - dtype_rows.begin());
  auto with_bytes = result.shape;
  with_bytes.push_back(found->size);
  auto const size = element_count(with_bytes);
  if (!size) wrong("has the shape " + to_text(result.shape) + ", more bytes than memory can hold");
  if (result.end - result.begin != *size)
    wrong("has " + std::to_string(result.end - result.begin) + " bytes; expected " +
          std::to_string(*size) + " for " + dtype_name + to_text(result.shape));
  return result;
}

void check_finite(tensor const& given, std::string const& source) {
  auto const [name, size, exponent] = row(given.dtype);
  if (exponent == 0) return;
  auto const bytes = std::span(given.bytes);
  for (std::size_t i = 0; i * size < bytes.size(); ++i)
    if ((little_endian(bytes.subspan(i * size, size)) & exponent) == exponent)
      throw error("'" + source + "': tensor " + in_quotes(given.name) +
                  " holds a value that is not finite at index " + std::to_string(i) +
                  "; expected finite numbers");
}

constexpr std::size_t prefix_size = 8;  // the header's length

/// What a file is by its first bytes, where it is often taken for one of ours.
std::string beginning_of(std::span<std::byte const> content) {
  std::string_view const first(reinterpret_cast<char const*>(content.data()), prefix_size);
  if (first.starts_with("\x89PNG")) return "as a PNG does";
  if (first.starts_with("\xff\xd8\xff")) return "as a JPEG does";
  if (first.starts_with("\x93NUMPY")) return "as an .npy does";
  if (first.starts_with("PK")) return "as a zip does, which a file of PyTorch is";
  return "with other bytes";
}

/// The header's length of a file of `size` bytes, by its first ones.
std::size_t header_length(std::span<std::byte const> content, std::uint64_t size,
                          std::string const& source) {
  if (size < prefix_size)
    fail(source,
         "it has " + std::to_string(size) + " bytes; expected 8 for the length of its header");
  auto const length = little_endian(content.first(prefix_size));
  if (length > max_safetensors_header)
    throw error("'" + source + "' is no safetensors file: it begins " + beginning_of(content) +
                "; expected one, which begins with the length of its header, at most " +
                std::to_string(max_safetensors_header) + " bytes");
  if (length > size - prefix_size)
    fail(source, "its header is said to have " + std::to_string(length) + " bytes, but only " +
                     std::to_string(size - prefix_size) + " follow");
  return static_cast<std::size_t>(length);
}

struct header {
  std::map<std::string, std::string> metadata;
  std::vector<tensor_entry> tensors;
};

header parse_header(std::span<std::byte const> text, std::uint64_t data_size,
                    std::string const& source) {
  header result;
  auto& entries = result.tensors;
  auto const parsed = parse_json({reinterpret_cast<char const*>(text.data()), text.size()}, source);
  for (auto const& [name, value] : parsed.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value, data_size, source));
      continue;
    }
    if (value.is_null()) continue;  // as some writers say that there is none
    if (!value.is_object()) fail(source, "__metadata__ is not a JSON object of strings");
    for (auto const& [key, words] : value.items()) {
      if (!words.is_string())
        fail(source, "__metadata__ holds under " + in_quotes(key) + " what is not a string");
      result.metadata.emplace(key, words.get<std::string>());
    }
  }

  // Stable: tensors without elements share a place, and stay in the order of their names.
  std::stable_sort(entries.begin(), entries.end(),
                   [](tensor_entry const& a, tensor_entry const& b) {
                     return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
                   });
  std::uint64_t used = 0;
  for (auto const& next : entries) {
    if (next.begin != used)
      fail(source, "tensor " + in_quotes(next.name) + " begins at " + std::to_string(next.begin) +
                       (next.begin < used ? ", within the tensor before it" : ", behind a hole") +
                       "; expected " + std::to_string(used));
    used = next.end;
  }
  if (used != data_size)
    fail(source, "its tensors end at " + std::to_string(used) + " and leave a hole; expected " +
                     std::to_string(data_size) + ", the end of the file");
  return result;
}

std::string known_dtypes() {
  std::string text;
  for (auto const& known : dtype_rows) text += (text.empty() ? "" : ", ") + std::string(known.name);
  return text;
}

constexpr std::array float_dtypes{tensor_dtype::f32, tensor_dtype::f16, tensor_dtype::bf16};

template <class T> std::vector<float> widened(std::span<std::byte const> bytes) {
  std::vector<float> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = to_float(value);
  }
  return values;
}

/// The one of that name, shape and one of the dtypes, or a sentence.
template <class Named>
Named const& find(std::vector<Named> const& tensors, std::string const& source,
                  std::string_view name, std::span<tensor_dtype const> allowed,
                  std::span<std::size_t const> shape, auto dtype_name) {
  std::string expected;
  for (auto dtype : allowed)
    expected += (expected.empty() ? "" : ", ") + std::string(to_text(dtype)) + to_text(shape);
  auto const found = std::ranges::find(tensors, name, &Named::name);
  if (found == tensors.end()) {
    std::vector<std::string_view> names;
    for (auto const& next : tensors) names.push_back(next.name);
    auto const near = nearest(name, names);
    throw error("'" + source + "' has no tensor " + in_quotes(name) + "; expected one of " +
                expected + (near ? "; did you mean " + in_quotes(*near) + "?" : ""));
  }
  auto const wrong = [&](std::string const& what) {
    throw error("'" + source + "': tensor " + in_quotes(name) + " has the " + what);
  };
  if (std::ranges::find_if(allowed, [&](tensor_dtype d) { return found->dtype == d; }) ==
      allowed.end())
    wrong("dtype " + std::string(dtype_name(*found)) + "; expected " + expected);
  if (!std::ranges::equal(shape, found->shape))
    wrong("shape " + to_text(found->shape) + "; expected " + to_text(shape));
  return *found;
}

void check_names(std::vector<std::string_view> const& given, std::span<std::string const> names,
                 std::string const& source) {
  std::set<std::string_view> const expected(names.begin(), names.end());
  std::set<std::string_view> const there(given.begin(), given.end());
  std::vector<std::string_view> missing;
  for (auto name : expected)
    if (!there.contains(name)) missing.push_back(name);
  for (auto name : given)
    if (!expected.contains(name)) {
      auto const near = nearest(name, missing);
      throw error("'" + source + "' has the extra tensor " + in_quotes(name) +
                  "; expected only the " + std::to_string(expected.size()) + " that are asked for" +
                  (near ? "; did you mean " + in_quotes(*near) + "?" : ""));
    }
  if (!missing.empty())
    throw error("'" + source + "' has no tensor " + in_quotes(missing.front()) +
                "; expected all of the " + std::to_string(expected.size()) + " that are asked for");
}

}  // namespace

std::string_view to_text(tensor_dtype dtype) { return row(dtype).name; }
std::size_t size_of(tensor_dtype dtype) { return row(dtype).size; }

safetensors_file::safetensors_file(std::filesystem::path const& path,
                                   safetensors_options const& options)
    : file_(path, options.max_bytes),
      source_(path.string()),
      must_be_finite_(options.must_be_finite) {
  std::array<std::byte, prefix_size> first{};
  if (file_.size() >= prefix_size) file_.read(0, first);
  buffer text(header_length(std::span(first), file_.size(), source_));
  file_.read(prefix_size, text);
  data_begin_ = prefix_size + text.size();
  auto parsed = parse_header(text, file_.size() - data_begin_, source_);
  metadata_ = std::move(parsed.metadata);
  tensors_ = std::move(parsed.tensors);
}

tensor_entry const& safetensors_file::expect(std::string_view name,
                                             std::span<tensor_dtype const> dtypes,
                                             std::span<std::size_t const> shape) const {
  return find(tensors_, source_, name, dtypes, shape, [](tensor_entry const& next) {
    return next.dtype ? next.dtype_name : in_quotes(next.dtype_name);
  });
}

void safetensors_file::expect_names(std::span<std::string const> names) const {
  std::vector<std::string_view> given;
  for (auto const& next : tensors_)
    if (next.dtype || std::ranges::find(names, next.name) != names.end())
      given.push_back(next.name);
  check_names(given, names, source_);
}

tensor safetensors_file::read(tensor_entry const& entry) const {
  if (!entry.dtype)
    throw error("'" + source_ + "': tensor " + in_quotes(entry.name) + " has the dtype " +
                in_quotes(entry.dtype_name) + "; expected one of " + known_dtypes());
  tensor result{entry.name, *entry.dtype, entry.shape,
                buffer(static_cast<std::size_t>(entry.end - entry.begin))};
  file_.read(data_begin_ + entry.begin, result.bytes);
  if (must_be_finite_) check_finite(result, source_);
  return result;
}

std::vector<float> safetensors_file::floats(std::string_view name, extents const& shape) const {
  auto const found = read(expect(name, float_dtypes, shape));
  if (found.dtype == tensor_dtype::f16) return widened<float16>(found.bytes);
  if (found.dtype == tensor_dtype::bf16) return widened<bfloat16>(found.bytes);
  return widened<float>(found.bytes);
}

tensor_file safetensors_file::read_all() const {
  tensor_file all;
  all.source = source_;
  all.metadata = metadata_;
  for (auto const& next : tensors_)
    if (next.dtype) all.tensors.push_back(read(next));
  return all;
}

tensor_file parse_safetensors(std::span<std::byte const> content, std::string const& source,
                              safetensors_options const& options) {
  auto const length = header_length(content, content.size(), source);
  auto const data = content.subspan(prefix_size + length);
  auto parsed = parse_header(content.subspan(prefix_size, length), data.size(), source);
  tensor_file all;
  all.source = source;
  all.metadata = std::move(parsed.metadata);
  for (auto const& next : parsed.tensors) {
    if (!next.dtype) continue;
    auto const bytes = data.subspan(static_cast<std::size_t>(next.begin),
                                    static_cast<std::size_t>(next.end - next.begin));
    all.tensors.push_back({next.name, *next.dtype, next.shape, buffer(bytes.begin(), bytes.end())});
    if (options.must_be_finite) check_finite(all.tensors.back(), source);
  }
  return all;
}

tensor_file read_safetensors(std::filesystem::path const& path,
                             safetensors_options const& options) {
  return safetensors_file(path, options).read_all();
}

namespace {

constexpr char const* checksum_key = "checksum";

/// CRC-32 of all texts but the checksum itself, by their names, and of all tensors, by theirs.
/// Before each text goes its length, so that none can pass into the next.
std::string checksum_of(tensor_file const& file) {
  uLong crc = crc32_z(0, nullptr, 0);
  auto const add_bytes = [&](std::span<std::byte const> bytes) {
    crc = crc32_z(crc, reinterpret_cast<Bytef const*>(bytes.data()), bytes.size());
  };
  auto const add_number = [&](std::uint64_t number) {
    add_bytes(std::as_bytes(std::span(&number, 1)));
  };
  auto const add_text = [&](std::string_view text) {
    add_number(text.size());
    add_bytes(std::as_bytes(std::span(text)));
  };
  std::map<std::string_view, tensor const*> by_name;
  for (auto const& next : file.tensors) by_name[next.name] = &next;
  for (auto const& [key, text] : file.metadata) {
    if (key == checksum_key) continue;
    add_text(key);
    add_text(text);
  }
  for (auto const& [name, next] : by_name) {
    add_text(name);
    add_text(to_text(next->dtype));
    add_number(next->shape.size());
    for (auto size : next->shape) add_number(size);
    add_bytes(next->bytes);
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "crc32 ";
  for (int shift = 28; shift >= 0; shift -= 4) text += digits[crc >> shift & 15];
  return text;
}

}  // namespace

void seal(tensor_file& file) { file.metadata[checksum_key] = checksum_of(file); }

void expect_sealed(tensor_file const& file) {
  auto const found = file.metadata.find(checksum_key);
  if (found == file.metadata.end())
    throw error("'" + file.source + "' has no checksum in its metadata; expected one");
  if (auto const actual = checksum_of(file); found->second != actual)
    throw error("'" + file.source + "' was changed since it was written: its checksum is " +
                in_quotes(found->second) + "; expected " + in_quotes(actual));
}

namespace {

/// Header and tensors as the parts of a file.
struct layout {
  std::string header;  ///< with the length before it
  std::vector<std::span<std::byte const>> parts;
};

layout lay_out(tensor_file const& file, std::string const& target) {
  auto wrong = [&](std::string const& why) {
    throw error("cannot write '" + target + "' as safetensors: " + why);
  };
  std::vector<tensor const*> order;
  for (auto const& next : file.tensors) order.push_back(&next);
  std::stable_sort(order.begin(), order.end(), [](tensor const* a, tensor const* b) {
    return size_of(a->dtype) > size_of(b->dtype);
  });

  layout result;
  result.parts.emplace_back();  // the header's place
  auto& text = result.header;
  std::set<std::string_view> names;
  std::uint64_t used = 0;
  try {
    // Written piece by piece, since a JSON object would sort the tensors by name.
    if (!file.metadata.empty()) text = "\"__metadata__\":" + json(file.metadata).dump();
    for (auto const* next : order) {
      if (next->name == "__metadata__") wrong("a tensor is named __metadata__, which is reserved");
      if (!names.insert(next->name).second)
        wrong("two tensors are named " + in_quotes(next->name) + "; expected each name once");
      auto bytes = next->shape;
      bytes.push_back(size_of(next->dtype));
      if (element_count(bytes) != next->bytes.size())
        wrong("tensor " + in_quotes(next->name) + " has " + std::to_string(next->bytes.size()) +
              " bytes; expected as many as " + std::string(to_text(next->dtype)) +
              to_text(next->shape) + " has");
      json const value{{"dtype", to_text(next->dtype)},
                       {"shape", next->shape},
                       {"data_offsets", {used, used + next->bytes.size()}}};
      text += (text.empty() ? "" : ",") + json(next->name).dump() + ":" + value.dump();
      used += next->bytes.size();
      result.parts.push_back(next->bytes);
    }
  } catch (json::exception const& reason) {
    wrong(std::string("a name or a text is not UTF-8 (") + reason.what() + ")");
  }
  text = "{" + text + "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::uint64_t const length = text.size();
  if (length > max_safetensors_header)
    wrong("its header would have " + std::to_string(length) + " bytes; expected at most " +
          std::to_string(max_safetensors_header));
  std::array<char, 8> prefix{};
  std::memcpy(prefix.data(), &length, prefix.size());
  text.insert(0, prefix.data(), prefix.size());
  return result;
}

}  // namespace

buffer to_safetensors(tensor_file const& file) {
  auto laid_out = lay_out(file, file.source);
  laid_out.parts.front() = std::as_bytes(std::span(laid_out.header));
  buffer content;
  for (auto part : laid_out.parts) content.insert(content.end(), part.begin(), part.end());
  return content;
}

void write_safetensors(std::filesystem::path const& path, tensor_file const& file) {
  auto laid_out = lay_out(file, path.string());
  laid_out.parts.front() = std::as_bytes(std::span(laid_out.header));
  write_file(path, laid_out.parts);
}

tensor const& expect_tensor(tensor_file const& file, std::string_view name, tensor_dtype dtype,
                            std::span<std::size_t const> shape) {
  return find(file.tensors, file.source, name, std::span(&dtype, 1), shape,
              [](tensor const& next) { return to_text(next.dtype); });
}

void expect_names(tensor_file const& file, std::span<std::string const> names) {
  std::vector<std::string_view> given;
  for (auto const& next : file.tensors) given.push_back(next.name);
  check_names(given, names, file.source);
}

}  // namespace tweedie::io
