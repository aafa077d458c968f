// The C interface: handles that are known here alone, and each failure as a sentence of its thread.
#include <tweedie.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/base/half.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/ready/scheduler_config.hpp>
#include <tweedie/pipelines/state_file.hpp>

namespace {

using tweedie::error;

thread_local std::string last_error;

void keep_sentence(char const* what) noexcept {
  try {
    last_error = what;
  } catch (...) {  // what is short needs no memory
    last_error = "no memory";
  }
}

/// What f returns; `failed`, with its sentence kept, if it throws.
template <class R, class F> R guarded(R failed, F f) noexcept {
  try {
    return f();
  } catch (std::bad_alloc const&) {
    keep_sentence("there is not enough memory");
  } catch (std::exception const& e) {
    keep_sentence(e.what());
  } catch (...) {
    keep_sentence("an exception of an unknown type was thrown");
  }
  return failed;
}

void check_given(void const* p, char const* what) {
  if (!p) throw error(fmt::format("{}, a null pointer, was given; expected one", what));
}

/// A question has room for one output a branch.
void check_answers(tweedie::any_plan const& p) {
  if (p.layout().learns_variance)
    throw error(
        "a sampler was given that reads the variance which a network has learned; expected another "
        "variance_type or sampler, since a question has no room for it here");
}

struct plan_of_c {
  std::shared_ptr<tweedie::any_plan const> plan;
  std::vector<double> timesteps = {};  ///< of a scheduler_config.json
  std::string unread = {};             ///< its keys that were left aside
};

struct loop_of_c {
  std::shared_ptr<plan_of_c const> of;
  tweedie::driven_loop loop;
  std::string failed = {};  ///< the sentence of an answer that was not taken
  std::mutex used = {};     ///< by one thread at a time
};

/// The objects behind handles. A handle is a number, and no number is given twice, so that one that
/// was released stays unknown whatever was made since.
template <class Handle, class Object> class table {
 public:
  explicit table(char const* what) : what_(what) {}

  Handle* add(std::shared_ptr<Object> one) {
    std::lock_guard const lock(mutex_);
    next_ += step;
    all_.emplace(next_, std::move(one));
    return reinterpret_cast<Handle*>(next_);
  }
  /// Alive for as long as it is used, even where another thread releases it.
  std::shared_ptr<Object> find(Handle const* handle) const {
    if (!handle) throw error(fmt::format("{}, a null pointer, was given; expected one", what_));
    std::lock_guard const lock(mutex_);
    auto const there = all_.find(reinterpret_cast<std::uintptr_t>(handle));
    if (there == all_.end())
      throw error(
          fmt::format("{} was given that was released, or never was; expected a live one", what_));
    return there->second;
  }
  void release(Handle* handle) {
    if (!handle) return;
    auto const last = find(handle);  // dies after the lock
    std::lock_guard const lock(mutex_);
    all_.erase(reinterpret_cast<std::uintptr_t>(handle));
  }

 private:
  static constexpr std::uintptr_t step = 16;  // aligned, as a pointer would be
  char const* what_;
  mutable std::mutex mutex_;
  std::uintptr_t next_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Object>> all_;
};

table<tweedie_plan, plan_of_c>& plans() {
  static table<tweedie_plan, plan_of_c> all("a tweedie_plan");
  return all;
}
table<tweedie_loop, loop_of_c>& loops() {
  static table<tweedie_loop, loop_of_c> all("a tweedie_loop");
  return all;
}

/// A loop for the length of a call.
class used_loop {
 public:
  explicit used_loop(tweedie_loop const* handle)
      : of_(loops().find(handle)), lock_(of_->used, std::try_to_lock) {
    if (!lock_.owns_lock())
      throw error("a tweedie_loop was given that another thread is using; expected one a thread");
  }
  tweedie::driven_loop& operator*() const { return of_->loop; }
  tweedie::driven_loop* operator->() const { return &of_->loop; }
  tweedie::any_plan const& plan() const { return *of_->of->plan; }

