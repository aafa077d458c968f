#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tweedie/io/safetensors.hpp>

namespace tweedie::io {
namespace {

using nlohmann::json;

struct dtype_row {
  std::string_view name;
  std::size_t size;
  std::uint64_t exponent;  ///< all of these bits set: infinite or NaN; 0: always finite
};

/// In the order of `tensor_dtype`.
constexpr std::array<dtype_row, 13> dtypes{{{"BOOL", 1, 0},
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
  return dtypes[static_cast<std::size_t>(dtype)];
}

/// A text from a file as a sentence may print it: quoted, and control characters escaped.
std::string in_quotes(std::string_view text) {
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
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

json parse_header(std::string_view text, std::string const& source) {
  // A parser would also skip a byte order mark; the format says that the first byte is a brace.
  if (text.empty() || text.front() != '{')
    fail(source, "its header does not begin with '{'; expected a JSON object");
  header_check check(source);
  json::sax_parse(text.begin(), text.end(), &check);
  return json::parse(text.begin(), text.end());
}

/// A tensor of the header, its bytes still in the file.
struct entry {
  std::string name;
  tensor_dtype dtype;
  extents shape;
  std::uint64_t begin, end;
};

entry parse_entry(std::string const& name, json const& value, std::uint64_t data_size,
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
  auto const found = std::find_if(dtypes.begin(), dtypes.end(),
                                  [&](auto const& known) { return known.name == dtype_name; });
  if (found == dtypes.end())
    wrong("has the unknown dtype " + in_quotes(dtype_name) +
          "; expected one of BOOL, U8, I8, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64");

  auto const& shape = value.at("shape");
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), is_unsigned))
    wrong("has a shape that is not a list of whole numbers from 0 on");
  auto const& offsets = value.at("data_offsets");
  if (!offsets.is_array() || offsets.size() != 2 ||
      !std::all_of(offsets.begin(), offsets.end(), is_unsigned))
    wrong("has data_offsets that are not two whole numbers from 0 on");

  entry result{name, static_cast<tensor_dtype>(found - dtypes.begin()), shape.get<extents>(),
               offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  auto const range = std::to_string(result.begin) + " to " + std::to_string(result.end);
  if (result.begin > result.end) wrong("begins behind its end, at " + range);
  if (result.end > data_size)
    wrong("lies at " + range + ", outside the file's " + std::to_string(data_size) +
          " bytes of data");
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

}  // namespace

std::string_view to_text(tensor_dtype dtype) { return row(dtype).name; }
std::size_t size_of(tensor_dtype dtype) { return row(dtype).size; }

tensor_file parse_safetensors(std::span<std::byte const> content, std::string const& source,
                              safetensors_options const& options) {
  constexpr std::size_t prefix = 8;
  if (content.size() < prefix)
    fail(source, "it has " + std::to_string(content.size()) +
                     " bytes; expected 8 for the length of its header");
  auto const length = little_endian(content.first(prefix));
  if (length > max_safetensors_header)
    fail(source, "its header is said to have " + std::to_string(length) +
                     " bytes; expected at most " + std::to_string(max_safetensors_header));
  if (length > content.size() - prefix)
    fail(source, "its header is said to have " + std::to_string(length) + " bytes, but only " +
                     std::to_string(content.size() - prefix) + " follow");
  auto const text = content.subspan(prefix, static_cast<std::size_t>(length));
  auto const data = content.subspan(prefix + text.size());
  auto const header =
      parse_header({reinterpret_cast<char const*>(text.data()), text.size()}, source);

  tensor_file file;
  file.source = source;
  std::vector<entry> entries;
  for (auto const& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(parse_entry(name, value, data.size(), source));
      continue;
    }
    if (!value.is_object()) fail(source, "__metadata__ is not a JSON object of strings");
    for (auto const& [key, words] : value.items()) {
      if (!words.is_string())
        fail(source, "__metadata__ holds under " + in_quotes(key) + " what is not a string");
      file.metadata.emplace(key, words.get<std::string>());
    }
  }

  // Stable: tensors without elements share a place, and stay in the order of their names.
  std::stable_sort(entries.begin(), entries.end(), [](entry const& a, entry const& b) {
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
  if (used != data.size())
    fail(source, "its tensors end at " + std::to_string(used) + " and leave a hole; expected " +
                     std::to_string(data.size()) + ", the end of the file");

  file.tensors.reserve(entries.size());
  for (auto& next : entries) {
    auto const bytes = data.subspan(static_cast<std::size_t>(next.begin),
                                    static_cast<std::size_t>(next.end - next.begin));
    file.tensors.push_back({std::move(next.name), next.dtype, std::move(next.shape),
                            buffer(bytes.begin(), bytes.end())});
    if (options.must_be_finite) check_finite(file.tensors.back(), source);
  }
  return file;
}

tensor_file read_safetensors(std::filesystem::path const& path,
                             safetensors_options const& options) {
  return parse_safetensors(read_file(path, options.max_bytes), path.string(), options);
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
  auto const found = std::find_if(file.tensors.begin(), file.tensors.end(),
                                  [&](tensor const& next) { return next.name == name; });
  auto const expected = std::string(to_text(dtype)) + to_text(shape);
  if (found == file.tensors.end())
    throw error("'" + file.source + "' has no tensor " + in_quotes(name) + "; expected one of " +
                expected);
  if (found->dtype != dtype)
    throw error("'" + file.source + "': tensor " + in_quotes(name) + " has the dtype " +
                std::string(to_text(found->dtype)) + "; expected " + expected);
  if (!std::equal(shape.begin(), shape.end(), found->shape.begin(), found->shape.end()))
    throw error("'" + file.source + "': tensor " + in_quotes(name) + " has the shape " +
                to_text(found->shape) + "; expected " + to_text(shape));
  return *found;
}

void expect_names(tensor_file const& file, std::span<std::string const> names) {
  std::set<std::string_view> const expected(names.begin(), names.end());
  std::set<std::string_view> given;
  for (auto const& next : file.tensors) {
    given.insert(next.name);
    if (!expected.contains(next.name))
      throw error("'" + file.source + "' has the extra tensor " + in_quotes(next.name) +
                  "; expected only the " + std::to_string(expected.size()) + " that are asked for");
  }
  for (auto name : expected)
    if (!given.contains(name))
      throw error("'" + file.source + "' has no tensor " + in_quotes(name) +
                  "; expected all of the " + std::to_string(expected.size()) +
                  " that are asked for");
}

}  // namespace tweedie::io
