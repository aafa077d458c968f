#include "drawing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/io/jpeg.hpp>
#include <tweedie/io/npy.hpp>
#include <tweedie/io/png.hpp>

#include "checks.hpp"
#include "command_line.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "say.hpp"

namespace tweedie::tool {

namespace fs = std::filesystem;

std::vector<int> labels_of(std::string const& text, loaded_model const& m) {
  auto const classes = static_cast<int>(m.classes);
  if (text == "none") {
    if (m.needs_label)
      throw error(
          fmt::format("--label none was given, or nothing, and '{}' does not say what that "
                      "is (labels.null of its card); expected a label",
                      m.path));
    return {no_label};
  }
  if (classes == 0)
    throw error(
        fmt::format("--label {} was given, but the network is unconditional; expected none", text));
  std::vector<int> chosen;
  if (text == "all") {
    for (int i = 0; i < classes; ++i) chosen.push_back(i);
    return chosen;
  }
  std::vector<std::string> words(1);
  for (char const c : text)
    if (c == ',') words.emplace_back();
    else words.back() += c;
  for (auto const& word : words) {
    if (word == "all" || word == "none")
      throw error(fmt::format("--label {} was given; expected {} alone, or labels", text, word));
    auto const name = std::find(m.labels.begin(), m.labels.end(), word);
    int index = name == m.labels.end() ? -1 : static_cast<int>(name - m.labels.begin());
    // Where classes are called by numbers, a number is a name.
    bool const are_numbers = std::ranges::any_of(m.labels, [](std::string const& one) {
      return !one.empty() && one.find_first_not_of("0123456789") == one.npos;
    });
    if (index < 0 && !are_numbers && !word.empty() && word.size() < 7 &&
        word.find_first_not_of("0123456789") == std::string::npos)
      index = std::stoi(word);
    if (index < 0 || index >= classes)
      throw error(m.labels.empty()
                      ? fmt::format("--label '{}' was given; expected all, none, or from 0 to {}",
                                    word, classes - 1)
                      : fmt::format("--label '{}' was given; {}; or all, none, or from 0 to {}",
                                    word, expected_one_of(word, m.labels), classes - 1));
    chosen.push_back(index);
  }
  return chosen;
}

std::vector<int> spread(std::string const& text, std::vector<int> const& chosen,
                        std::size_t count) {
  if (!text.empty() && chosen.size() > count)
    throw error(
        fmt::format("--label {} was given, {} labels for {} picture{}; expected a picture or more "
                    "for each",
                    text, chosen.size(), count, count == 1 ? "" : "s"));
  std::vector<int> r(count);
  for (std::size_t i = 0; i < count; ++i) r[i] = chosen[i * chosen.size() / count];
  return r;
}

void check_output(std::string const& out, std::vector<std::string> const& read) {
  auto const ending = std::filesystem::path(out).extension();
  if (ending != ".png" && ending != ".npy")
    throw error(
        fmt::format("--out '{}' was given; expected a name that ends in .png or .npy", out));
  check_writable("--out", out);
  std::error_code missing;
  for (auto const& name : read)
    if (fs::equivalent(out, name, missing))
      throw error(fmt::format("--out '{}' was given, which is read as '{}'; expected another name",
                              out, name));
}

namespace {

/// {count, extents of a sample}
std::vector<std::size_t> shape_of(std::size_t count, sample_shape const& c) {
  std::vector<std::size_t> r{count};
  r.insert(r.end(), c.begin(), c.end());
  return r;
}
io::grid_layout layout_of(std::size_t columns) { return {.columns = columns, .upscale = 2}; }

std::string in_gigabytes(double bytes) { return fmt::format("{:.3g} GB", bytes / 1e9); }

/// x.part.npy beside x.png or x.npy: all the bits of the pictures that are finished.
std::string part_of(std::string const& out) {
  return fs::path(out).replace_extension(".part.npy").string();
}

/// The settings of the command that left a part, beside it.
std::string record_of(std::string const& part) { return part + ".json"; }

/// Of a record: which file it is the record of.
constexpr char const* pictures_key = "pictures of the part";

}  // namespace

void check_room(std::string const& out, std::size_t count, sample_shape const& c,
                std::size_t columns) {
  auto const shape = shape_of(count, c);
  double bytes = 4;
  for (std::size_t n : shape) bytes *= static_cast<double>(n);
  double const memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (memory > 0 && bytes > memory)
    throw error(fmt::format("{} pictures take {}, this machine's memory has {}; expected fewer",
                            count, in_gigabytes(bytes), in_gigabytes(memory)));
  if (fs::path(out).extension() == ".png")
    return io::check_png({shape[0], shape[1], shape[2], shape[3]}, layout_of(columns), out);
  std::error_code unknown;
  auto const folder = fs::absolute(out).parent_path();
  auto const room = static_cast<double>(fs::space(folder, unknown).available);
  if (!unknown && bytes > room)
    throw error(fmt::format("--out '{}' would take {}, '{}' has room for {}", out,
                            in_gigabytes(bytes), folder.string(), in_gigabytes(room)));
}

void write_pictures(std::string const& out, images const& pictures, std::size_t columns,
                    std::pair<double, double> range) {
  auto const& s = pictures.shape;
  if (fs::path(out).extension() == ".npy") return io::write_npy(out, s, pictures.data);
  std::vector<float> shown = pictures.data;
  if (range != std::pair{-1.0, 1.0})
    for (float& v : shown)
      v = static_cast<float>(2 * (double{v} - range.first) / (range.second - range.first) - 1);
  io::write_png(out, shown, {s[0], s[1], s[2], s[3]}, layout_of(columns));
}

void check_picture(std::string const& out, loaded_model const& m) {
  if (fs::path(out).extension() != ".png") return;
  if (!m.is_picture())
    throw error(
        fmt::format("--out '{}' was given for samples of shape {{{}}}, which are no "
                    "pictures; expected a name that ends in .npy",
                    out, fmt::join(m.shape, ", ")));
  if (!m.range)
    throw error(
        fmt::format("--out '{}' was given, and the card of '{}' says no range of its data; "
                    "expected a name that ends in .npy, or range = [black, white] there",
                    out, m.path));
}

std::vector<std::pair<std::string, images>> read_conditions(std::vector<std::string> const& given,
                                                            loaded_model const& m,
                                                            std::size_t count, bool guided) {
  std::vector<std::pair<std::string, images>> r;
  std::vector<std::string_view> known(m.conditions.begin(), m.conditions.end());
  for (auto const& one : m.negatives)
    if (!one.empty() && std::ranges::find(known, one) == known.end()) known.push_back(one);
  for (auto const& one : given) {
    auto const at = one.find('=');
    std::string const name = one.substr(0, at);
    if (at == one.npos || fs::path(one).extension() != ".npy")
      throw error(
          fmt::format("--condition {} was given; expected a name and its array, NAME=x.npy", one));
    if (std::ranges::find(known, name) == known.end())
      throw error(
          fmt::format("--condition {} was given; {}", one, ready::expected_names(name, known)));
    if (std::ranges::find(r, name, &std::pair<std::string, images>::first) != r.end())
      throw error(
          fmt::format("--condition {} was given after another {}; expected one", one, name));
    auto const array = io::read_npy(one.substr(at + 1));
    images values{{array.shape.begin(), array.shape.end()}, array.floats()};
    if (values.count() != 1 && values.count() != count)
      throw error(
          fmt::format("--condition {} has the shape {{{}}}; expected {} rows, or one for all", one,
                      fmt::join(values.shape, ", "), count));
    r.emplace_back(name, std::move(values));
  }
  auto const expect = [&](std::string const& name, std::string const& why, char const* else_) {
    if (std::ranges::find(r, name, &std::pair<std::string, images>::first) == r.end())
      throw error(fmt::format("{} the condition '{}'; expected --condition {}=x.npy{}", why, name,
                              name, else_));
  };
  for (std::size_t i = 0; i < m.conditions.size(); ++i) {
    expect(m.conditions[i], fmt::format("'{}' takes", m.path), "");
    if (guided && !m.negatives[i].empty())
      expect(m.negatives[i], "a guidance asks for", ", or --guidance 0");
  }
  return r;
}

void add_loop_options(CLI::App& app, loop_options& o) {
  add_whole(app, "--batch", o.batch, 1, 65536, "pictures at a time");
  add_engine_options(app, o.engine);
  app.add_option("--continue", o.finished,
                 "x.part.npy, which an interrupted command leaves: the same command again with it "
                 "makes the rest");
}

settings settings_of(char const* command, loaded_model const& m, ready::recipe const& recipe,
                     std::vector<int> const& labels, loop_options const& o) {
  settings s{{"command", command},
             {"model", hash_of_file(m.path)},
             {"predicts", m.predicts},
             {"schedule", networks::to_json(m.schedule)},
             {"precision", o.engine.precision}};
  if (m.has_card()) {
    hash card;
    card.add(std::string_view(networks::to_toml(m.of_file.card)));
    s.emplace_back("card of the model", '#' + card.text());
  }
  std::string const text = to_toml(recipe);
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = text.find('\n', begin);
    auto const line = text.substr(begin, end - begin);
    auto const equals = line.find(" = ");
    auto const key = line.substr(0, equals);
    // The model's are there already, and a title changes nothing.
    if (key == "title" || key == "predicts" || key == "schedule") continue;
    s.emplace_back(key, line.substr(equals + 3));
  }
  auto const list = fmt::format("{}", fmt::join(labels, ","));
  hash of_list;
  of_list.add(std::string_view(list));
  s.emplace_back("label", labels == std::vector{no_label} ? "none"
                          : list.size() < 200             ? list
                                                          : '#' + of_list.text());
  return s;
}