  /// Takes an answer by f. A loop whose answers are not looked at ends at the next question, with
  /// the sentence of the one that failed.
  template <class F> void answer_by(F f) const {
    try {
      f();
      of_->failed.clear();
    } catch (std::exception const& e) {
      of_->failed = e.what();
      throw;
    }
  }
  void forget_failure() const { of_->failed.clear(); }
  void check_answered() const {
    if (of_->loop.asked() && !of_->failed.empty()) throw error(of_->failed);
  }

 private:
  std::shared_ptr<loop_of_c> of_;
  std::unique_lock<std::mutex> lock_;
};

tweedie_loop* new_loop(std::shared_ptr<plan_of_c const> of, tweedie::state s) {
  tweedie::driven_loop loop(*of->plan, std::move(s), of->timesteps);
  return loops().add(std::shared_ptr<loop_of_c>(new loop_of_c{std::move(of), std::move(loop)}));
}

// ---- A caller's buffers

struct element {
  char const* name;
  std::size_t bytes;
};
constexpr std::array<element, 3> elements{{{"float32", 4}, {"float16", 2}, {"bfloat16", 2}}};

/// Throws where a buffer is not `rows` rows of so many elements on the host.
void check_buffer(tweedie_buffer const* b, char const* what, std::size_t rows,
                  std::size_t row_elements) {
  check_given(b, what);
  if (b->device == TWEEDIE_CUDA)
    throw error(
        fmt::format("{}: a buffer on a CUDA device was given to a library that was built without "
                    "CUDA; expected one on the host",
                    what));
  if (b->device != TWEEDIE_HOST)
    throw error(fmt::format(
        "{}: a buffer on device {} was given; expected TWEEDIE_HOST, which is 0", what, b->device));
  if (b->stream)
    throw error(
        fmt::format("{}: a stream was given with a buffer on the host; expected NULL", what));
  if (b->type < 0 || b->type >= static_cast<std::int32_t>(elements.size()))
    throw error(
        fmt::format("{}: a buffer of type {} was given; expected TWEEDIE_FLOAT32 (0), "
                    "TWEEDIE_FLOAT16 (1) or TWEEDIE_BFLOAT16 (2)",
                    what, b->type));
  element const& of = elements[static_cast<std::size_t>(b->type)];
  if (std::size_t const expected = rows * row_elements * of.bytes; b->bytes != expected)
    throw error(
        fmt::format("{}: a buffer of {} bytes was given; expected {}: {} rows of {} elements of {}",
                    what, b->bytes, expected, rows, row_elements, of.name));
  check_given(b->data, fmt::format("{}, its data", what).c_str());
  if (reinterpret_cast<std::uintptr_t>(b->data) % of.bytes != 0)
    throw error(
        fmt::format("{}: a buffer at an address that is no multiple of {} was given; "
                    "expected it aligned to its elements, {}",
                    what, of.bytes, of.name));
}

template <class F> void with_type(tweedie_buffer const& b, F f) {
  if (b.type == TWEEDIE_FLOAT16) f(static_cast<tweedie::float16*>(b.data));
  else if (b.type == TWEEDIE_BFLOAT16) f(static_cast<tweedie::bfloat16*>(b.data));
  else f(static_cast<float*>(b.data));
}

void copy_element_rows(float const* from, std::size_t pitch, tweedie_buffer const& to,
                       std::size_t rows, std::size_t n) {
  with_type(to, [&]<class T>(T* p) {
    for (std::size_t i = 0; i < rows; ++i, p += n, from += pitch)
      if constexpr (std::is_same_v<T, float>) std::memcpy(p, from, n * sizeof(float));
      else
        for (std::size_t j = 0; j < n; ++j) p[j] = tweedie::from_float<T>(from[j]);
  });
}

void copy_element_rows(tweedie_buffer const& from, float* to, std::size_t pitch, std::size_t rows,
                       std::size_t n) {
  with_type(from, [&]<class T>(T const* p) {
    for (std::size_t i = 0; i < rows; ++i, p += n, to += pitch)
      if constexpr (std::is_same_v<T, float>) std::memcpy(to, p, n * sizeof(float));
      else
        for (std::size_t j = 0; j < n; ++j) to[j] = tweedie::to_float(p[j]);
  });
}

void check_samples(tweedie_buffer const* b, char const* what, tweedie::state const& s) {
  check_buffer(b, what, s.samples, s.elements);
}

/// What the network reads next; at the end x itself.
void write_x(used_loop const& loop, tweedie_buffer const& to) {
  tweedie::state const& s = loop->now();
  bool const has_input = loop.plan().layout().inputs > 0 && !loop.plan().finished(s);
  copy_element_rows(has_input ? s.net_in.data() : s.x.data(), s.pitch, to, s.samples, s.elements);
}

/// The output of the question that waits, from the caller's buffer.
void take_output(tweedie::batch const& ask, tweedie_buffer const* out) {
  check_buffer(out, "out", ask.rows(), ask.elements);
  copy_element_rows(*out, ask.out, ask.pitch, ask.rows(), ask.elements);
}

/// The request of a shape, and its labels.
std::pair<tweedie::request, tweedie::labels> request_of(size_t const* shape, size_t extents,
                                                        uint64_t seed, int32_t const* labels) {
  using namespace tweedie;
  check_given(shape, "a shape");
  constexpr size_t most = 64;
  if (extents < 2 || extents > most)
    throw error(
        fmt::format("a shape of {} extents was given; expected 2 to {}: the number of "
                    "samples, and those of a sample",
                    extents, most));
  request r{.seed = seed};
  r.shape.assign(shape, shape + extents);
  detail::make_samples(r, tweedie::labels{no_label}, 1);  // before labels are counted by it
  tweedie::labels given{no_label};
  if (labels) given.assign(labels, labels + r.shape[0]);
  return {std::move(r), std::move(given)};
}

}  // namespace

