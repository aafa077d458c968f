#include <tweedie/pipelines/state_file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <tweedie/io/safetensors.hpp>

namespace tweedie {
namespace {

constexpr char const* version = "3";

/// Before the name of a condition that is no label.
std::string const of_array = "array.";

std::string text_of(std::uint64_t value) { return fmt::format("{}", value); }

/// A mask's rows: one for all samples, or one for each.
std::size_t mask_size(std::size_t period, std::size_t stride, std::size_t samples) {
  return pitch_of(period) * (stride == 0 ? 1 : samples);
}

/// Reads a file of save_state. Until it is known to fit the plan, only its header and two short
/// lists are read, and nothing is allocated by what it claims.
class reader {
 public:
  reader(std::filesystem::path const& path, any_plan const& plan)
      : plan_(plan),
        // A network's 16-bit input lies in a buffer of floats: its bits may look like no number.
        file_(path, {.must_be_finite = false}) {}

  state read() const {
    check_plan();
    std::vector<std::size_t> const shape = shape_of_samples();
    check_tensors(shape);
    auto const all = file_.read_all();
    io::expect_sealed(all);
    return filled(shape, all);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> what, Args&&... args) const {
    throw error(
        fmt::format("'{}': {}", file_.source(), fmt::format(what, std::forward<Args>(args)...)));
  }

  std::string const& text(char const* key) const {
    auto const at = file_.metadata().find(key);
    if (at == file_.metadata().end())
      refuse("a state without {} was given; expected a file of save_state", key);
    return at->second;
  }
  std::uint64_t number(char const* key) const {
    std::string const& t = text(key);
    std::uint64_t r = 0;
    auto const [end, failed] = std::from_chars(t.data(), t.data() + t.size(), r);
    if (failed != std::errc{} || end != t.data() + t.size())
      refuse("{} is {}; expected a whole number", key, io::in_quotes(t));
    return r;
  }
  /// The length of a list, by the header.
  std::size_t length_of(char const* name, io::tensor_dtype dtype) const {
    auto const at = std::ranges::find(file_.tensors(), name, &io::tensor_entry::name);
    if (at == file_.tensors().end() || at->shape.size() != 1 || at->dtype != dtype)
      refuse("the list '{}' is missing; expected a file of save_state", name);
    return at->shape[0];
  }

  void check_plan() const {
    if (std::string const& of = text("tweedie.state"); of != version)
      refuse(
          "a state of version {} was given, which another release of the library wrote; expected "
          "version {}: start again with this one",
          io::in_quotes(of), version);
    if (number("plan") != plan_.fingerprint())
      refuse(
          "a state of another plan was given; expected one that was saved with the same levels, "
          "programs and numbers");
    if (number("evaluated") > plan_.network_evaluations())
      refuse("a state after {} evaluations was given; expected at most the plan's {}",
             number("evaluated"), plan_.network_evaluations());
  }

  /// Those of a request: the number of samples before the extents of one.
  std::vector<std::size_t> shape_of_samples() const {
    constexpr std::size_t most = 64;
    std::size_t const extents = length_of("shape", io::tensor_dtype::u64);
    if (extents == 0 || extents > most)
      refuse("samples of {} extents were given; expected 1 to {}", extents, most);
    io::extents const list{extents};
    std::array const u64{io::tensor_dtype::u64};
    auto const stored = file_.read(file_.expect("shape", u64, list));
    std::vector<std::uint64_t> shape(extents);
    std::memcpy(shape.data(), stored.bytes.data(), stored.bytes.size());
    std::vector<std::size_t> of_samples{length_of("seeds", io::tensor_dtype::u64)};
    of_samples.insert(of_samples.end(), shape.begin(), shape.end());
    auto const count = io::element_count(of_samples);
    if (!count || *count == 0)
      refuse("samples of the shape {} were given; expected some that memory can hold",
             io::to_text(of_samples));
    return of_samples;
  }

  /// Whether all that the plan needs is there, and nothing else.
  void check_tensors(std::vector<std::size_t> const& shape) const {
    state shaped;  // with the plan's buffers, but empty
    plan_.layout().resize(shaped, 0);
    shaped.samples = shape[0];
    shaped.elements = *io::element_count(std::span(shape).subspan(1));
    shaped.pitch = pitch_of(shaped.elements);
    std::vector<std::string> names;
    auto const expect = [&](std::string const& name, io::tensor_dtype dtype, io::extents of) {
      file_.expect(name, std::span(&dtype, 1), of);
      names.push_back(name);
    };
    plan_.layout().each_lasting(
        shaped, [&](state_layout::lasting which, buffer const&, std::size_t blocks, std::size_t) {
          expect(which.name(), io::tensor_dtype::f32, {blocks * shaped.samples, shaped.pitch});
        });
    for (char const* name : {"seeds", "ids", "steps"})
      expect(name, io::tensor_dtype::u64, {shaped.samples});
    expect("labels", io::tensor_dtype::i32, {shaped.samples * plan_.layout().conditions});
    expect("shape", io::tensor_dtype::u64, {shape.size() - 1});
    for (named_array const& a : arrays(shape[0])) {
      std::vector<std::size_t> of{shape[0]};
      of.insert(of.end(), a.shape.begin(), a.shape.end());
      expect(of_array + a.name, io::tensor_dtype::f32, of);
    }
    if (plan_.layout().uses_mask) {
      std::size_t const period = number("mask_period"), stride = number("mask_stride");
      if (period == 0 || period > shaped.elements || shaped.elements % period != 0 ||
          (stride != 0 && stride != pitch_of(period)))
        refuse("a mask of {} values, {} apart, was given for samples of {}", period, stride,
               shaped.elements);
      expect("mask", io::tensor_dtype::f32, {mask_size(period, stride, shaped.samples)});
    }
    file_.expect_names(names);
  }