images read_finished(loop_options const& o, std::size_t count, sample_shape const& c,
                     settings const& given) {
  if (o.finished.empty()) return {};
  auto finished = read_latents("--continue", o.finished, c);
  if (finished.count() >= count)
    throw error(
        fmt::format("--continue '{}' was given, which has {} pictures of {}; expected fewer",
                    o.finished, finished.count(), count));
  auto const record = record_of(o.finished);
  std::error_code ignored;
  if (!fs::exists(record, ignored))
    throw error(fmt::format(
        "--continue '{}' was given, and there is no '{}', which an interrupted command leaves "
        "beside it: which pictures they are is not known; expected both",
        o.finished, record));
  auto there = read_settings(record);
  auto const pictures = std::ranges::find(there, pictures_key, &settings::value_type::first);
  if (pictures == there.end() || pictures->second != hash_of(finished.data))
    throw error(fmt::format(
        "--continue '{}' was given, whose pictures are not those of its record '{}'; expected the "
        "two as an interrupted command left them",
        o.finished, record));
  there.erase(pictures);
  if (auto const differ = differences(there, given, "here"); !differ.empty())
    throw error(fmt::format("--continue '{}' is of another command: {}; expected the same again",
                            o.finished, differ));
  return finished;
}

namespace {

std::size_t whole_number(char const* option, std::string const& text, std::size_t below) {
  std::size_t value = 0;
  auto const end = text.data() + text.size();
  auto const read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end || value >= below)
    throw error(
        fmt::format("{}: picture '{}' was given; expected 0 to {}", option, text, below - 1));
  return value;
}