char const* tweedie_error(void) { return last_error.c_str(); }

tweedie_plan* tweedie_plan_from_recipe(char const* text, char const* schedule,
                                       char const* prediction) {
  return guarded<tweedie_plan*>(nullptr, [&] {
    using namespace tweedie;
    check_given(text, "a recipe's text");
    ready::recipe const r = ready::parse_recipe_beside(text, schedule, prediction);
    auto plan = std::make_shared<any_plan const>(
        ready::make_plan(r, *r.schedule, *r.predicts, ready::network_of_caller()));
    check_answers(*plan);
    return plans().add(std::make_shared<plan_of_c>(plan_of_c{std::move(plan)}));
  });
}

tweedie_plan* tweedie_plan_from_scheduler_config(char const* json, size_t steps) {
  return guarded<tweedie_plan*>(nullptr, [&] {
    using namespace tweedie;
    check_given(json, "a configuration's text");
    auto const config = ready::parse_scheduler_config(json, "the configuration");
    constexpr size_t most = std::numeric_limits<int>::max();
    auto const grid = ready::grid_of(config, static_cast<int>(std::min(steps, most)));
    auto plan = std::make_shared<any_plan const>(
        ready::make_plan(config, grid, {}, ready::network_of_caller()));
    check_answers(*plan);
    return plans().add(std::make_shared<plan_of_c>(plan_of_c{
        std::move(plan), grid.timesteps, fmt::format("{}", fmt::join(config.unread, ", "))}));
  });
}

char const* tweedie_plan_unread(tweedie_plan const* plan) {
  return guarded<char const*>(nullptr, [&] { return plans().find(plan)->unread.c_str(); });
}

size_t tweedie_plan_steps(tweedie_plan const* plan) {
  return guarded<size_t>(0, [&] { return plans().find(plan)->plan->steps(); });
}

size_t tweedie_plan_evaluations(tweedie_plan const* plan) {
  return guarded<size_t>(0, [&] { return plans().find(plan)->plan->network_evaluations(); });
}

void tweedie_plan_release(tweedie_plan* plan) {
  guarded(0, [&] { return plans().release(plan), 0; });
}

