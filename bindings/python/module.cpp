// tweedie._core: plans, and loops over their steps, with the network in Python. The classes that
// users see are written in Python over this, in tweedie/.
#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <tweedie/io/png.hpp>
#include <tweedie/networks/onnx.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/ready/schedule_of.hpp>
#include <tweedie/pipelines/ready/scheduler_config.hpp>
#include <tweedie/pipelines/state_file.hpp>

namespace nb = nanobind;
using tweedie::error;

namespace {

// ---- arrays of Python

using shape_t = std::vector<std::size_t>;

/// An array that is there for as long as this is: float32, contiguous, on the host.
class given_array {
 public:
  /// `what` is what sentences call it. Throws tweedie::error where it is no such array.
  given_array(nb::handle from, char const* what, bool written = false) : what_(what) {
    nb::object const array = quick_view(from);
    if (!nb::try_cast(array, array_)) refuse_type(from);
    if (written) check_written(from, array);
    if (array_.device_type() == nb::device::cuda::value)
      refuse("a tensor on a CUDA device", "one on the CPU: this build has no kernels for CUDA");
    if (array_.device_type() != nb::device::cpu::value)
      refuse(fmt::format("a tensor on a device of DLPack's type {}", array_.device_type()),
             "one on the CPU");
    if (array_.dtype() != nb::dtype<float>())
      refuse(fmt::format("an array of {}", name_of(array_.dtype())), "float32");
    for (std::size_t i = 0; i < array_.ndim(); ++i) size_ *= array_.shape(i);
    std::size_t expected = 1;
    for (std::size_t i = array_.ndim(); size_ > 0 && i-- > 0;) {
      if (array_.shape(i) != 1 && array_.stride(i) != static_cast<std::int64_t>(expected))
        refuse(fmt::format("an array that is not contiguous (shape {}, strides {})",
                           text_of(shape()), strides()),
               "one that is, row by row: numpy.ascontiguousarray(a), or a.contiguous()");
      expected *= array_.shape(i);
    }
  }

  shape_t shape() const {
    shape_t r;
    for (std::size_t i = 0; i < array_.ndim(); ++i) r.push_back(array_.shape(i));
    return r;
  }
  std::size_t size() const { return size_; }
  float* data() const { return const_cast<float*>(static_cast<float const*>(array_.data())); }
  void check_shape(std::size_t rows, shape_t const& of_one) const {
    bool same = array_.ndim() == 1 + of_one.size() && array_.shape(0) == rows;
    for (std::size_t i = 0; same && i < of_one.size(); ++i) same = array_.shape(i + 1) == of_one[i];
    if (same) return;
    shape_t expected{rows};
    expected.insert(expected.end(), of_one.begin(), of_one.end());
    refuse(fmt::format("an array of shape {}", text_of(shape())),
           fmt::format("shape {}", text_of(expected)));
  }

  static std::string text_of(shape_t const& s) { return fmt::format("({})", fmt::join(s, ", ")); }

 private:
  [[noreturn]] void refuse(std::string const& given, std::string const& expected) const {
    throw error(fmt::format("{}: {} was given; expected {}", what_, given, expected));
  }
  [[noreturn]] void refuse_type(nb::handle from) const {
    PyErr_Clear();
    std::string const type = nb::cast<std::string>(from.type().attr("__name__"));
    if (nb::hasattr(from, "requires_grad") && nb::cast<bool>(from.attr("requires_grad")))
      refuse_gradient();
    if (nb::hasattr(from, "dtype"))
      refuse(fmt::format("an array of {}",
                         nb::cast<std::string>(nb::str(nb::object(from.attr("dtype"))))),
             "float32");
    refuse(fmt::format("a {}", type), "a NumPy array, or a tensor that has DLPack");
  }
  std::string strides() const {
    shape_t r;
    for (std::size_t i = 0; i < array_.ndim(); ++i)
      r.push_back(static_cast<std::size_t>(array_.stride(i)));
    return text_of(r);
  }
  static std::string name_of(nb::dlpack::dtype t) {
    using code = nb::dlpack::dtype_code;
    auto const is = [&](code c) { return t.code == static_cast<std::uint8_t>(c); };
    char const* const kind = is(code::Float)    ? "float"
                             : is(code::Int)    ? "int"
                             : is(code::UInt)   ? "uint"
                             : is(code::Bfloat) ? "bfloat"
                             : is(code::Bool)   ? "bool"
                                                : "a type of ";
    return fmt::format("{}{}", kind, t.bits);
  }
  /// torch's tensors lend their memory to NumPy in a fifth of the time that their DLPack takes; one
  /// that does not is itself.
  static nb::object quick_view(nb::handle from) {
    if (!PyObject_CheckBuffer(from.ptr())) {
      nb::object const module = nb::getattr(from.type(), "__module__", nb::none());
      if (nb::isinstance<nb::str>(module) &&
          std::string_view(nb::borrow<nb::str>(module).c_str()).starts_with("torch"))
        try {
          return from.attr("numpy")();
        } catch (nb::python_error const&) {  // on a device, or of a type that NumPy has not
        }
    }
    return nb::borrow(from);
  }

