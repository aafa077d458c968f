#include <tweedie/pipelines/state_layout.hpp>

#include <algorithm>
#include <new>

#include <fmt/ranges.h>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie {
namespace {

[[noreturn]] void refuse_memory(std::vector<std::size_t> const& shape) {
  throw error(fmt::format(
      "shape = {{{}}} was given, for which there is not enough memory; expected fewer samples",
      fmt::join(shape, ", ")));
}

/// A buffer with room for so many floats, what is in it kept.
void grow(buffer& b, std::size_t floats, placement const& where) {
  if (b.size() >= floats) return;
  buffer larger(std::max(floats, 2 * b.size()), where);
  buffer::copy(b, 0, larger, 0, b.size() * sizeof(float));
  b = std::move(larger);
}

/// Copies one sample's row of so many bytes in each block; a block holds one row for each sample.
void copy_rows(buffer const& from, std::size_t i, std::size_t samples_from, buffer& to,
               std::size_t at, std::size_t samples_to, std::size_t blocks, std::size_t bytes) {
  for (std::size_t k = 0; k < blocks; ++k)
    buffer::copy(from, (k * samples_from + i) * bytes, to, (k * samples_to + at) * bytes, bytes);
}

}  // namespace

state state_layout::make(request const& r, tweedie::conditions const& given, placement const& where,
                         samples_check const& check_samples) const try {
  state s = detail::make_samples(r, given, conditions);
  s.where = where;
  // A network that knows what it can take says so before memory is asked for.
  if (check_samples) check_samples(r.shape, given.of_all(), s.arrays);
  detail::take_known(s, r, uses_known);
  detail::take_mask(s, r, uses_mask);
  resize(s, s.samples);
  return s;
} catch (std::bad_alloc const&) {
  refuse_memory(r.shape);
}

void state_layout::resize(state& s, std::size_t samples) const try {
  std::size_t const n = samples * s.pitch;
  s.branches = branches;
  s.outputs = outputs();
  auto const room = [&](buffer& b, std::size_t floats) { grow(b, floats, s.where); };
  auto const each = [&](std::vector<buffer>& all, std::size_t count) {
    all.resize(std::max(all.size(), count));
    for (buffer& b : all) room(b, n);
  };
  room(s.x, n);
  each(s.keep, keeps);
  each(s.past_x0, past_x0);
  each(s.past_eps, past_eps);
  each(s.memory, memories);
  each(s.scratch, scratches);
  room(s.out, outputs() * n);
  for (std::uint32_t k : streams) {
    s.given_noise.resize(std::max<std::size_t>(s.given_noise.size(), k + 1));
    room(s.given_noise[k], n);
  }
  if (scratches > 0) room(s.reduced, sym::most_reductions * samples);
  if (uses_known) room(s.known, n);
  if (uses_mask) room(s.mask, samples * s.mask_stride);
  s.keys.reserve(samples);
  if (inputs > 0) {  // last: if this or what comes before throws, each sample is as it was
    // Blocks of all samples move when the number of samples changes.
    std::size_t const bytes = s.pitch * (input == element_type::float32 ? sizeof(float) : 2);
    std::size_t const there = s.net_in.size() > 0 ? std::min(samples, s.samples) : 0;
    buffer moved(std::max(s.net_in.size(), inputs * n), s.where);
    for (std::size_t k = 0; k < inputs; ++k)
      buffer::copy(s.net_in, k * s.samples * bytes, moved, k * samples * bytes, there * bytes);
    s.net_in = std::move(moved);
  }
  s.keys.resize(samples);
  for (named_array& a : s.arrays) a.data.resize(samples * a.elements);
  s.samples = samples;
} catch (std::bad_alloc const&) {
  std::vector<std::size_t> shape{samples};
  shape.insert(shape.end(), s.shape.begin(), s.shape.end());
  refuse_memory(shape);
}

void state_layout::copy_sample(state const& from, std::size_t i, state& to, std::size_t at) const {
  std::vector<buffer*> targets;
  each_lasting(to, [&](auto const&, buffer& b, auto...) { targets.push_back(&b); });
  std::size_t next = 0;
  each_lasting(from, [&](auto const&, buffer const& b, std::size_t blocks, std::size_t bytes) {
    copy_rows(b, i, from.samples, *targets[next++], at, to.samples, blocks, to.pitch * bytes);
  });
  if (uses_mask)
    copy_rows(from.mask, i * (from.mask_stride > 0), 1, to.mask, at, 1, 1,
              to.mask_stride * sizeof(float));
  for (std::size_t k = 0; k < from.arrays.size(); ++k) {
    std::size_t const n = from.arrays[k].elements;
    std::copy_n(from.arrays[k].data.data() + i * n, n, to.arrays[k].data.data() + at * n);
  }
  to.keys[at] = from.keys[i];
}

void state_layout::check(state const& s) const {
  std::size_t const n = s.samples * s.pitch;
  auto const has = [](buffer const& b, std::size_t floats) { return b.size() >= floats; };
  auto const have = [&](std::vector<buffer> const& all, std::size_t count) {
    return all.size() >= count &&
           std::ranges::all_of(all, [&](buffer const& b) { return has(b, n); });
  };
  bool const fits =
      has(s.x, n) && has(s.out, outputs() * n) && have(s.keep, keeps) && have(s.past_x0, past_x0) &&
      have(s.past_eps, past_eps) && have(s.memory, memories) && have(s.scratch, scratches) &&
      std::ranges::all_of(
          streams,
          [&](std::uint32_t k) { return k < s.given_noise.size() && has(s.given_noise[k], n); }) &&
      has(s.net_in, inputs * n) &&
      (scratches == 0 || has(s.reduced, sym::most_reductions * s.samples)) &&
      (!uses_known || has(s.known, n)) &&
      (!uses_mask || (s.mask_period > 0 && s.elements % s.mask_period == 0)) &&
      s.keys.size() == s.samples && s.labels.size() == s.samples * conditions &&
      std::ranges::all_of(
          s.arrays, [&](named_array const& a) { return a.data.size() == s.samples * a.elements; });
  if (!fits)
    throw error(
        fmt::format("a state of {} samples with {} kept buffers and histories of {} and {} was "
                    "given; expected one that this plan's start() made, with room for {} branches, "
                    "{} kept buffers and histories of {} and {}",
                    s.samples, s.keep.size(), s.past_x0.size(), s.past_eps.size(), branches, keeps,
                    past_x0, past_eps));
}

}  // namespace tweedie
