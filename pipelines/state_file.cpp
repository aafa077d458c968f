#include <tweedie/pipelines/state_file.hpp>

#include <algorithm>
#include <charconv>
#include <string>

#include <fmt/format.h>

#include <tweedie/io/safetensors.hpp>

namespace tweedie {
namespace {

constexpr char const* version = "1";

/// Calls f(name, buffer, rows) for what outlives a step; the rest a kernel or the network writes
/// before it is read.
template <class State, class F> void each_buffer(State& s, plan_layout const& layout, F f) {
  auto const several = [&](char const* name, auto& all) {
    for (std::size_t k = 0; k < all.size(); ++k)
      f(fmt::format("{}.{}", name, k), all[k], s.samples);
  };
  f("x", s.x, s.samples);
  several("keep", s.keep);
  several("past_x0", s.past_x0);
  several("past_eps", s.past_eps);
  several("memory", s.memory);
  if (layout.inputs > 0) f("net_in", s.net_in, layout.inputs * s.samples);
  if (layout.uses_known) f("known", s.known, s.samples);
}

std::string text_of(std::uint64_t value) { return fmt::format("{}", value); }

class reader {
 public:
  reader(io::tensor_file const& file, std::string source)
      : file_(file), source_(std::move(source)) {}

  std::string const& text(char const* key) const {
    auto const at = file_.metadata.find(key);
    if (at == file_.metadata.end())
      throw error(fmt::format("'{}': a state without {} was given; expected a file of save_state",
                              source_, key));
    return at->second;
  }
  std::uint64_t number(char const* key) const {
    std::string const& t = text(key);
    std::uint64_t r = 0;
    auto const [end, failed] = std::from_chars(t.data(), t.data() + t.size(), r);
    if (failed != std::errc{} || end != t.data() + t.size())
      throw error(fmt::format("'{}': {} is '{}'; expected a whole number", source_, key, t));
    return r;
  }
  void fill(std::string const& name, buffer& b, std::size_t rows, std::size_t pitch) const {
    auto const values = io::floats(file_, name, {rows, pitch});
    b = buffer(values.size());
    std::ranges::copy(values, b.data());
  }

