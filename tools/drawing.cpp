#include "drawing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/npy.hpp>
#include <tweedie/io/png.hpp>

#include "checks.hpp"
#include "command_line.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "say.hpp"

namespace tweedie::tool {

namespace fs = std::filesystem;

std::vector<int> labels_of(std::string const& text, networks::model const& m) {
  int const classes = m.network->config().classes;
  if (text == "none") return {no_label};
  if (classes == 0)
    throw error(
        fmt::format("--label {} was given, but the network is unconditional; expected none", text));
  std::vector<int> chosen;
  if (text == "all") {
    for (int i = 0; i < classes; ++i) chosen.push_back(i);
    return chosen;
  }
  for (auto const& word : CLI::detail::split(text, ',')) {
    auto const name = std::find(m.labels.begin(), m.labels.end(), word);
    int index = name == m.labels.end() ? -1 : static_cast<int>(name - m.labels.begin());
    if (index < 0 && !word.empty() && word.size() < 7 &&
        word.find_first_not_of("0123456789") == std::string::npos)
      index = std::stoi(word);
    if (index < 0 || index >= classes)
      throw error(fmt::format("--label '{}' was given; expected all, none, or from 0 to {}{}", word,
                              classes - 1,
                              m.labels.empty() ? "" : "; " + expected_one_of(word, m.labels)));
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

io::picture_shape shape_of(std::size_t count, networks::unet_config const& c) {
  auto const size = static_cast<std::size_t>(c.size);
  return {count, static_cast<std::size_t>(c.channels), size, size};
}
io::grid_layout layout_of(std::size_t columns) { return {.columns = columns, .upscale = 2}; }

std::string in_gigabytes(double bytes) { return fmt::format("{:.3g} GB", bytes / 1e9); }

/// x.part.npy beside x.png or x.npy: all the bits of the pictures that are finished.
std::string part_of(std::string const& out) {
  return fs::path(out).replace_extension(".part.npy").string();
}

}  // namespace

void check_room(std::string const& out, std::size_t count, networks::unet_config const& c,
                std::size_t columns) {
  auto const shape = shape_of(count, c);
  double const bytes = 4.0 * static_cast<double>(count) *
                       static_cast<double>(shape.channels * shape.height * shape.width);
  double const memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (memory > 0 && bytes > memory)
    throw error(fmt::format("{} pictures take {}, this machine's memory has {}; expected fewer",
                            count, in_gigabytes(bytes), in_gigabytes(memory)));
  if (fs::path(out).extension() == ".png") return io::check_png(shape, layout_of(columns), out);
  std::error_code unknown;
  auto const folder = fs::absolute(out).parent_path();
  auto const room = static_cast<double>(fs::space(folder, unknown).available);
  if (!unknown && bytes > room)
    throw error(fmt::format("--out '{}' would take {}, '{}' has room for {}", out,
                            in_gigabytes(bytes), folder.string(), in_gigabytes(room)));
}

void write_pictures(std::string const& out, images const& pictures, std::size_t columns) {
  auto const& s = pictures.shape;
  if (fs::path(out).extension() == ".npy") io::write_npy(out, s, pictures.data);
  else io::write_png(out, pictures.data, {s[0], s[1], s[2], s[3]}, layout_of(columns));
}

void add_loop_options(CLI::App& app, loop_options& o) {
  add_whole(app, "--batch", o.batch, 1, 65536, "pictures at a time");
  add_whole(app, "--threads", o.threads, 1, 1024, "threads");
  app.add_option("--continue", o.finished,
                 "x.part.npy, which an interrupted command leaves: the same command again with it "
                 "makes the rest");
}

images read_finished(loop_options const& o, std::size_t count, networks::unet_config const& c) {
  if (o.finished.empty()) return {};
  auto finished = read_pictures("--continue", o.finished, c);
  if (finished.count() >= count)
    throw error(
        fmt::format("--continue '{}' was given, which has {} pictures of {}; expected fewer",
                    o.finished, finished.count(), count));
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

}  // namespace

images read_pictures(char const* option, std::string const& text, networks::unet_config const& c) {
  auto const channels = static_cast<std::size_t>(c.channels),
             size = static_cast<std::size_t>(c.size);
  images r;
  std::string const ending = std::filesystem::path(text).extension().string();
  if (text.rfind("test:", 0) == 0) {
    r = test_pictures(option, text.substr(5));
  } else if (ending == ".npy") {
    auto const array = io::read_npy(text);
    r = {{array.shape.begin(), array.shape.end()}, array.floats()};
    if (r.shape.size() == 3) r.shape.insert(r.shape.begin(), 1);
  } else if (ending == ".png") {
    auto const picture = io::read_png(text);
    r = {{1, picture.shape.channels, picture.shape.height, picture.shape.width}, picture.values};
  } else {
    throw error(fmt::format(
        "{} '{}' was given; expected a name that ends in .png or .npy, or test:0,1", option, text));
  }
  if (r.shape.size() != 4 || r.shape[0] == 0 || r.shape[1] != channels || r.shape[2] != size ||
      r.shape[3] != size)
    throw error(fmt::format(
        "{} '{}' has pictures of shape {{{}}}; expected {{count, {}, {}, {}}}, the network's",
        option, text, fmt::join(r.shape, ", "), channels, size, size));
  auto const bad = std::ranges::find_if(r.data, [](float v) { return !std::isfinite(v); });
  if (bad != r.data.end())
    throw error(fmt::format("{} '{}': value {} is {}; expected finite ones", option, text,
                            bad - r.data.begin(), *bad));
  return r;
}

images read_mask(char const* option, std::string const& path, networks::unet_config const& c) {
  auto const size = static_cast<std::size_t>(c.size);
  auto const picture = io::read_png(path);
  if (picture.shape.channels != 1 || picture.shape.height != size || picture.shape.width != size)
    throw error(fmt::format(
        "{} '{}' is of {} channel(s) and {}x{} pixels; expected a gray picture of {}x{}, white "
        "where the pictures are known",
        option, path, picture.shape.channels, picture.shape.width, picture.shape.height, size,
        size));
  images r{{1, size, size}, picture.values};
  for (float& v : r.data) {
    if (v != -1 && v != 1)
      throw error(
          fmt::format("{} '{}' has a gray pixel; expected white where the pictures are "
                      "known, black where not",
                      option, path));
    v = (v + 1) / 2;
  }
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
  say("{}: '{}' has them, the same command with --continue '{}' makes the rest\n", counts, part,
      part);
}

}  // namespace

std::optional<images> run_plan(char const* what, any_plan const& plan,
                               networks::unet_config const& c, loop const& o,
                               start_function const& start, double& seconds) {
  auto const shape = shape_of(o.count, c);
  images result{
      {o.finished.data.empty() ? 0 : o.finished.count(), shape.channels, shape.height, shape.width},
      {}};
  std::size_t const elements = shape.channels * shape.height * shape.width;
  result.data.reserve(o.count * elements);  // before the work, not in its middle
  result.data.insert(result.data.end(), o.finished.data.begin(), o.finished.data.end());
  catch_interrupts();
  progress bar(what, o.count * plan.steps(), result.count() * plan.steps());
  while (result.count() < o.count) {
    std::size_t const begin = result.count();
    std::size_t const here = std::min(o.batch, o.count - begin);
    labels const given(o.labels.begin() + static_cast<std::ptrdiff_t>(begin),
                       o.labels.begin() + static_cast<std::ptrdiff_t>(begin + here));
    request r;
    r.shape = {here, shape.channels, shape.height, shape.width};
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
