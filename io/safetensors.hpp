#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/extents.hpp>
#include <tweedie/io/file.hpp>
#include <utility>
#include <vector>

namespace tweedie::io {

// safetensors (huggingface/safetensors, README.md, "Format"): the length N of the header as a
// little-endian 64-bit number; N bytes of JSON, padded with spaces, that give each name its dtype,
// its shape and the begin and end of its bytes; then the bytes of all tensors, little-endian and
// row-major, without holes. The key __metadata__ holds strings by name.
static_assert(std::endian::native == std::endian::little,
              "tensors are copied between file and memory as they are: expected little-endian");

/// The header of a file may be this long, as in the reference implementation.
inline constexpr std::uint64_t max_safetensors_header = 100'000'000;

enum class tensor_dtype { boolean, u8, i8, i16, u16, f16, bf16, i32, u32, f32, f64, i64, u64 };

/// The format's name of it: "F32".
std::string_view to_text(tensor_dtype dtype);
/// Bytes per element.
std::size_t size_of(tensor_dtype dtype);

/// The dtype that C++ has a type for.
template <class T>
inline constexpr tensor_dtype dtype_of = [] { static_assert(sizeof(T) == 0, "no such dtype"); }();
template <> inline constexpr tensor_dtype dtype_of<float> = tensor_dtype::f32;
template <> inline constexpr tensor_dtype dtype_of<double> = tensor_dtype::f64;
template <> inline constexpr tensor_dtype dtype_of<std::int64_t> = tensor_dtype::i64;
template <> inline constexpr tensor_dtype dtype_of<std::uint64_t> = tensor_dtype::u64;
template <> inline constexpr tensor_dtype dtype_of<std::int32_t> = tensor_dtype::i32;
template <> inline constexpr tensor_dtype dtype_of<std::uint8_t> = tensor_dtype::u8;

/// A text from a file as a sentence may print it: quoted, control characters escaped, and not
/// longer than a line.
std::string in_quotes(std::string_view text);

struct tensor {
  std::string name;
  tensor_dtype dtype = tensor_dtype::f32;
  extents shape;
  buffer bytes;
};

/// What a header says of a tensor.
struct tensor_entry {
  std::string name;
  std::string dtype_name;             ///< the file's
  std::optional<tensor_dtype> dtype;  ///< nothing where it is none of those above
  extents shape;
  std::uint64_t begin = 0, end = 0;  ///< of its bytes, counted from the header's end
};

/// Tensors in the order of their bytes. `source` is what error sentences call the file.
struct tensor_file {
  std::vector<tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::string source = "safetensors";
};

struct safetensors_options {
  std::uint64_t max_bytes = std::uint64_t{16} << 30;
  bool must_be_finite = true;  ///< refuse a NaN or an infinity in a tensor of floating point
};

/// A file whose header was read and checked against the file's size. Its tensors are read when they
/// are asked for, so that what is no file of the caller's costs no more than its header.
class safetensors_file {
 public:
  /// Throws `error` where the header breaks any rule of the format.
  explicit safetensors_file(std::filesystem::path const& path,
                            safetensors_options const& options = {});

  std::string const& source() const { return source_; }
  std::map<std::string, std::string> const& metadata() const { return metadata_; }
  /// In the order of their bytes.
  std::vector<tensor_entry> const& tensors() const { return tensors_; }

  /// The entry of that name and shape, and of one of the dtypes; nothing of it is read. Throws
  /// `error` where one of them is another.
  tensor_entry const& expect(std::string_view name, std::span<tensor_dtype const> dtypes,
                             std::span<std::size_t const> shape) const;
  /// Throws `error` where a tensor is missing, or one is there that is not in `names`. One of a
  /// dtype that is not known is not missed and does not disturb.
  void expect_names(std::span<std::string const> names) const;

  /// One tensor. Throws `error` where its dtype is not known or a value is not finite.
  tensor read(tensor_entry const& entry) const;
  /// As float, from F32, F16 or BF16, which widens exactly.
  std::vector<float> floats(std::string_view name, extents const& shape) const;
  /// All of them, but for those of a dtype that is not known.
  tensor_file read_all() const;

 private:
  input_file file_;
  std::string source_;
  bool must_be_finite_;
  std::uint64_t data_begin_ = 0;
  std::map<std::string, std::string> metadata_;
  std::vector<tensor_entry> tensors_;
};

/// The whole of a file, as `safetensors_file::read_all` has it. Throw `error` where the content
/// breaks any rule of the format, or a value is not finite.
tensor_file parse_safetensors(std::span<std::byte const> content, std::string const& source,
                              safetensors_options const& options = {});
tensor_file read_safetensors(std::filesystem::path const& path,
                             safetensors_options const& options = {});

/// Writes atomically and always the same bytes: widest dtypes first, so that every tensor is
/// aligned, otherwise in the given order. Throws `error` where a name is taken twice or reserved, a
/// text is not UTF-8, or the bytes do not fit the shape; then no file is touched.
void write_safetensors(std::filesystem::path const& path, tensor_file const& file);
buffer to_safetensors(tensor_file const& file);

/// Puts a checksum of all texts and tensors into the metadata.
void seal(tensor_file& file);
/// Throws `error` where there is none, or where the file is not what it was when it was sealed.
void expect_sealed(tensor_file const& file);

/// The tensor of that name, dtype and shape. Throws `error` where one of them is another.
tensor const& expect_tensor(tensor_file const& file, std::string_view name, tensor_dtype dtype,
                            std::span<std::size_t const> shape);

/// Throws `error` where a tensor is missing, or one is there that is not in `names`.
void expect_names(tensor_file const& file, std::span<std::string const> names);

/// A copy of the elements, row-major. Throws as `expect_tensor` does.
template <class T>
std::vector<T> values(tensor_file const& file, std::string_view name, extents const& shape) {
  auto const& found = expect_tensor(file, name, dtype_of<T>, shape);
  std::vector<T> elements(found.bytes.size() / sizeof(T));
  if (!elements.empty()) std::memcpy(elements.data(), found.bytes.data(), found.bytes.size());
  return elements;
}

inline std::vector<float> floats(tensor_file const& file, std::string_view name,
                                 extents const& shape) {
  return values<float>(file, name, shape);
}

/// A tensor that holds a copy of the elements. Throws `error` where they are not as many as the
/// shape says.
template <class T>
tensor make_tensor(std::string name, extents shape, std::span<T const> elements) {
  if (element_count(shape) != elements.size())
    throw error("tensor '" + name + "' was given " + std::to_string(elements.size()) +
                " elements; expected as many as the shape " + to_text(shape) + " has");
  auto const bytes = std::as_bytes(elements);
  return {std::move(name), dtype_of<T>, std::move(shape), buffer(bytes.begin(), bytes.end())};
}

}  // namespace tweedie::io