  /// What is read by DLPack may not be there to be written.
  void check_written(nb::handle from, nb::object const& array) const {
    nb::ndarray<> writable;
    if (!nb::try_cast(array, writable)) {
      PyErr_Clear();
      refuse("an array that is read-only", "one that can be written");
    }
    if (nb::hasattr(from, "requires_grad") && nb::cast<bool>(from.attr("requires_grad")))
      refuse_gradient();
  }
  [[noreturn]] void refuse_gradient() const {
    refuse("a tensor that requires a gradient",
           "one that does not: call the network under torch.no_grad(), or detach() it");
  }

  char const* what_;
  nb::ndarray<nb::ro> array_;
  std::size_t size_ = 1;
};

void copy_rows(float const* from, std::size_t from_pitch, float* to, std::size_t to_pitch,
               std::size_t rows, std::size_t elements) {
  if (from == to) return;
  for (std::size_t i = 0; i < rows; ++i)
    std::memcpy(to + i * to_pitch, from + i * from_pitch, elements * sizeof(float));
}

// ---- plans

/// What a plan that draws the caller's noise finds it by: a plan is shared by threads, and each
/// steps a loop of its own.
thread_local float const* given_noise = nullptr;

struct lent_noise {
  explicit lent_noise(float const* p) { given_noise = p; }
  ~lent_noise() { given_noise = nullptr; }
  lent_noise(lent_noise const&) = delete;
};

void take_given_noise(tweedie::noise_request const& asked) {
  if (!given_noise) throw error("a step without noise was asked for; expected it with noise");
  copy_rows(given_noise, asked.elements, asked.to, asked.pitch, asked.keys.size(), asked.elements);
}

struct plan {
  std::shared_ptr<tweedie::any_plan const> of;
  std::vector<double> times;  ///< what the network is told at each evaluation
  bool takes_noise = false;   ///< from the caller
  std::string predicts = {};  ///< what its network is taken to predict
};

std::vector<double> times_of(tweedie::any_plan const& p) {
  std::vector<double> r;
  for (auto const& row : p.rows()) r.push_back(row.where.t);
  return r;
}

void set_steps(tweedie::ready::recipe& r, std::optional<int> const& steps) {
  if (!steps) return;
  if (*steps < 1 || *steps > 1'000'000)
    throw error(fmt::format("steps = {} was given; expected 1 to 1000000", *steps));
  r.steps = *steps;
}

/// A question has room for one output a branch.
void check_answers(tweedie::any_plan const& p) {
  if (p.layout().learns_variance)
    throw error(
        "a sampler was given that reads the variance which a network has learned; expected another "
        "variance_type or sampler, since a question has no room for it here");
}

plan plan_of_recipe(std::string const& text, std::optional<std::string> const& schedule,
                    std::optional<std::string> const& prediction, std::optional<int> steps) {
  using namespace tweedie::ready;
  nb::gil_scoped_release const free;
  recipe r = parse_recipe_beside(text, schedule ? schedule->c_str() : nullptr,
                                 prediction ? prediction->c_str() : nullptr);
  set_steps(r, steps);
  auto of = std::make_shared<tweedie::any_plan const>(
      make_plan(r, *r.schedule, *r.predicts, network_of_caller()));
  check_answers(*of);
  auto times = times_of(*of);
  return {std::move(of), std::move(times), false, name_in(predictions, *r.predicts)};
}

plan plan_of_config(tweedie::ready::scheduler_config const& c,
                    tweedie::ready::scheduler_grid const& grid, std::optional<double> eta,
                    bool rederives, bool scaled, std::size_t from_step, bool takes_noise) {
  using namespace tweedie::ready;
  nb::gil_scoped_release const free;
  scheduler_options o{.eta = eta, .rederives = rederives, .scaled = scaled, .from_step = from_step};
  if (takes_noise) o.noise = take_given_noise;
  auto of = std::make_shared<tweedie::any_plan const>(make_plan(c, grid, o, network_of_caller()));
  check_answers(*of);
  bool const draws = !of->layout().streams.empty();
  // Those of the evaluations that are left.
  std::size_t const n = of->network_evaluations();
  std::vector<double> times(grid.timesteps.end() - static_cast<std::ptrdiff_t>(n),
                            grid.timesteps.end());
  std::string const predicts = c.predicts();
  return {std::move(of), std::move(times), takes_noise && draws, predicts};
}

// ---- networks in files

/// A network in a file, with the stages that its card names.
struct network {
  tweedie::networks::onnx of;
  tweedie::ready::recipe said;  ///< of which only the schedule and the prediction count