  /// The conditions that are no labels, still without their numbers.
  std::vector<named_array> arrays(std::size_t samples) const {
    std::vector<named_array> r;
    for (auto const& t : file_.tensors()) {
      if (!t.name.starts_with(of_array)) continue;
      named_array a{t.name.substr(of_array.size()), {}, 1, {}};
      auto const count = io::element_count(t.shape);
      if (t.shape.empty() || t.shape[0] != samples || !count || *count == 0 || a.name.empty())
        refuse("a condition {} of shape {} was given for {} samples", io::in_quotes(a.name),
               io::to_text(t.shape), samples);
      a.shape.assign(t.shape.begin() + 1, t.shape.end());
      a.elements = *count / samples;
      r.push_back(std::move(a));
    }
    return r;
  }

  state filled(std::vector<std::size_t> const& shape, io::tensor_file const& all) const {
    state_layout const& layout = plan_.layout();
    state s = detail::make_samples({.shape = shape}, {labels{no_label}}, 1);
    layout.resize(s, s.samples);
    auto const fill = [&](std::string const& name, buffer& b, io::extents const& of) {
      auto const& from = io::expect_tensor(all, name, io::tensor_dtype::f32, of);
      if (std::size_t const floats = from.bytes.size() / sizeof(float); b.size() != floats)
        b = buffer(floats);
      std::memcpy(b.data(), from.bytes.data(), from.bytes.size());
    };
    layout.each_lasting(s, [&](state_layout::lasting which, buffer& b, std::size_t blocks, auto) {
      fill(which.name(), b, {blocks * s.samples, s.pitch});
    });
    if (layout.uses_mask) {
      s.mask_period = number("mask_period");
      s.mask_stride = number("mask_stride");
      fill("mask", s.mask, {mask_size(s.mask_period, s.mask_stride, s.samples)});
    }
    auto const list = [&](char const* name) {
      return io::values<std::uint64_t>(all, name, {s.samples});
    };
    auto const seeds = list("seeds"), ids = list("ids"), steps = list("steps");
    for (std::size_t i = 0; i < s.samples; ++i) {
      if (ids[i] >> 48 != 0 || steps[i] >> 32 != 0)
        refuse("sample {} has the id {} at step {}; expected an id below 2^48, a step below 2^32",
               i, ids[i], steps[i]);
      s.keys[i] = {.seed = seeds[i], .id = ids[i], .step = static_cast<std::uint32_t>(steps[i])};
    }
    s.labels = io::values<std::int32_t>(all, "labels", {s.samples * layout.conditions});
    s.arrays = arrays(s.samples);
    for (named_array& a : s.arrays) {
      std::vector<std::size_t> of{s.samples};
      of.insert(of.end(), a.shape.begin(), a.shape.end());
      a.data = io::values<float>(all, of_array + a.name, of);
    }
    s.evaluated = number("evaluated");
    s.plan = plan_.fingerprint();
    if (!plan_.finished(s)) plan_.step_of(s);
    try {
      plan_.check_samples(s);
    } catch (error const& e) {
      refuse("{}", e.what());
    }
    return s;
  }

  any_plan const& plan_;
  io::safetensors_file file_;
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
  plan.layout().each_lasting(
      s, [&](state_layout::lasting which, buffer const& b, std::size_t blocks, auto) {
        add(which.name(), {blocks * s.samples, s.pitch}, b);
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
  for (named_array const& a : s.arrays) {
    std::vector<std::size_t> of{n};
    of.insert(of.end(), a.shape.begin(), a.shape.end());
    file.tensors.push_back(io::make_tensor<float>(of_array + a.name, of, a.data));
  }
  std::vector<std::uint64_t> const shape(s.shape.begin(), s.shape.end());
  file.tensors.push_back(io::make_tensor<std::uint64_t>("shape", {shape.size()}, shape));
  if (plan.layout().uses_mask) add("mask", {s.mask.size()}, s.mask);
  file.metadata = {{"tweedie.state", version},
                   {"plan", text_of(plan.fingerprint())},
                   {"evaluated", text_of(s.evaluated)},
                   {"mask_period", text_of(s.mask_period)},
                   {"mask_stride", text_of(s.mask_stride)}};
  io::seal(file);
  io::write_safetensors(path, file);
}

state load_state(std::filesystem::path const& path, any_plan const& plan) {
  return reader(path, plan).read();
}

}  // namespace tweedie
