#include <tweedie/pipelines/state.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/device/launch.hpp>

namespace tweedie {

float* state::pointer_of(any_symbol s) {
  std::size_t const block = samples * pitch;
  // A block of 16-bit rows is half as long.
  std::size_t const rows = s.element == element_type::float32 ? block : block / 2;
  std::size_t const k = s.id.index;
  auto const in_ring = [&](std::vector<buffer>& ring) {
    return ring[(evaluated + ring.size() - k) % ring.size()].data();
  };
  switch (s.id.is) {
    case sym::word::x:
      return x.data();
    case sym::word::out:
      return out.data() + k * rows;
    case sym::word::known:
      return known.data();
    case sym::word::grad:
      return pointer(sym::grad{});
    case sym::word::out_variance:
      return pointer(sym::out_variance{});
    case sym::word::memory:
      return memory[k].data();
    case sym::word::given_noise:
      return given_noise[k].data();
    case sym::word::past_x0:
      return in_ring(past_x0);
    case sym::word::past_eps:
      return in_ring(past_eps);
    case sym::word::keep:
      return keep[k].data();
    case sym::word::reduced:
      return reduced.data() + k * samples;
    case sym::word::scratch:
      return scratch[k].data();
    case sym::word::net_in:
      return net_in.data() + k * rows;
    case sym::word::x0:  // a preview's
      return x0.data();
    case sym::word::mask:
    case sym::word::per_sample:
    case sym::word::thresholded:
    case sym::word::guided_raw:
    case sym::word::guided_x0:
    case sym::word::guided_eps:
    case sym::word::arrived:
    case sym::word::let:
    case sym::word::nameless:
    case sym::word::target:
    case sym::word::raw:
    case sym::word::eps:
    case sym::word::score:
    case sym::word::v:
    case sym::word::velocity:
    case sym::word::raw_variance:
    case sym::word::branch_x0:
    case sym::word::branch_eps:
    case sym::word::noise_stream:
      break;
  }
  throw std::logic_error(name_of(s.id) + " lies in no buffer of a state");
}

placed_keys state::keys_for_kernels() {
  if (!where.on_device()) return {keys.data(), 0};
  auto const& there = told_.of_keys;
  std::uint32_t const steps = keys.empty() || there.empty() ? 0 : keys[0].step - there[0].step;
  bool const same = std::ranges::equal(keys, there, [&](sample_key const& a, sample_key const& b) {
    return a.seed == b.seed && a.id == b.id && a.step == b.step + steps;
  });
  auto const in_device = [&] { return reinterpret_cast<sample_key*>(told_.keys.data()); };
  if (same) return {in_device(), steps};
  std::size_t const floats = keys.size() * sizeof(sample_key) / sizeof(float);
  if (told_.keys.size() < floats) told_.keys = buffer(floats, where);
  told_.of_keys.clear();
  where.memory->copy_in(told_.keys.data(), keys.data(), keys.size() * sizeof(sample_key));
  told_.of_keys = keys;
  return {in_device(), 0};
}

rows state::kernel_rows() {
  placed_keys const placed = keys_for_kernels();
  return {.count = samples,
          .pitch = pitch,
          .keys = placed.first,
          .elements = elements,
          .step = placed.step,
          .on = where};
}

noise_request state::ask_noise(std::uint32_t stream, buffer& to) const {
  return {.keys = keys,
          .stream = stream,
          .elements = elements,
          .pitch = pitch,
          .to = to.data(),
          .on_device = where.on_device(),
          .device_stream = where.on_device() ? where.memory->stream() : nullptr};
}

int const* state::device_labels() {
  if (!where.on_device() || labels.empty()) return nullptr;
  if (told_.of_labels != labels) {
    if (told_.labels.size() < labels.size()) told_.labels = buffer(labels.size(), where);
    told_.of_labels.clear();
    where.memory->copy_in(told_.labels.data(), labels.data(), labels.size() * sizeof(int));
    told_.of_labels = labels;
  }
  return reinterpret_cast<int const*>(told_.labels.data());
}

images take(state const& s) {
  if (s.where.on_device()) {
    // One copy, padding and all.
    state on_host;
    on_host.samples = s.samples;
    on_host.shape = s.shape;
    on_host.elements = s.elements;
    on_host.pitch = s.pitch;
    on_host.x = s.x.at({});
    return take(on_host);
  }
  images result{{s.samples}, std::vector<float>(s.samples * s.elements)};
  result.shape.insert(result.shape.end(), s.shape.begin(), s.shape.end());
  for (std::size_t i = 0; i < s.samples; ++i)
    std::copy_n(s.x.data() + i * s.pitch, s.elements, result.data.data() + i * s.elements);
  return result;
}

state moved(state s, placement const& where) {
  if (s.where == where) return s;
  s.each_buffer([&](buffer& b) { b = b.at(where); });
  s.where = where;
  s.forget_device();
  return s;
}

namespace detail {

static void check_finite(std::vector<float> const& data, char const* what) {
  auto const bad = std::ranges::find_if(data, [](float a) { return !std::isfinite(a); });
  if (bad != data.end())
    throw error(
        fmt::format("{}: value {} is {}, expected finite ones", what, bad - data.begin(), *bad));
}

/// The conditions that are no labels: a row for each sample.
static void take_arrays(state& s, conditions const& given) {
  for (auto const& [name, values] : given.arrays) {
    if (name.empty())
      throw error("a condition without a name was given, expected the name that the network knows");
    if (std::ranges::find(s.arrays, name, &named_array::name) != s.arrays.end())
      throw error(fmt::format("the condition '{}' was given twice, expected it once", name));
    std::size_t const rows = values.count();
    if ((rows != 1 && rows != s.samples) || values.data.size() != product_of(values.shape) ||
        values.data.empty())
      throw error(fmt::format(
          "the condition '{}' of shape {{{}}} with {} values was given for {} samples, expected a "
          "shape that begins with 1 or {}, and as many values",
          name, fmt::join(values.shape, ", "), values.data.size(), s.samples, s.samples));
    check_finite(values.data, fmt::format("the condition '{}'", name).c_str());
    named_array a{name, {values.shape.begin() + 1, values.shape.end()}, 0, values.data};
    a.elements = values.data.size() / rows;
    for (std::size_t i = 1; rows == 1 && i < s.samples; ++i)
      a.data.insert(a.data.end(), values.data.begin(), values.data.end());
    s.arrays.push_back(std::move(a));
  }
}

namespace {

/// Asks for x, the network's output, keys and labels in one piece, and gives it back. A system that
/// lends more memory than it has refuses only what is larger than all of it: what is written row by
/// row would end the program instead. Throws std::bad_alloc.
void check_room(state const& s) {
  constexpr std::size_t small = std::size_t{1} << 24;
  std::size_t const of_one = 2 * s.pitch + (sizeof(sample_key) + sizeof(int)) / sizeof(float) + 1;
  if (s.samples < small / of_one) return;
  if (of_one > std::numeric_limits<std::size_t>::max() / sizeof(float) / s.samples)
    throw std::bad_alloc();
  release_floats(allocate_floats(s.samples * of_one), s.samples * of_one);
}

}  // namespace

state make_samples(request const& r, conditions const& given, std::size_t expected) {
  if (r.shape.size() < 2)
    throw error(fmt::format(
        "shape = {} was given, expected the number of samples and at least one more extent, "
        "such as {{64, 1, 28, 28}}",
        fmt::format("{{{}}}", fmt::join(r.shape, ", "))));
  for (std::size_t extent : r.shape)
    if (extent == 0)
      throw error(fmt::format("shape = {{{}}} was given, expected extents of 1 or more",
                              fmt::join(r.shape, ", ")));
  state s;
  s.samples = r.shape[0];
  s.shape.assign(r.shape.begin() + 1, r.shape.end());
  s.elements = 1;
  for (std::size_t extent : r.shape) {
    constexpr std::size_t most = std::size_t{1} << 40;  // floats of all samples: 4 TiB
    if (extent > most / s.elements)
      throw error(fmt::format("shape = {{{}}} was given, expected fewer than 2^40 values",
                              fmt::join(r.shape, ", ")));
    s.elements *= extent;
  }
  s.elements /= s.samples;
  s.pitch = pitch_of(s.elements);
  check_room(s);
  constexpr std::uint64_t ids = std::uint64_t{1} << 48;
  if (r.first_id > ids - s.samples)
    throw error(fmt::format("first_id = {} was given for {} samples, expected ids below 2^48",
                            r.first_id, s.samples));
  if (given.of.size() != expected)
    throw error(fmt::format("{} condition(s) were given, the guidance takes {}", given.of.size(),
                            expected));
  for (labels const& one : given.of) {
    if (one.size() != 1 && one.size() != s.samples)
      throw error(fmt::format("{} labels were given for {} samples, expected one for each",
                              one.size(), s.samples));
    for (std::size_t i = 0; i < s.samples; ++i) s.labels.push_back(one[one.size() == 1 ? 0 : i]);
  }
  take_arrays(s, given);
  for (std::size_t i = 0; i < s.samples; ++i)
    s.keys.push_back({.seed = r.seed, .id = r.first_id + i, .step = 0});
  return s;
}

std::size_t product_of(std::vector<std::size_t> const& shape) {
  std::size_t r = 1;
  for (std::size_t extent : shape) r *= extent;
  return r;
}

buffer padded(std::vector<float> const& data, std::size_t elements) {
  std::size_t const rows = data.size() / elements, pitch = pitch_of(elements);
  buffer r(rows * pitch);
  for (std::size_t i = 0; i < rows; ++i)
    std::copy_n(data.data() + i * elements, elements, r.data() + i * pitch);
  return r;
}

void check_pure_noise(level l, char const* what) {
  constexpr double least = 3;  // a tenth of the variance of x_t is then the data's
  if (l.rho() < least * (1 - 1e-9))
    throw error(fmt::format(
        "{} was asked for at t = {} (alpha = {:.4g}, sigma = {:.4g}), where data are still seen: "
        "expected sigma / alpha of {} or more at the noisiest level; use a grid that begins "
        "higher, such as grids::trailing, or a schedule whose betas make up for fewer steps, such "
        "as schedules::linear::in_steps(100); a plan can start_from clean samples there",
        what, l.t, l.alpha, l.sigma, least));
}

void take_known(state& s, request const& r, bool used) {
  if (!used) {
    if (!r.known.shape.empty())
      throw error("known samples were given, the sampler does not keep what is known");
    return;
  }
  if (r.known.shape != r.shape || r.known.data.size() != product_of(r.shape))
    throw error(fmt::format(
        "known samples of shape {{{}}} with {} values were given, expected shape {{{}}}",
        fmt::join(r.known.shape, ", "), r.known.data.size(), fmt::join(r.shape, ", ")));
  check_finite(r.known.data, "known samples");
  s.known = padded(r.known.data, s.elements).at(s.where);
}

void take_mask(state& s, request const& r, bool used) {
  std::vector<std::size_t> shape = r.mask.shape;
  if (!used) {
    if (!shape.empty()) throw error("a mask was given, the sampler does not use one");
    return;
  }
  // What an extent means is told by how many there are: {3, H, W} is one mask a channel for three
  // samples as for four.
  std::size_t const rank = s.shape.size();
  std::vector<std::size_t> one_channel = s.shape, pixels = s.shape;
  if (rank > 1) {
    one_channel[0] = 1;
    pixels.erase(pixels.begin());
  }
  bool const for_each = shape.size() == rank + 1 && shape[0] == s.samples;
  std::vector<std::size_t> const of(shape.begin() + for_each, shape.end());
  bool const fits = of == s.shape || of == one_channel || (!for_each && of == pixels);
  if (!fits || r.mask.data.size() != product_of(shape))
    throw error(fmt::format(
        "a mask of shape {{{}}} with {} values was given for {} samples of shape {{{}}}, "
        "expected that shape{}, or such a one for each sample, {{{}, {}}}",
        fmt::join(shape, ", "), r.mask.data.size(), s.samples, fmt::join(s.shape, ", "),
        rank > 1 ? fmt::format(" or one channel, {{{}}}", fmt::join(one_channel, ", ")) : "",
        s.samples, fmt::join(one_channel, ", ")));
  for (float m : r.mask.data)
    if (!(m >= 0 && m <= 1))
      throw error(fmt::format("mask: a value of {} was given, expected 0 to 1", m));
  s.mask_period = product_of(of);
  s.mask_stride = for_each ? pitch_of(s.mask_period) : 0;
  s.mask = padded(r.mask.data, s.mask_period).at(s.where);
}

void check_shape(state const& s, images const& given) {
  std::vector<std::size_t> expected{s.samples};
  expected.insert(expected.end(), s.shape.begin(), s.shape.end());
  if (given.shape != expected || given.data.size() != s.samples * s.elements)
    throw error(fmt::format("samples of shape {{{}}} with {} values were given, expected {{{}}}",
                            fmt::join(given.shape, ", "), given.data.size(),
                            fmt::join(expected, ", ")));
}

void put(state& s, images const& from) {
  check_shape(s, from);
  buffer const rows = padded(from.data, s.elements);
  s.x.put(0, rows.data(), s.samples * s.pitch);
}

}  // namespace detail

}  // namespace tweedie