  tweedie::networks::card const& card() const { return of.card(); }
  tweedie::level level_at(double t) const {
    return std::visit(
        [&](auto const& s) {
          if (!(t >= 0 && t <= s.end()))
            throw error(fmt::format("t = {} was given; expected 0 to {}, a time of the schedule {}",
                                    t, s.end(), card().schedule.name));
          return s.at(t);
        },
        *said.schedule);
  }
};

std::shared_ptr<network> open_network(std::string const& path, int threads,
                                      std::string const& precision,
                                      std::optional<std::string> const& card,
                                      std::string const& source) {
  using namespace tweedie;
  nb::gil_scoped_release const free;
  networks::onnx_options o{.threads = threads};
  bool known = false;
  for (auto const p :
       {networks::precision::float32, networks::precision::bfloat16, networks::precision::float16})
    if (precision == networks::name_of(p)) o.precision = p, known = true;
  if (!known)
    throw error(fmt::format(
        "precision '{}' was given; {}", precision,
        ready::expected_names(precision,
                              std::vector<std::string_view>{"float32", "bfloat16", "float16"})));
  if (card) o.card = networks::parse_card(*card, source);
  networks::onnx opened(path, o);
  // A prediction is read as a recipe's, by name.
  nlohmann::json const as_recipe{{"sampler", "ddim"}, {"predicts", opened.card().predicts}};
  std::string const said = fmt::format("'{}', its card", path);
  ready::recipe r = ready::parse_recipe(as_recipe.dump(), ready::recipe_format::json, said);
  r.schedule = ready::schedule_of(opened.card().schedule, said, false);
  return std::make_shared<network>(network{opened, std::move(r)});
}

/// A recipe that is taken at its word; what it does not say is the network's.
plan plan_of_network(network const& n, std::string const& text, std::optional<int> steps,
                     bool clips) {
  using namespace tweedie::ready;
  nb::gil_scoped_release const free;
  bool const is_json = text.find_first_not_of(" \t\r\n") != std::string::npos &&
                       text[text.find_first_not_of(" \t\r\n")] == '{';
  recipe r = parse_recipe(text, is_json ? recipe_format::json : recipe_format::toml, "the recipe");
  set_steps(r, steps);
  if (auto const& range = n.card().range; clips && range && range->lo == -range->hi)
    r.threshold = tweedie::thresholds::clip{range->hi};
  auto of = std::make_shared<tweedie::any_plan const>(
      make_plan(r, *n.said.schedule, *n.said.predicts, tweedie::forget_network(n.of)));
  auto times = times_of(*of);
  return {std::move(of), std::move(times), false, n.card().predicts};
}

// ---- loops

struct running {
  std::shared_ptr<plan const> of;
  tweedie::driven_loop loop;
  mutable std::recursive_mutex busy;

  running(std::shared_ptr<plan const> p, tweedie::state s)
      : of(p), loop(*p->of, std::move(s), of->times) {}