tweedie_loop* tweedie_loop_start(tweedie_plan const* plan, size_t const* shape, size_t extents,
                                 uint64_t seed, int32_t const* labels) {
  return guarded<tweedie_loop*>(nullptr, [&] {
    auto of = plans().find(plan);
    auto const [request, given] = request_of(shape, extents, seed, labels);
    auto s = of->plan->start(request, given);
    return new_loop(std::move(of), std::move(s));
  });
}

tweedie_loop* tweedie_loop_start_at(tweedie_plan const* plan, size_t const* shape, size_t extents,
                                    tweedie_buffer const* x, uint64_t seed, int32_t const* labels) {
  return guarded<tweedie_loop*>(nullptr, [&] {
    auto of = plans().find(plan);
    auto const [request, given] = request_of(shape, extents, seed, labels);
    std::size_t const samples = request.shape[0], all = tweedie::detail::product_of(request.shape);
    check_buffer(x, "x", samples, all / samples);
    tweedie::images at{request.shape, std::vector<float>(all)};
    copy_element_rows(*x, at.data.data(), all / samples, samples, all / samples);
    auto s = of->plan->start_at(at, request, given);
    return new_loop(std::move(of), std::move(s));
  });
}

int tweedie_loop_next(tweedie_loop* loop, tweedie_question* question) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    check_given(question, "room for a question");
    *question = {};
    used.check_answered();
    tweedie::question const* const ask = used->next();
    used.forget_failure();  // of what was answered before anything was asked
    if (!ask) return 0;
    tweedie::level const& at = ask->levels[0];
    *question = {used->step(), ask->samples, ask->branches, ask->elements, ask->pitch, ask->time,
                 at.alpha,     at.sigma,     ask->x,        ask->out,      ask->labels};
    return 1;
  });
}

int tweedie_loop_answer(tweedie_loop* loop) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    used.answer_by([&] { used->answer(); });
    return 0;
  });
}

int tweedie_loop_samples(tweedie_loop* loop, float* to, size_t floats) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    check_given(to, "room for samples");
    tweedie::state const& s = used->now();
    if (floats != s.samples * s.elements)
      throw error(
          fmt::format("room for {} floats was given; expected {}", floats, s.samples * s.elements));
    copy_element_rows(s.x.data(), s.pitch, {to, 0, TWEEDIE_FLOAT32, TWEEDIE_HOST, nullptr},
                      s.samples, s.elements);
    return 0;
  });
}

int tweedie_loop_x(tweedie_loop* loop, tweedie_buffer const* x) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    check_samples(x, "x", used->now());
    write_x(used, *x);
    return 0;
  });
}

int tweedie_loop_step(tweedie_loop* loop, tweedie_buffer const* x, tweedie_buffer const* out) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    used.answer_by([&] {
      check_samples(x, "x", used->now());
      tweedie::question const* const ask = used->asked() ? used->asked() : used->next();
      if (!ask)
        throw error("a step was asked of a loop that is at its end; expected one more loop");
      take_output(*ask, out);
      used->answer();
    });
    write_x(used, *x);
    return 0;
  });
}

int tweedie_loop_preview(tweedie_loop* loop, tweedie_buffer const* out, tweedie_buffer const* x0) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    tweedie::state const& s = used->now();
    check_samples(x0, "x0", s);
    if (out && used->asked()) take_output(*used->asked(), out);
    used->check_output();
    copy_element_rows(used->x0_rows(), s.pitch, *x0, s.samples, s.elements);
    return 0;
  });
}

int tweedie_loop_save(tweedie_loop* loop, char const* path) {
  return guarded(-1, [&] {
    used_loop const used(loop);
    check_given(path, "a file's name");
    tweedie::save_state(path, used.plan(), used->now());
    return 0;
  });
}

tweedie_loop* tweedie_loop_load(tweedie_plan const* plan, char const* path) {
  return guarded<tweedie_loop*>(nullptr, [&] {
    auto of = plans().find(plan);
    check_given(path, "a file's name");
    auto s = tweedie::load_state(path, *of->plan);
    return new_loop(std::move(of), std::move(s));
  });
}

void tweedie_loop_release(tweedie_loop* loop) {
  guarded(0, [&] { return loops().release(loop), 0; });
}
