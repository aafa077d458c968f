#include "training_data.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <span>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/jpeg.hpp>
#include <tweedie/io/npy.hpp>
#include <tweedie/io/safetensors.hpp>

#include "interrupt.hpp"
#include "progress.hpp"
#include "say.hpp"
#include "settings.hpp"

namespace tweedie::tool {
namespace {

namespace fs = std::filesystem;
using octets = std::vector<std::uint8_t>;

constexpr std::size_t most_named = 20;  // of the pictures that cannot be read

std::uint8_t byte_of(float value) {
  return static_cast<std::uint8_t>(std::lround((value + 1) * 127.5f));
}

// --- a folder

/// A file that may be a picture.
struct entry {
  fs::path path;
  std::string name;  ///< below the folder
  int label = 0;
};

/// What a folder has.
struct listing {
  std::vector<entry> entries;
  std::vector<std::string> classes;
  std::size_t passed_over = 0;  ///< other files
};

bool is_picture_name(fs::path const& path) {
  auto ending = path.extension().string();
  for (char& c : ending) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

bool is_hidden(fs::path const& path) { return path.filename().string().starts_with('.'); }

[[noreturn]] void cannot_list(fs::path const& folder, std::error_code const& code) {
  throw error(fmt::format("the folder '{}' cannot be listed ({}); expected one that may be read",
                          folder.string(), code.message()));
}

/// Says what is left out of a link: one that leads nowhere, or to a folder below the classes.
bool is_link_left_out(fs::directory_entry const& one, bool follows_folders) {
  std::error_code ignored;
  if (!one.is_symlink(ignored)) return false;
  if (!one.exists(ignored)) {
    say("'{}' is a link that leads nowhere: left out\n", one.path().string());
    return true;
  }
  if (follows_folders || !one.is_directory(ignored)) return false;
  say("'{}' is a link to a folder, which is not followed: left out\n", one.path().string());
  return true;
}

/// The pictures at any depth, by name.
std::vector<entry> pictures_below(fs::path const& root, fs::path const& folder, int label,
                                  std::size_t& passed_over) {
  std::vector<entry> found;
  std::error_code code;
  fs::recursive_directory_iterator at(folder, code);
  if (code) cannot_list(folder, code);
  while (at != fs::recursive_directory_iterator()) {
    std::error_code ignored;
    if (is_hidden(at->path())) {
      if (at->is_directory(ignored)) at.disable_recursion_pending();
    } else if (!is_link_left_out(*at, false) && at->is_regular_file(ignored)) {
      if (is_picture_name(at->path()))
        found.push_back({at->path(), at->path().lexically_relative(root).string(), label});
      else ++passed_over;
    }
    auto const here = at->path();
    at.increment(code);
    if (code) cannot_list(here, code);
  }
  std::ranges::sort(found, {}, &entry::name);
  return found;
}

/// A class must be a name that a model file can hold and --label can say.
void check_class_name(fs::path const& folder, std::string const& name) {
  auto const refuse = [&](std::string const& why) {
    throw error(
        fmt::format("the folder {} in '{}' would be a class of that name, {}; expected "
                    "another name",
                    io::in_quotes(name), folder.string(), why));
  };
  if (name == "all" || name == "none") refuse("which --label takes for " + name + " classes");
  if (name.find(',') != std::string::npos) refuse("which --label would part at its comma");
  io::tensor_file holder;
  holder.metadata["class"] = name;
  try {
    io::to_safetensors(holder);
  } catch (error const&) {
    refuse("which is not UTF-8");
  }
}

listing list_folder(fs::path const& folder) {
  listing all;
  std::error_code code;
  std::vector<fs::path> folders;
  fs::path a_picture;
  fs::directory_iterator at(folder, code);
  if (code) cannot_list(folder, code);
  for (; at != fs::directory_iterator(); at.increment(code)) {
    if (code) cannot_list(folder, code);
    std::error_code ignored;
    if (is_hidden(at->path()) || is_link_left_out(*at, true)) continue;
    if (at->is_directory(ignored)) folders.push_back(at->path());
    else if (at->is_regular_file(ignored) && is_picture_name(at->path())) a_picture = at->path();
    else ++all.passed_over;
  }
  std::ranges::sort(folders);
  std::vector<std::vector<entry>> of_class;
  for (auto const& one : folders) {
    auto found = pictures_below(folder, one, static_cast<int>(of_class.size()), all.passed_over);
    if (found.empty()) {
      say("'{}' has no picture, and is no class\n", one.string());
      continue;
    }
    all.classes.push_back(one.filename().string());
    of_class.push_back(std::move(found));
  }
  if (!a_picture.empty() && !of_class.empty())
    throw error(fmt::format(
        "'{}' has pictures, such as '{}', and folders of pictures, such as '{}'; expected either "
        "pictures, or folders whose names are the classes",
        folder.string(), a_picture.filename().string(), all.classes[0]));
  if (!a_picture.empty()) {
    all.passed_over = 0;
    of_class.push_back(pictures_below(folder, folder, 0, all.passed_over));
  }
  if (of_class.empty())
    throw error(fmt::format(
        "'{}' has no pictures; expected PNG or JPEG files, or folders of them whose names are the "
        "classes, or the files of Fashion-MNIST",
        folder.string()));
  for (auto const& name : all.classes) check_class_name(folder, name);
  // One of each class in turn, so that the first so many are of all.
  for (std::size_t i = 0, more = 1; more; ++i) {
    more = 0;
    for (auto& one : of_class)
      if (i < one.size()) {
        all.entries.push_back(std::move(one[i]));
        ++more;
      }
  }
  return all;
}

/// One that was decoded, or why it was not.
struct decoded {
  octets bytes;
  std::size_t channels = 0;
  std::string why_not;
};

decoded decode(entry const& e, data_options const& o, std::size_t size) {
  decoded d;
  try {
    auto picture = io::read_picture(e.path);
    if (o.channels == 1) picture = io::to_gray(picture);
    d.channels = picture.shape.channels;
    for (float v : io::to_square(picture, size, o.fit)) d.bytes.push_back(byte_of(v));
  } catch (error const& why) {
    d.why_not = why.what();
  } catch (std::bad_alloc const&) {
    d.why_not = fmt::format("'{}': there is not enough memory for it", e.path.string());
  }
  return d;
}

bool has_colour(octets const& bytes) {
  std::size_t const n = bytes.size() / 3;
  auto const at = [&](std::size_t channel) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(channel * n);
  };
  return !std::equal(at(0), at(1), at(1)) || !std::equal(at(0), at(1), at(2));
}

void add(octets& to, octets const& bytes, std::size_t given, std::size_t channels) {
  std::size_t const n = bytes.size() / given;
  for (std::size_t c = 0; c < channels; ++c) {
    auto const begin = bytes.begin() + static_cast<std::ptrdiff_t>(given == 1 ? 0 : c * n);
    to.insert(to.end(), begin, begin + static_cast<std::ptrdiff_t>(n));
  }
}

/// Throws where they would not fit into memory: before hours of decoding.
void check_memory(std::string const& source, std::size_t count, std::size_t size) {
  double const bytes = 3.0 * static_cast<double>(count) * static_cast<double>(size * size);
  double const memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (memory > 0 && bytes > memory)
    throw error(
        fmt::format("'{}': {} pictures of {}x{} pixels take {:.3g} GB, this machine's "
                    "memory has {:.3g} GB; expected a smaller --size or a --limit",
                    source, count, size, size, bytes / 1e9, memory / 1e9));
}

// --- what was decoded, kept beside the training

std::string const cache_format = "tweedie pictures 1";

/// What decoded pictures depend on: the names, sizes and times of the files, and how they became
/// squares.
std::string key_of(std::vector<entry> const& entries, data_options const& o, std::size_t size) {
  hash h;
  for (auto const& e : entries) {
    std::error_code ignored;
    h.add(e.name);
    h.add(std::uint64_t{fs::file_size(e.path, ignored)});
    h.add(static_cast<std::uint64_t>(
        fs::last_write_time(e.path, ignored).time_since_epoch().count()));
  }
  return fmt::format("{} files {}, size {}, {}, {} channels, {}", entries.size(), h.text(), size,
                     o.fit == io::fit::crop ? "crop" : "pad", o.channels,
                     io::reads_jpeg() ? "with JPEG" : "without JPEG");
}

/// Throws where a file of another kind would be written over.
void check_cache(std::string const& path) {
  std::error_code ignored;
  if (path.empty() || !fs::exists(path, ignored)) return;
  std::string found;
  try {
    auto const metadata = io::safetensors_file(path).metadata();
    if (auto const at = metadata.find("format"); at != metadata.end()) found = at->second;
  } catch (error const&) {  // no file of ours, or half of one
  }
  if (found != cache_format)
    throw error(
        fmt::format("'{}' is there and holds no decoded pictures, which would be written "
                    "over it; expected another --out",
                    path));
}

std::optional<training_data> read_cache(std::string const& path, std::string const& key,
                                        std::size_t size) {
  std::error_code ignored;
  if (path.empty() || !fs::exists(path, ignored)) return std::nullopt;
  try {
    io::safetensors_file const opened(path);
    auto const& texts = opened.metadata();
    if (auto const at = texts.find("key"); at == texts.end() || at->second != key)
      return std::nullopt;
    auto const file = opened.read_all();
    io::expect_sealed(file);
    training_data d;
    auto const pixels = std::ranges::find(file.tensors, "pixels", &io::tensor::name);
    if (pixels == file.tensors.end() || pixels->shape.size() != 4) return std::nullopt;
    d.count = pixels->shape[0];
    d.channels = pixels->shape[1];
    d.size = size;
    d.pixels = io::values<std::uint8_t>(file, "pixels", {d.count, d.channels, size, size});
    auto const labels = io::values<std::int32_t>(file, "labels", {d.count});
    auto const list = [&](char const* what, std::vector<std::string>& to) {
      for (std::size_t i = 0;; ++i) {
        auto const at = texts.find(fmt::format("{} {}", what, i));
        if (at == texts.end()) return;
        to.push_back(at->second);
      }
    };
    list("class", d.classes);
    list("left out", d.left_out);
    if (!d.classes.empty()) d.labels.assign(labels.begin(), labels.end());
    for (int label : d.labels)
      if (label < 0 || static_cast<std::size_t>(label) >= d.classes.size()) return std::nullopt;
    if (d.count == 0 || (d.channels != 1 && d.channels != 3)) return std::nullopt;
    return d;
  } catch (error const&) {  // damaged: they are decoded again
    return std::nullopt;
  }
}

/// Nothing where it was interrupted.
std::optional<training_data> decode_all(listing const& all, data_options const& o,
                                        std::size_t size) {
  training_data d;
  d.size = size;
  d.classes = all.classes;
  std::vector<decoded> pictures;
  bool coloured = false;
  progress bar("decode", all.entries.size());
  for (auto const& e : all.entries) {
    if (interrupted()) return std::nullopt;
    auto one = decode(e, o, size);
    if (one.why_not.empty()) {
      coloured = coloured || (one.channels == 3 && has_colour(one.bytes));
      pictures.push_back(std::move(one));
      if (!d.classes.empty()) d.labels.push_back(e.label);
    } else {
      d.left_out.push_back(std::move(one.why_not));
    }
    bar.update(pictures.size() + d.left_out.size(), [] { return std::string("pictures"); });
  }
  d.count = pictures.size();
  d.channels = o.channels ? o.channels : coloured ? 3 : 1;
  octets bytes;
  bytes.reserve(d.count * d.elements());
  for (auto const& one : pictures) add(bytes, one.bytes, one.channels, d.channels);
  d.pixels = std::move(bytes);
  return d;
}

training_data read_folder(data_options const& o) {
  fs::path const folder = o.data;
  auto all = list_folder(folder);
  if (o.limit) all.entries.resize(std::min(all.entries.size(), o.limit));
  std::size_t const size = o.size ? o.size : usual_size, files = all.entries.size();
  check_memory(o.data, files, size);
  check_cache(o.cache);
  if (all.passed_over)
    say("'{}': {} file{} passed over that {} no PNG or JPEG by name\n", o.data, all.passed_over,
        all.passed_over == 1 ? "" : "s", all.passed_over == 1 ? "is" : "are");
  auto const key = key_of(all.entries, o, size);
  training_data d;
  if (auto found = read_cache(o.cache, key, size)) {
    d = std::move(*found);
  } else {
    auto fresh = decode_all(all, o, size);
    if (!fresh) return {};
    d = std::move(*fresh);
    d.key = key;
  }
  for (std::size_t i = 0; i < std::min(d.left_out.size(), most_named); ++i)
    say("left out: {}\n", d.left_out[i]);
  if (auto const n = d.left_out.size())
    say("{} of {} pictures left out{}\n", n, files,
        n > most_named ? fmt::format(", of which the first {} are named", most_named) : "");
  if (d.count == 0)
    throw error(fmt::format("'{}' has no picture that can be read; expected at least one", o.data));
  for (std::size_t k = 0; k < d.classes.size(); ++k)
    if (std::ranges::find(d.labels, static_cast<int>(k)) == d.labels.end())
      throw error(fmt::format(
          "the class '{}' of '{}' has no picture that can be read{}; expected at least one",
          d.classes[k], o.data, o.limit ? fmt::format(" among the first {}", o.limit) : ""));
  return d;
}

// --- an array

training_data read_array(data_options const& o) {
  auto const array = io::read_npy(o.data);
  auto const& s = array.shape;
  bool const bytes = std::holds_alternative<octets>(array.data);
  bool const fits = bytes ? s.size() == 3 || s.size() == 4 : s.size() == 4;
  auto const refuse = [&](std::string const& why) {
    throw error(
        fmt::format("'{}' {}; expected bytes (uint8) of shape [count, height, width] or "
                    "[count, height, width, channels], or floats in [-1, 1] of shape "
                    "[count, channels, height, width], with 1, 3 or 4 channels",
                    o.data, why));
  };
  if (std::holds_alternative<std::vector<io::truth>>(array.data)) refuse("holds truth values");
  if (!fits)
    refuse(fmt::format("holds {} of shape {}", bytes ? "bytes" : "floats", io::to_text(s)));
  std::size_t const given = s.size() == 3 ? 1 : bytes ? s[3] : s[1];
  std::size_t const height = bytes ? s[1] : s[2], width = bytes ? s[2] : s[3];
  if ((given != 1 && given != 3 && !(bytes && given == 4)) || height == 0 || width == 0)
    refuse(fmt::format("holds {} of shape {}", bytes ? "bytes" : "floats", io::to_text(s)));
  if (s[0] == 0) throw error(fmt::format("'{}' has no pictures; expected at least one", o.data));

  training_data d;
  d.count = o.limit ? std::min(o.limit, s[0]) : s[0];
  d.size = o.size ? o.size : std::min(height, width);
  std::size_t const pixels = height * width, colours = given == 1 ? 1 : 3;
  d.channels = o.channels ? o.channels : colours;
  check_memory(o.data, d.count * (bytes ? 1 : 4), d.size);
  auto const floats = bytes ? std::vector<float>() : array.floats();
  for (std::size_t i = 0; i < floats.size(); ++i)
    if (!(std::abs(floats[i]) <= 1))
      throw error(
          fmt::format("'{}': value {} is {}; expected floats in [-1, 1], or bytes (uint8) "
                      "from 0 to 255",
                      o.data, i, floats[i]));
  if (!bytes && std::ranges::none_of(floats, [](float v) { return v < 0; }))
    throw error(
        fmt::format("'{}' holds floats of which none is below 0, as pictures from 0 to 1 have "
                    "them; expected [-1, 1], black to white: 2 x - 1 of such, or bytes (uint8)",
                    o.data));
  octets all_bytes;
  std::vector<float> all_floats;
  for (std::size_t k = 0; k < d.count; ++k) {
    io::picture p{{1, colours, height, width}, std::vector<float>(colours * pixels), {}};
    if (bytes) {
      auto const* const from = std::get<octets>(array.data).data() + k * pixels * given;
      for (std::size_t i = 0; i < pixels; ++i)
        for (std::size_t c = 0; c < colours; ++c) {
          auto& v = p.values[c * pixels + i];
          v = static_cast<float>(2 * from[i * given + c] - 255) / 255.0f;
          if (given == 4) {  // over white
            float const opacity = static_cast<float>(from[i * given + 3]) / 255.0f;
            v = opacity * v + (1 - opacity);
          }
        }
    } else {
      std::copy_n(floats.begin() + static_cast<std::ptrdiff_t>(k * given * pixels), given * pixels,
                  p.values.begin());
    }
    if (d.channels == 1) p = io::to_gray(p);
    auto square =
        height == d.size && width == d.size ? std::move(p.values) : io::to_square(p, d.size, o.fit);
    std::size_t const copies = d.channels / (square.size() / (d.size * d.size));
    for (std::size_t copy = 0; copy < copies; ++copy)
      for (float v : square)
        if (bytes) all_bytes.push_back(byte_of(v));
        else all_floats.push_back(v);
  }
  if (bytes) d.pixels = std::move(all_bytes);
  else d.pixels = std::move(all_floats);
  return d;
}

training_data read_clothes(data_options const& o) {
  auto const folder =
      o.data == "fashion-mnist" ? fs::path(io::fashion_mnist_folder) : fs::path(o.data);
  auto const part = o.test_part ? io::fashion_mnist_part::test : io::fashion_mnist_part::train;
  auto given = io::read_fashion_mnist(part, folder);
  if (given.count == 0)
    throw error(fmt::format("'{}' has no pictures; expected at least one", folder.string()));
  if ((o.size && o.size != 28) || o.channels == 3)
    throw error(fmt::format(
        "pictures of {} channel(s) and {}x{} pixels were asked for of '{}', "
        "which has those of Fashion-MNIST, 1 and 28x28",
        o.channels ? o.channels : 1, o.size ? o.size : 28, o.size ? o.size : 28, o.data));
  training_data d;
  d.count = o.limit ? std::min(o.limit, given.count) : given.count;
  d.size = 28;
  given.images.resize(d.count * d.elements());
  d.pixels = std::move(given.images);
  d.labels.assign(given.labels.begin(),
                  given.labels.begin() + static_cast<std::ptrdiff_t>(d.count));
  d.classes.assign(io::fashion_mnist_classes.begin(), io::fashion_mnist_classes.end());
  return d;
}

}  // namespace

void training_data::copy(std::size_t i, bool flipped, float* to) const {
  std::visit(
      [&](auto const& all) {
        auto const* const from = all.data() + i * elements();
        for (std::size_t k = 0; k < elements(); ++k) {
          auto const value = from[flipped ? k - k % size + (size - 1 - k % size) : k];
          if constexpr (std::is_same_v<decltype(value), float const>) to[k] = value;
          else to[k] = static_cast<float>(2 * value - 255) / 255.0f;
        }
      },
      pixels);
}

std::string training_data::fingerprint() const {
  hash h;
  std::visit([&](auto const& all) { h.add(std::as_bytes(std::span(all))); }, pixels);
  h.add(std::as_bytes(std::span(labels)));
  for (auto const& name : classes) h.add(name);
  return h.text();
}

bool is_fashion_mnist(std::string const& data) {
  if (data == "fashion-mnist") return true;
  std::error_code ignored;
  for (auto const* part : {"train", "t10k"})
    for (auto const* kind : {"-images-idx3-ubyte", "-labels-idx1-ubyte"})
      for (auto const* ending : {"", ".gz"})
        if (fs::exists(fs::path(data) / (part + std::string(kind) + ending), ignored)) return true;
  return false;
}

void keep(training_data const& d, std::string const& cache) {
  if (d.key.empty()) return;
  try {
    io::tensor_file file;
    file.metadata = {{"format", cache_format}, {"key", d.key}};
    for (std::size_t i = 0; i < d.classes.size(); ++i)
      file.metadata[fmt::format("class {}", i)] = d.classes[i];
    for (std::size_t i = 0; i < d.left_out.size(); ++i)
      file.metadata[fmt::format("left out {}", i)] = d.left_out[i];
    std::vector<std::int32_t> labels(d.labels.begin(), d.labels.end());
    labels.resize(d.count);
    file.tensors.push_back(
        io::make_tensor("pixels", {d.count, d.channels, d.size, d.size},
                        std::span<std::uint8_t const>(std::get<octets>(d.pixels))));
    file.tensors.push_back(
        io::make_tensor("labels", {d.count}, std::span<std::int32_t const>(labels)));
    io::seal(file);
    io::write_safetensors(cache, file);
  } catch (error const& why) {  // a training goes on without
    say("decoded pictures were not kept: {}\n", why.what());
  }
}

training_data read_training_data(data_options const& o) {
  if (is_fashion_mnist(o.data)) return read_clothes(o);
  std::error_code ignored;
  fs::path const path = o.data;
  if (fs::is_directory(path, ignored)) return read_folder(o);
  if (path.extension() == ".npy") return read_array(o);
  throw error(fmt::format(
      "--data '{}' was given, {}; expected 'fashion-mnist', a folder of pictures, or x.npy", o.data,
      fs::exists(path, ignored) ? "which is no folder" : "and there is no folder of that name"));
}

}  // namespace tweedie::tool