  /// For as long as a loop is used; one thread may do so within itself.
  std::unique_lock<std::recursive_mutex> held() const {
    std::unique_lock lock(busy, std::try_to_lock);
    if (!lock)
      throw error("a loop was used while another thread uses it; expected one thread at a time");
    return lock;
  }
  tweedie::state const& state() const { return loop.now(); }
  std::size_t evaluation() const { return state().evaluated; }
  /// Whether the kernel after the next evaluation reads noise that the caller gives.
  bool asks_for_noise() const {
    return of->takes_noise && evaluation() < of->of->network_evaluations() &&
           of->of->asks_for_noise(evaluation());
  }
  /// The question that waits, or the next one.
  tweedie::question const* ask() {
    auto const lock = held();
    return loop.asked() ? loop.asked() : loop.next();
  }
  void answer(bool check) {
    auto const lock = held();
    if (check) loop.answer();
    else loop.answer_unchecked();
  }
};

tweedie::labels labels_of(std::optional<std::vector<int>> const& given, std::size_t samples) {
  if (!given) return {tweedie::no_label};
  if (given->size() != samples && given->size() != 1)
    throw error(fmt::format("{} labels were given for {} samples; expected one each, or one",
                            given->size(), samples));
  return *given;
}

using named_objects = std::vector<std::pair<std::string, nb::object>>;

/// Arrays with a row for each sample, or one for all.
std::vector<std::pair<std::string, tweedie::images>> arrays_of(named_objects const& given,
                                                               std::size_t samples) {
  std::vector<std::pair<std::string, tweedie::images>> r;
  for (auto const& [name, object] : given) {
    std::string const what = fmt::format("the condition '{}'", name);
    given_array const a(object, what.c_str());
    shape_t const shape = a.shape();
    if (shape.empty() || a.size() == 0 || (shape[0] != samples && shape[0] != 1))
      throw error(fmt::format(
          "{}: an array of shape {} was given for {} samples; expected a row for each, or one",
          what, given_array::text_of(shape), samples));
    r.emplace_back(name, tweedie::images{shape, {a.data(), a.data() + a.size()}});
  }
  return r;
}

std::shared_ptr<running> start(std::shared_ptr<plan const> p,
                               std::vector<std::int64_t> const& shape, std::uint64_t seed,
                               std::uint64_t first_id,
                               std::optional<std::vector<int>> const& labels,
                               named_objects const& arrays) {
  tweedie::request r{.seed = seed, .first_id = first_id};
  for (std::int64_t const n : shape)
    if (n < 1)
      throw error(fmt::format("a shape of ({}) was given; expected extents of 1 or more",
                              fmt::join(shape, ", ")));
    else r.shape.push_back(static_cast<std::size_t>(n));
  if (r.shape.size() < 2)
    throw error(
        fmt::format("a shape of ({}) was given; expected the number of samples and the "
                    "extents of one, such as (16, 1, 28, 28)",
                    fmt::join(shape, ", ")));
  if (p->takes_noise) throw error("a start was asked of a plan that takes the caller's noise");
  tweedie::conditions given(labels_of(labels, r.shape[0]));
  given.arrays = arrays_of(arrays, r.shape[0]);
  nb::gil_scoped_release const free;
  return std::make_shared<running>(p, p->of->start(r, given));
}

std::shared_ptr<running> start_at(std::shared_ptr<plan const> p, nb::object sample,
                                  std::uint64_t seed, std::optional<std::vector<int>> const& labels,
                                  named_objects const& arrays) {
  given_array const x(sample, "sample");
  if (x.shape().size() < 2)
    throw error(
        fmt::format("sample: an array of shape {} was given; expected the number of samples "
                    "and the extents of one",
                    given_array::text_of(x.shape())));
  if (x.size() == 0)
    throw error(fmt::format("sample: an array of shape {} was given; expected extents of 1 or more",
                            given_array::text_of(x.shape())));
  tweedie::conditions given(labels_of(labels, x.shape()[0]));
  given.arrays = arrays_of(arrays, x.shape()[0]);
  nb::gil_scoped_release const free;
  tweedie::images const images{x.shape(), {x.data(), x.data() + x.size()}};
  return std::make_shared<running>(p, p->of->start_at(images, {.seed = seed}, given));
}

/// A view of rows, whose memory `owner` keeps.
using array = nb::ndarray<nb::numpy, float>;
array view(float* p, shape_t const& outer, tweedie::state const& s, nb::handle owner) {
  shape_t shape = outer;
  shape.insert(shape.end(), s.shape.begin(), s.shape.end());
  std::vector<std::int64_t> strides(shape.size());
  auto next = static_cast<std::int64_t>(s.pitch);
  for (std::size_t i = outer.size(); i-- > 0;) {
    strides[i] = next;
    next *= static_cast<std::int64_t>(outer[i]);
  }
  next = 1;
  for (std::size_t i = shape.size(); i-- > outer.size();) {
    strides[i] = next;
    next *= static_cast<std::int64_t>(shape[i]);
  }
  return array(p, shape.size(), shape.data(), owner, strides.data());
}

/// One evaluation: what the network is asked, for as long as it is asked that.
struct question {
  std::shared_ptr<running> loop;
  nb::object owner;
  std::size_t evaluation;