images test_pictures(char const* option, std::string const& list) {
  auto const all = io::read_fashion_mnist(io::fashion_mnist_part::test);
  images r{{0, 1, 28, 28}, {}};
  for (auto const& word : CLI::detail::split(list, ',')) {
    std::size_t const i = whole_number(option, word, all.count);
    r.data.insert(r.data.end(), all.images.begin() + static_cast<std::ptrdiff_t>(i * 784),
                  all.images.begin() + static_cast<std::ptrdiff_t>((i + 1) * 784));
    ++r.shape[0];
  }
  return r;
}

/// Bytes of 0 and 1 alone are truth values to whoever wrote them, and nearly black as a picture.
void expect_all_shades(char const* option, std::string const& path,
                       std::vector<float> const& bytes) {
  if (!bytes.empty() && std::ranges::max(bytes) == 1)
    throw error(
        fmt::format("{} '{}' holds bytes (uint8) of which none is above 1; expected 0 to 255 as in "
                    "a PNG, or truth values (bool)",
                    option, path));
}

/// The one channel of gray pixels, or a sentence: a colour has no gray that all agree on.
std::vector<float> gray_of(char const* option, std::string const& path, io::picture const& from) {
  std::size_t const size = from.shape.height * from.shape.width;
  std::vector<float> r(from.values.begin(),
                       from.values.begin() + static_cast<std::ptrdiff_t>(size));
  if (from.shape.channels == 1) return r;
  constexpr float shade = 8 / 127.5f;  // what a program's conversion of colours may leave
  for (std::size_t i = 0; i < size; ++i) {
    float const red = from.values[i], green = from.values[size + i],
                blue = from.values[2 * size + i];
    auto const [least, most] = std::minmax({red, green, blue});
    if (most - least > shade)
      throw error(fmt::format("{} '{}' has a colour at row {}, column {}; expected shades of gray",
                              option, path, i / from.shape.width, i % from.shape.width));
    r[i] = red == green && green == blue ? red : (red + green + blue) / 3;
  }
  return r;
}