 private:
  io::tensor_file const& file_;
  std::string source_;
};

}  // namespace

void save_state(std::filesystem::path const& path, any_plan const& plan, state const& s) {
  if (!plan.finished(s)) plan.step_of(s);  // throws where it is not this plan's
  io::tensor_file file;
  auto const add = [&](std::string const& name, std::vector<std::size_t> shape, buffer const& b) {
    std::vector<float> values(detail::product_of(shape));
    b.get(0, values.data(), values.size());
    file.tensors.push_back(io::make_tensor<float>(name, std::move(shape), values));
  };
  each_buffer(s, plan.layout(), [&](std::string const& name, buffer const& b, std::size_t rows) {
    add(name, {rows, s.pitch}, b);
  });
  std::vector<std::uint64_t> seeds, ids, steps;
  for (sample_key const& key : s.keys) {
    seeds.push_back(key.seed);
    ids.push_back(key.id);
    steps.push_back(key.step);
  }
  std::size_t const n = s.samples;
  file.tensors.push_back(io::make_tensor<std::uint64_t>("seeds", {n}, seeds));
  file.tensors.push_back(io::make_tensor<std::uint64_t>("ids", {n}, ids));
  file.tensors.push_back(io::make_tensor<std::uint64_t>("steps", {n}, steps));
  file.tensors.push_back(io::make_tensor<std::int32_t>("labels", {s.labels.size()}, s.labels));
  std::vector<std::uint64_t> const shape(s.shape.begin(), s.shape.end());
  file.tensors.push_back(io::make_tensor<std::uint64_t>("shape", {shape.size()}, shape));
  if (plan.layout().uses_mask) add("mask", {s.mask.size()}, s.mask);
  file.metadata = {{"tweedie.state", version},
                   {"plan", text_of(plan.fingerprint())},
                   {"evaluated", text_of(s.evaluated)},
                   {"mask_period", text_of(s.mask_period)},
                   {"mask_stride", text_of(s.mask_stride)}};
  io::write_safetensors(path, file);
}

state load_state(std::filesystem::path const& path, any_plan const& plan) {
  // A network's 16-bit input lies in a buffer of floats: its bits may look like no number.
  auto const file = io::read_safetensors(path, {.must_be_finite = false});
  reader const from(file, path.string());
  if (from.text("tweedie.state") != version)
    throw error(fmt::format("'{}': a state of version '{}' was given; expected {}", path.string(),
                            from.text("tweedie.state"), version));
  if (from.number("plan") != plan.fingerprint())
    throw error(fmt::format(
        "'{}': a state of another plan was given; expected one that was saved with the same "
        "levels, programs and numbers",
        path.string()));
  auto const size_of = [&](char const* name) -> std::size_t {
    auto const at = std::ranges::find(file.tensors, name, &io::tensor::name);
    if (at == file.tensors.end() || at->shape.size() != 1)
      throw error(fmt::format("'{}': the list '{}' is missing; expected a file of save_state",
                              path.string(), name));
    return at->shape[0];
  };
  auto const list = [&](char const* name) {
    return io::values<std::uint64_t>(file, name, {size_of(name)});
  };
  plan_layout const& layout = plan.layout();
  auto const shape = list("shape");
  std::vector<std::size_t> of_samples{size_of("seeds")};
  of_samples.insert(of_samples.end(), shape.begin(), shape.end());
  state s = detail::make_state({.shape = of_samples}, {labels{no_label}});
  s.plan = plan.fingerprint();
  std::size_t const n = s.x.size();
  s.branches = layout.branches;
  s.outputs = layout.outputs();
  s.out = buffer(layout.outputs() * n);
  s.keep.resize(layout.keeps);
  s.past_x0.resize(layout.past_x0);
  s.past_eps.resize(layout.past_eps);
  s.memory.resize(layout.memories);
  s.scratch.assign(layout.scratches, buffer(n));
  for (std::uint32_t k : layout.streams) {
    s.given_noise.resize(std::max<std::size_t>(s.given_noise.size(), k + 1));
    s.given_noise[k] = buffer(n);
  }
  if (layout.scratches > 0) s.reduced = buffer(sym::most_reductions * s.samples);
  each_buffer(s, layout, [&](std::string const& name, buffer& b, std::size_t rows) {
    from.fill(name, b, rows, s.pitch);
  });
  if (layout.uses_mask) {
    auto const mask = io::floats(file, "mask", {size_of("mask")});
    s.mask = buffer(mask.size());
    std::ranges::copy(mask, s.mask.data());
    s.mask_period = from.number("mask_period");
    s.mask_stride = from.number("mask_stride");
    if (s.mask_period == 0 || s.mask_period > s.elements || s.mask_stride > s.pitch ||
        (s.samples - 1) * s.mask_stride + s.mask_period > mask.size())
      throw error(fmt::format("'{}': a mask of {} values is too small for its rows", path.string(),
                              mask.size()));
  }
  auto const seeds = io::values<std::uint64_t>(file, "seeds", {s.samples});
  auto const ids = io::values<std::uint64_t>(file, "ids", {s.samples});
  auto const steps = io::values<std::uint64_t>(file, "steps", {s.samples});
  for (std::size_t i = 0; i < s.samples; ++i)
    s.keys[i] = {.seed = seeds[i], .id = ids[i], .step = static_cast<std::uint32_t>(steps[i])};
  s.labels = io::values<std::int32_t>(file, "labels", {s.samples * layout.conditions});
  s.evaluated = from.number("evaluated");
  if (!plan.finished(s)) plan.step_of(s);
  return s;
}

}  // namespace tweedie