  tweedie::batch const& batch() const {
    if (!loop->loop.asked() || loop->evaluation() != evaluation)
      throw error(fmt::format(
          "the question of evaluation {} was used after it was answered; expected that of the "
          "loop's next(), and copies of what is kept longer",
          evaluation));
    return *loop->loop.asked();
  }
  array x() const {
    auto const& b = batch();
    return view(const_cast<float*>(b.x), {b.samples}, loop->state(), owner);
  }
  array out() const {
    auto const& b = batch();
    shape_t outer{b.samples};
    if (b.branches > 1) outer.insert(outer.begin(), b.branches);
    return view(b.out, outer, loop->state(), owner);
  }
  nb::ndarray<nb::numpy, int> labels() const {
    auto const& b = batch();
    std::size_t const rows = b.rows(), given = b.labels ? b.samples * b.conditions : 0;
    auto* const all = new int[rows];
    nb::capsule const free(all, [](void* p) noexcept { delete[] static_cast<int*>(p); });
    for (std::size_t i = 0; i < rows; ++i) all[i] = i < given ? b.labels[i] : tweedie::no_label;
    shape_t shape{b.samples};
    if (b.branches > 1) shape.insert(shape.begin(), b.branches);
    return nb::ndarray<nb::numpy, int>(all, shape.size(), shape.data(), free);
  }
  void write(nb::object output, std::size_t branch) const {
    auto const& b = batch();
    if (branch >= b.branches)
      throw error(fmt::format("branch {} was given; expected below {}", branch, b.branches));
    given_array const from(output, "the network's output");
    from.check_shape(b.samples, loop->state().shape);
    float* const to = b.out + branch * b.samples * b.pitch;
    nb::gil_scoped_release const free;
    copy_rows(from.data(), b.elements, to, b.pitch, b.samples, b.elements);
  }
};

/// sample and model_output in, the next sample out.
void step(running& r, nb::object model_output, nb::object sample, nb::object to, nb::object noise,
          bool check) {
  auto const lock = r.held();
  auto const* const b = r.ask();
  if (!b) throw error("a step was asked of a loop that is at its end; expected one more loop");
  auto const& s = r.state();
  shape_t of_output = s.shape;
  bool const in_place = to.is(sample);
  given_array const output(model_output, "model_output"), x(sample, "sample", in_place);
  std::optional<given_array> elsewhere;
  if (!in_place) elsewhere.emplace(to, "the array for the result", true);
  given_array const& result = in_place ? x : *elsewhere;
  if (b->branches > 1) {  // the branches, one after the other
    of_output.insert(of_output.begin(), b->samples);
    output.check_shape(b->branches, of_output);
  } else {
    output.check_shape(b->samples, s.shape);
  }
  x.check_shape(b->samples, s.shape);
  result.check_shape(b->samples, s.shape);
  std::optional<given_array> fresh;
  if (r.asks_for_noise()) {
    if (noise.is_none()) throw error("a step without noise was asked for; expected it with noise");
    fresh.emplace(noise, "noise");
    fresh->check_shape(b->samples, s.shape);
  }
  nb::gil_scoped_release const free;
  copy_rows(x.data(), b->elements, r.loop.x(), b->pitch, b->samples, b->elements);
  copy_rows(output.data(), b->elements, b->out, b->pitch, b->rows(), b->elements);
  lent_noise const lent(fresh ? fresh->data() : nullptr);
  r.answer(check);
  copy_rows(r.loop.x(), s.pitch, result.data(), s.elements, s.samples, s.elements);
}

/// To the end, with the interpreter free. Between two evaluations Python is asked for signals;
/// `progress` is told the steps that are done.
void run(running& r, network const& n, nb::object progress) {
  auto const lock = r.held();
  auto const& s = r.state();
  tweedie::detail::check_network(tweedie::forget_network(n.of), r.of->predicts, r.of->of->levels());
  shape_t shape{s.samples};
  shape.insert(shape.end(), s.shape.begin(), s.shape.end());
  n.of.check(shape, s.labels, static_cast<int>(s.branches));
  n.of.check_arrays(s.arrays,
                    static_cast<int>(s.branches) - static_cast<int>(r.of->of->layout().conditions));
  std::size_t done = r.loop.step();
  auto const total = r.of->of->steps();
  nb::gil_scoped_release const free;
  while (auto const* const asked = r.ask()) {
    n.of(*asked);  // which looks through what it writes
    r.answer(false);
    nb::gil_scoped_acquire const held;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (std::size_t const now = r.loop.step(); now > done) {
      done = now;
      if (!progress.is_none()) progress(done, total);
    }
  }
}

/// The network's own output, at times of its card's schedule: one for all samples, or one each.
array answer_of(network const& n, nb::object given, std::vector<double> const& times,
                std::optional<std::vector<int>> const& labels, named_objects const& arrays) {
  given_array const x(given, "x");
  shape_t const shape = x.shape();
  if (shape.size() < 2 || x.size() == 0)
    throw error(
        fmt::format("x: an array of shape {} was given; expected the number of samples "
                    "and the extents of one",
                    given_array::text_of(shape)));
  std::size_t const samples = shape[0], elements = x.size() / samples;
  if (times.size() != 1 && times.size() != samples)
    throw error(fmt::format("{} times were given for {} samples; expected one each, or one",
                            times.size(), samples));
  auto of_labels = labels_of(labels, samples);
  of_labels.resize(samples, of_labels.front());
  std::vector<tweedie::named_array> of_arrays;
  for (auto& [name, values] : arrays_of(arrays, samples)) {
    shape_t const of_one(values.shape.begin() + 1, values.shape.end());
    std::size_t const size = values.data.size() / values.shape[0];
    if (values.shape[0] == 1)
      for (std::size_t i = 1; i < samples; ++i)
        values.data.insert(values.data.end(), values.data.begin(),
                           values.data.begin() + static_cast<std::ptrdiff_t>(size));
    of_arrays.push_back({name, of_one, size, std::move(values.data)});
  }
  std::vector<tweedie::level> levels;
  for (std::size_t i = 0; i < samples; ++i)
    levels.push_back(n.level_at(times[times.size() == 1 ? 0 : i]));
  n.of.check(shape, of_labels, 1);
  n.of.check_arrays(of_arrays, 0);
  auto* const all = new float[x.size()];
  nb::capsule const owner(all, [](void* p) noexcept { delete[] static_cast<float*>(p); });
  tweedie::batch b;
  shape_t const of_one(shape.begin() + 1, shape.end());
  b.samples = samples;
  b.shape = of_one;
  b.elements = b.pitch = elements;
  b.x = x.data();
  b.out = all;
  b.levels = levels.data();
  b.labels = of_labels.data();
  b.arrays = of_arrays;
  {
    nb::gil_scoped_release const free;
    n.of(b);
  }
  return array(all, shape.size(), shape.data(), owner);
}

/// The same of addresses whose arrays were looked at by the caller: dense, of the loop's shape,
/// float32 on the host. `noise` is 0 where none is drawn.
void step_at(running& r, std::uintptr_t model_output, std::uintptr_t sample, std::uintptr_t to,
             std::uintptr_t noise) {
  auto const lock = r.held();
  auto const* const b = r.ask();
  if (!b) throw error("a step was asked of a loop that is at its end; expected one more loop");
  if (!model_output || !sample || !to || (r.asks_for_noise() && !noise))
    throw error("a tensor without memory was given; expected one on the CPU that has some");
  auto const& s = r.state();
  nb::gil_scoped_release const free;
  copy_rows(reinterpret_cast<float const*>(sample), b->elements, r.loop.x(), b->pitch, b->samples,
            b->elements);
  copy_rows(reinterpret_cast<float const*>(model_output), b->elements, b->out, b->pitch, b->rows(),
            b->elements);
  lent_noise const lent(reinterpret_cast<float const*>(noise));
  r.answer(true);
  copy_rows(r.loop.x(), s.pitch, reinterpret_cast<float*>(to), s.elements, s.samples, s.elements);
}

void write_png(std::string const& path, nb::object pictures, std::size_t columns) {
  given_array const a(pictures, "pictures");
  shape_t const shape = a.shape();
  bool const has_channels = shape.size() == 4;
  if ((!has_channels && shape.size() != 3) || a.size() == 0)
    throw error(
        fmt::format("pictures: an array of shape {} was given; expected (pictures, height, "
                    "width) or (pictures, channels, height, width)",
                    given_array::text_of(shape)));
  nb::gil_scoped_release const free;
  tweedie::io::picture_shape of{
      .count = shape[0], .height = shape[shape.size() - 2], .width = shape[shape.size() - 1]};
  if (has_channels) of.channels = shape[1];
  tweedie::io::write_png(path, {a.data(), a.size()}, of, {.columns = columns});
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "What tweedie is written over.";
  nb::exception<error>(m, "Error", PyExc_ValueError).doc() =
      "What was given and what was expected, in one sentence.";

  m.attr("version") = TWEEDIE_VERSION;
  m.def("shipped_recipes", [] {
    std::vector<std::pair<std::string, std::string>> r;
    for (auto const& one : tweedie::ready::shipped_recipes()) r.emplace_back(one.name, one.text);
    return r;
  });
  m.def("schedules", [] {
    std::vector<std::string> r;
    for (auto const one : tweedie::ready::names(tweedie::ready::schedules)) r.emplace_back(one);
    return r;
  });
  m.def("samplers", [] {
    std::vector<std::string> r;
    for (auto const one : tweedie::ready::names(tweedie::ready::samplers)) r.emplace_back(one);
    return r;
  });
  m.def("predictions", [] {
    std::vector<std::string> r;
    for (auto const one : tweedie::ready::names(tweedie::ready::predictions)) r.emplace_back(one);
    return r;
  });
  m.def("nearest", [](std::string const& given, std::vector<std::string> const& there) {
    std::vector<std::string_view> const names(there.begin(), there.end());
    return tweedie::ready::expected_names(given, names);
  });
  m.def("scheduler_classes", [] {
    std::vector<std::string> r;
    for (auto const one : tweedie::ready::scheduler_classes()) r.emplace_back(one);
    return r;
  });

  nb::class_<plan>(m, "Plan")
      .def_prop_ro("steps", [](plan const& p) { return p.of->steps(); })
      .def_prop_ro("evaluations", [](plan const& p) { return p.of->network_evaluations(); })
      .def_prop_ro("is_deterministic", [](plan const& p) { return p.of->is_deterministic(); })
      .def_prop_ro("branches", [](plan const& p) { return p.of->layout().branches; })
      .def_prop_ro("takes_noise", [](plan const& p) { return p.takes_noise; })
      .def_ro("predicts", &plan::predicts)
      .def_prop_ro("times", [](plan const& p) { return p.times; })
      .def_prop_ro("alphas",
                   [](plan const& p) {
                     std::vector<double> r;
                     for (auto const& l : p.of->levels()) r.push_back(l.alpha);
                     return r;
                   })
      .def_prop_ro("sigmas",
                   [](plan const& p) {
                     std::vector<double> r;
                     for (auto const& l : p.of->levels()) r.push_back(l.sigma);
                     return r;
                   })
      .def("explain", [](plan const& p) { return explain(*p.of); })
      .def_prop_ro("fingerprint", [](plan const& p) { return p.of->fingerprint(); });
  m.def("plan_of_recipe", &plan_of_recipe, nb::arg("text"), nb::arg("schedule").none(),
        nb::arg("prediction").none(), nb::arg("steps").none());

  using tweedie::ready::scheduler_config;
  using tweedie::ready::scheduler_grid;
  nb::class_<scheduler_grid>(m, "SchedulerGrid")
      .def_ro("timesteps", &scheduler_grid::timesteps)
      .def_ro("sigmas", &scheduler_grid::sigmas)
      .def_ro("middles", &scheduler_grid::middles)
      .def_ro("init_noise_sigma", &scheduler_grid::init_noise_sigma);
  nb::class_<scheduler_config>(m, "SchedulerConfig")
      .def_ro("class_name", &scheduler_config::class_name)
      .def_ro("num_train_timesteps", &scheduler_config::num_train_timesteps)
      .def_ro("unread", &scheduler_config::unread)
      .def_ro("log_abar", &scheduler_config::log_abar)
      .def_prop_ro("is_flow", &scheduler_config::is_flow)
      .def_prop_ro("is_scaled", &scheduler_config::is_scaled)
      .def_prop_ro("has_edm_levels", &scheduler_config::has_edm_levels)
      .def_ro("sigma_data", &scheduler_config::sigma_data)
      .def_prop_ro("order", &scheduler_config::order)
      .def(
          "grid",
          [](scheduler_config const& c, int steps, std::vector<double> const& sigmas,
             std::optional<double> mu) { return grid_of(c, steps, sigmas, mu); },
          nb::arg("steps"), nb::arg("sigmas") = std::vector<double>{}, nb::arg("mu") = nb::none());
  m.def(
      "parse_scheduler_config",
      [](std::string const& text, std::string const& source, std::string const& class_name) {
        return tweedie::ready::parse_scheduler_config(text, source, class_name);
      },
      nb::arg("text"), nb::arg("source"), nb::arg("class_name") = "");
  m.def("plan_of_config", &plan_of_config, nb::arg("config"), nb::arg("grid"),
        nb::arg("eta").none() = nb::none(), nb::arg("rederives") = false, nb::arg("scaled") = false,
        nb::arg("from_step") = 0, nb::arg("takes_noise") = false);

  nb::class_<question>(m, "Question",
                       "What the network is asked in one evaluation. It holds until the loop's "
                       "next one.")
      .def_prop_ro("x", &question::x, nb::rv_policy::reference,
                   "The noisy samples: a view of the loop's own memory.")
      .def_prop_ro("out", &question::out, nb::rv_policy::reference,
                   "Where the network's output goes: a view. With a guidance it has one more axis "
                   "in front, the branches, the conditioned one first.")
      .def_prop_ro("labels", &question::labels, nb::rv_policy::reference,
                   "int32, of the shape of out's first axes; -1 is none.")
      .def_prop_ro("time",
                   [](question const& q) {
                     q.batch();
                     return q.loop->loop.asked()->time;
                   })
      .def_prop_ro("step",
                   [](question const& q) {
                     q.batch();
                     return q.loop->loop.step();
                   })
      .def_prop_ro("alpha", [](question const& q) { return q.batch().levels[0].alpha; })
      .def_prop_ro("sigma", [](question const& q) { return q.batch().levels[0].sigma; })
      .def("write", &question::write, nb::arg("output").none(), nb::arg("branch") = 0);

  nb::class_<running>(m, "Loop")
      .def(
          "next",
          [](nb::object self, bool check) -> std::optional<question> {
            auto const loop = nb::cast<std::shared_ptr<running>>(self);
            {
              nb::gil_scoped_release const free;
              if (loop->loop.asked()) loop->answer(check);
              if (!loop->ask()) return {};
            }
            return question{loop, std::move(self), loop->evaluation()};
          },
          nb::arg("check") = true)
      .def(
          "answer",
          [](running& r, bool check) {
            nb::gil_scoped_release const free;
            r.answer(check);
          },
          nb::arg("check") = true)
      .def("step", &step, nb::arg("model_output").none(), nb::arg("sample").none(),
           nb::arg("to").none(), nb::arg("noise").none() = nb::none(), nb::arg("check") = true)
      .def("step_at", &step_at, nb::arg("model_output"), nb::arg("sample"), nb::arg("to"),
           nb::arg("noise"))
      .def_prop_ro("evaluation", &running::evaluation)
      .def_prop_ro("asks_for_noise", &running::asks_for_noise)
      .def_prop_ro("is_finished", [](running const& r) { return r.of->of->finished(r.state()); })
      .def_prop_ro("step_index", [](running const& r) { return r.loop.step(); })
      .def_prop_ro(
          "samples",
          [](nb::object self) {
            auto& r = nb::cast<running&>(self);
            return view(r.loop.x(), {r.state().samples}, r.state(), self);
          },
          nb::rv_policy::reference)
      .def_prop_ro(
          "x0",
          [](nb::object self) {
            auto& r = nb::cast<running&>(self);
            tweedie::images made;
            {
              nb::gil_scoped_release const free;
              if (r.loop.asked()) r.loop.check_output();
              made = r.loop.x0();
            }
            auto const shape = made.shape;
            auto* const all = new std::vector<float>(std::move(made.data));
            nb::capsule const owner(
                all, [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
            return nb::ndarray<nb::numpy, float>(all->data(), shape.size(), shape.data(), owner);
          },
          nb::rv_policy::reference)
      .def("save", [](running& r, std::string const& path) {
        nb::gil_scoped_release const free;
        if (r.loop.asked())
          throw error(
              "a loop that waits for an output was to be saved; expected one whose output was "
              "taken, "
              "by answer()");
        save_state(path, *r.of->of, r.state());
      });
  m.def("start", &start, nb::arg("plan"), nb::arg("shape"), nb::arg("seed"), nb::arg("first_id"),
        nb::arg("labels").none(), nb::arg("arrays") = named_objects{});
  m.def("start_at", &start_at, nb::arg("plan"), nb::arg("sample").none(), nb::arg("seed"),
        nb::arg("labels").none(), nb::arg("arrays") = named_objects{});
  m.def("load", [](std::shared_ptr<plan const> p, std::string const& path) {
    nb::gil_scoped_release const free;
    return std::make_shared<running>(p, tweedie::load_state(path, *p->of));
  });

  nb::class_<network>(m, "NetworkFile")
      .def_prop_ro("card", [](network const& n) { return to_toml(n.card()); })
      .def_prop_ro("predicts", [](network const& n) { return n.card().predicts; })
      .def_prop_ro("schedule", [](network const& n) { return n.card().schedule.name; })
      .def_prop_ro("shape", [](network const& n) { return n.of.shape(); })
      .def_prop_ro("engine", [](network const& n) { return n.of.engine_name(); })
      .def_prop_ro("count",
                   [](network const& n) -> std::optional<std::size_t> {
                     if (!n.card().labels) return {};
                     return n.card().labels->count;
                   })
      .def_prop_ro("names",
                   [](network const& n) {
                     return n.card().labels ? n.card().labels->names : std::vector<std::string>{};
                   })
      .def_prop_ro("has_null",
                   [](network const& n) { return n.card().labels && n.card().labels->null; })
      .def_prop_ro("conditions",
                   [](network const& n) {
                     std::vector<std::string> r;
                     for (auto const& c : n.card().conditions) r.push_back(c.name);
                     return r;
                   })
      .def_prop_ro("negatives",
                   [](network const& n) {
                     std::vector<std::string> r;
                     for (auto const& c : n.card().conditions)
                       if (!c.negative.empty()) r.push_back(c.negative);
                     return r;
                   })
      .def_prop_ro("without_null",
                   [](network const& n) {
                     std::vector<std::string> r;
                     for (auto const& c : n.card().conditions)
                       if (!c.null && c.negative.empty()) r.push_back(c.name);
                     return r;
                   })
      .def("__call__", &answer_of, nb::arg("x").none(), nb::arg("times"), nb::arg("labels").none(),
           nb::arg("arrays"));
#if defined(TWEEDIE_OPENVINO_VERSION)
  m.attr("openvino_version") = TWEEDIE_OPENVINO_VERSION;
#else
  m.attr("openvino_version") = "";  // built without
#endif
  m.def("open_network", &open_network, nb::arg("path"), nb::arg("threads"), nb::arg("precision"),
        nb::arg("card").none(), nb::arg("source"));
  m.def("plan_of_network", &plan_of_network, nb::arg("network"), nb::arg("text"),
        nb::arg("steps").none(), nb::arg("clips"));
  m.def("write_png", &write_png, nb::arg("path"), nb::arg("pictures").none(), nb::arg("columns"));
  m.def("run", &run, nb::arg("loop"), nb::arg("network"), nb::arg("progress").none());
}