bool is_jpeg_name(std::string const& ending) { return ending == ".jpg" || ending == ".jpeg"; }

/// A PNG or a JPEG as a network of so many channels takes it: RGB that is gray as one, gray as
/// three alike.
images picture_of(char const* option, std::string const& path, std::size_t channels) {
  auto picture = is_jpeg_name(fs::path(path).extension().string())
                     ? io::parse_jpeg(io::read_file(path), path)
                     : io::read_png(path);
  auto const& [count, given, height, width] = picture.shape;
  if (given == 3 && channels == 1) return {{1, 1, height, width}, gray_of(option, path, picture)};
  images r{{1, given, height, width}, picture.values};
  if (given == 1 && channels == 3) {
    r.shape[1] = 3;
    for (int copy = 0; copy < 2; ++copy)
      r.data.insert(r.data.end(), picture.values.begin(), picture.values.end());
  }
  return r;
}

/// An array as samples of the shape `c`: as it is; one of them without the count; pictures of one
/// channel without that; bytes with the channels last, as train takes them. Any other keeps its
/// shape, which is no samples'.
images array_of(io::npy_array const& array, sample_shape const& c) {
  images r{{array.shape.begin(), array.shape.end()}, array.floats()};
  auto const are = [&](std::vector<std::size_t> const& one, std::size_t from) {
    return r.shape.size() == from + one.size() &&
           std::equal(one.begin(), one.end(), r.shape.begin() + static_cast<std::ptrdiff_t>(from));
  };
  if (are(c, 1)) return r;
  if (are(c, 0)) {
    r.shape.insert(r.shape.begin(), 1);
  } else if (c.size() == 3 && c[0] == 1 && are({c[1], c[2]}, 0)) {
    r.shape = {1, 1, c[1], c[2]};
  } else if (c.size() == 3 && c[0] == 1 && are({c[1], c[2]}, 1)) {
    r.shape = {r.shape[0], 1, c[1], c[2]};
  } else if (c.size() == 3 && are({c[1], c[2], c[0]}, 1) &&
             std::holds_alternative<std::vector<std::uint8_t>>(array.data)) {
    std::vector<float> const last = std::move(r.data);
    r.shape = {r.shape[0], c[0], c[1], c[2]};
    r.data.clear();
    r.data.reserve(last.size());
    std::size_t const pixels = c[1] * c[2];
    for (std::size_t i = 0; i < r.shape[0]; ++i)
      for (std::size_t channel = 0; channel < c[0]; ++channel)
        for (std::size_t k = 0; k < pixels; ++k)
          r.data.push_back(last[(i * pixels + k) * c[0] + channel]);
  }
  return r;
}

/// Bytes are those of a PNG, 0 to 255, told as -1 to 1; floats are in the range of the data.
images pictures_of_npy(char const* option, std::string const& path, sample_shape const& c,
                       std::optional<std::pair<double, double>> range, bool& are_shades) {
  auto const array = io::read_npy(path);
  images r = array_of(array, c);
  are_shades = false;
  if (std::holds_alternative<std::vector<io::truth>>(array.data)) {
    are_shades = true;
    for (float& v : r.data) v = 2 * v - 1;
  }
  if (std::holds_alternative<std::vector<std::uint8_t>>(array.data)) {
    are_shades = true;
    expect_all_shades(option, path, r.data);
    for (float& v : r.data) v = (2 * v - 255) / 255;
  }
  if (are_shades || !range) return r;
  // A sampler without a clip goes a little beyond.
  double const middle = (range->first + range->second) / 2, most = range->second - range->first;
  for (std::size_t i = 0; i < r.data.size(); ++i)
    if (std::abs(double{r.data[i]} - middle) > most && std::isfinite(r.data[i]))
      throw error(fmt::format(
          "{} '{}': value {} is {}; expected floats in [{}, {}], or bytes (uint8) from 0 to 255",
          option, path, i, r.data[i], range->first, range->second));
  return r;
}

void check_pictures(char const* option, std::string const& text, images const& given,
                    sample_shape const& c) {
  auto const& shape = given.shape;
  if (shape.size() != c.size() + 1 || shape[0] == 0 ||
      !std::equal(c.begin(), c.end(), shape.begin() + 1))
    throw error(fmt::format("{} '{}' has {} of shape {{{}}}; expected {{count, {}}}, the network's",
                            option, text, c.size() == 3 ? "pictures" : "samples",
                            fmt::join(shape, ", "), fmt::join(c, ", ")));
  auto const bad = std::ranges::find_if(given.data, [](float v) { return !std::isfinite(v); });
  if (bad != given.data.end())
    throw error(fmt::format("{} '{}': value {} is {}; expected finite ones", option, text,
                            bad - given.data.begin(), *bad));
}

/// A mask that a paint program wrote: what is transparent was not painted.
images mask_of_png(char const* option, std::string const& path) {
  auto const picture = io::read_png(path, {.may_be_transparent = true});
  images r{{1, picture.shape.height, picture.shape.width}, {}};
  auto seen = picture;
  for (std::size_t i = 0; i < picture.values.size(); ++i)
    if (!picture.opacity.empty())
      seen.values[i] = (picture.values[i] + 1) * picture.opacity[i % picture.opacity.size()] - 1;
  r.data = gray_of(option, path, seen);
  for (float& v : r.data) v = (v + 1) / 2;
  return r;
}

images mask_of_npy(char const* option, std::string const& path) {
  auto const array = io::read_npy(path);
  images r{{array.shape.begin(), array.shape.end()}, array.floats()};
  while (r.shape.size() > 3 && r.shape[0] == 1) r.shape.erase(r.shape.begin());
  if (r.shape.size() == 2) r.shape.insert(r.shape.begin(), 1);
  if (std::holds_alternative<std::vector<std::uint8_t>>(array.data)) {
    expect_all_shades(option, path, r.data);
    for (float& v : r.data) v /= 255;
  }
  for (std::size_t i = 0; i < r.data.size(); ++i)
    if (!(r.data[i] >= 0 && r.data[i] <= 1))
      throw error(
          fmt::format("{} '{}': value {} is {}; expected floats from 0 to 1, truth values, or "
                      "bytes (uint8) from 0 to 255",
                      option, path, i, r.data[i]));
  return r;
}

}  // namespace

images read_pictures(char const* option, std::string const& text, sample_shape const& c,
                     std::optional<std::pair<double, double>> range) {
  images r;
  bool are_shades = true;
  std::string const ending = std::filesystem::path(text).extension().string();
  if (text.rfind("test:", 0) == 0) {
    r = test_pictures(option, text.substr(5));
  } else if (ending == ".npy") {
    r = pictures_of_npy(option, text, c, range, are_shades);
  } else if (ending == ".png" || is_jpeg_name(ending)) {
    r = picture_of(option, text, c[0]);
  } else {
    throw error(fmt::format(
        "{} '{}' was given; expected a name that ends in .png, .jpg or .npy, or test:0,1", option,
        text));
  }
  if (are_shades && !range)
    throw error(
        fmt::format("{} '{}' was given, and the card of the network says no range of its "
                    "data; expected floats in a .npy, or range = [black, white] there",
                    option, text));
  if (are_shades && *range != std::pair{-1.0, 1.0})
    for (float& v : r.data)
      v = static_cast<float>(range->first + (double{v} + 1) / 2 * (range->second - range->first));
  check_pictures(option, text, r, c);
  return r;
}

images read_latents(char const* option, std::string const& path, sample_shape const& c) {
  if (std::filesystem::path(path).extension() != ".npy")
    throw error(fmt::format("{} '{}' was given; expected a name that ends in .npy", option, path));
  auto const array = io::read_npy(path);
  if (!std::holds_alternative<std::vector<float>>(array.data) &&
      !std::holds_alternative<std::vector<double>>(array.data))
    throw error(fmt::format("{} '{}' holds bytes; expected floats as they were written here",
                            option, path));
  images const r = array_of(array, c);
  check_pictures(option, path, r, c);
  return r;
}

images read_mask(char const* option, std::string const& path, sample_shape const& c) {
  std::string const ending = std::filesystem::path(path).extension().string();
  if (ending != ".png" && ending != ".npy")
    throw error(
        fmt::format("{} '{}' was given; expected a name that ends in .png or .npy", option, path));
  images const r = ending == ".png" ? mask_of_png(option, path) : mask_of_npy(option, path);
  if (c.size() != 3)
    throw error(fmt::format("{} '{}' was given for samples of shape {{{}}}, which are no pictures",
                            option, path, fmt::join(c, ", ")));
  if (r.shape != std::vector<std::size_t>{1, c[1], c[2]})
    throw error(
        fmt::format("{} '{}' is a mask of shape {{{}}}; expected {{1, {}, {}}}, white where the "
                    "pictures are known, black where not",
                    option, path, fmt::join(r.shape, ", "), c[1], c[2]));
  if (std::ranges::all_of(r.data, [](float v) { return v == 0; }))
    throw error(
        fmt::format("{} '{}' is black everywhere, so that nothing would be kept; expected white "
                    "where the pictures are known",
                    option, path));
  return r;
}

images slice(images const& all, std::size_t begin, std::size_t count) {
  images r{all.shape, {}};
  r.shape[0] = count;
  std::size_t const n = all.data.size() / all.count();
  r.data.assign(all.data.begin() + static_cast<std::ptrdiff_t>(begin * n),
                all.data.begin() + static_cast<std::ptrdiff_t>((begin + count) * n));
  return r;
}

namespace {

/// Keeps what was finished before Ctrl-C, and says how to go on.
void keep(images const& finished, loop const& o) {
  auto const counts = fmt::format("interrupted after {} of {} pictures", finished.count(), o.count);
  if (o.out.empty() || finished.count() == 0) {
    say("{}: nothing was written\n", counts);
    return;
  }
  auto const part = part_of(o.out);
  write_pictures(part, finished, 0);
  settings record = o.given;
  record.emplace_back(pictures_key, hash_of(finished.data));
  write_settings(record_of(part), record);
  say("{}: '{}' has them, the same command with --continue '{}' makes the rest\n", counts, part,
      part);
}

}  // namespace

std::optional<images> run_plan(char const* what, any_plan const& plan, sample_shape const& c,
                               loop const& o, start_function const& start, double& seconds) {
  images result{shape_of(o.finished.data.empty() ? 0 : o.finished.count(), c), {}};
  std::size_t elements = 1;
  for (std::size_t n : c) elements *= n;
  result.data.reserve(o.count * elements);  // before the work, not in its middle
  result.data.insert(result.data.end(), o.finished.data.begin(), o.finished.data.end());
  catch_interrupts();
  progress bar(what, o.count * plan.steps(), result.count() * plan.steps());
  while (result.count() < o.count) {
    std::size_t const begin = result.count();
    std::size_t const here = std::min(o.batch, o.count - begin);
    conditions given(labels(o.labels.begin() + static_cast<std::ptrdiff_t>(begin),
                            o.labels.begin() + static_cast<std::ptrdiff_t>(begin + here)));
    for (auto const& [name, rows] : o.arrays)
      given = given.with(name, rows.count() == 1 ? rows : slice(rows, begin, here));
    request r;
    r.shape = shape_of(here, c);
    r.seed = o.seed;
    r.first_id = begin;
    auto const before = progress::clock::now();
    state s = start(plan, r, begin, given);
    for (std::size_t step = 1; !plan.finished(s); ++step) {
      if (interrupted()) {
        bar.clear();
        keep(result, o);
        return std::nullopt;
      }
      plan.advance(s);
      bar.update(begin * plan.steps() + step * here, [&] {
        return fmt::format("steps of all pictures, {} evaluations each",
                           plan.network_evaluations());
      });
    }
    auto const done = take(s);
    seconds += std::chrono::duration<double>(progress::clock::now() - before).count();
    if (!std::ranges::all_of(done.data, [](float v) { return std::isfinite(v); }))
      throw error(
          "the pictures have values that are not finite: nothing was written; expected a smaller "
          "guidance, or --clip 1");
    result.data.insert(result.data.end(), done.data.begin(), done.data.end());
    result.shape[0] += here;
  }
  bar.clear();
  return result;
}

}  // namespace tweedie::tool
