// The C interface: handles that are known here alone, and each failure as a sentence of its thread.
#include <tweedie.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/ready/scheduler_config.hpp>

namespace {

using tweedie::error;

thread_local std::string last_error;

/// The handles that are alive, so that one that was released is a sentence.
template <class Handle> class alive {
 public:
  Handle* add(std::unique_ptr<Handle> one) {
    std::lock_guard const lock(mutex_);
    all_.insert(one.get());
    return one.release();
  }
  void check(Handle const* one, char const* what) const {
    if (!one) throw error(fmt::format("{}, a null pointer, was given; expected one", what));
    std::lock_guard const lock(mutex_);
    if (!all_.contains(one))
      throw error(
          fmt::format("{} was given that was released, or never was; expected a live one", what));
  }
  void release(Handle* one, char const* what) {
    if (!one) return;
    check(one, what);
    {
      std::lock_guard const lock(mutex_);
      all_.erase(one);
    }
    delete one;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_set<Handle const*> all_;
};

/// What f returns; `failed`, with its sentence kept, if it throws.
template <class R, class F> R guarded(R failed, F f) noexcept {
  try {
    return f();
  } catch (std::bad_alloc const&) {
    last_error = "there is not enough memory";
  } catch (std::exception const& e) {
    last_error = e.what();
  }
  return failed;
}

void check_given(void const* p, char const* what) {
  if (!p) throw error(fmt::format("{}, a null pointer, was given; expected one", what));
}

}  // namespace

struct tweedie_plan {
  std::shared_ptr<tweedie::any_plan const> plan;
  std::shared_ptr<std::vector<double> const> timesteps = {};  ///< of a scheduler_config.json
  std::string unread = {};                                    ///< its keys that were left aside
};

struct tweedie_loop {
  std::shared_ptr<tweedie::any_plan const> plan;
  std::shared_ptr<std::vector<double> const> timesteps;
  tweedie::driven_loop loop;
};

namespace {

alive<tweedie_plan>& plans() {
  static alive<tweedie_plan> all;
  return all;
}
alive<tweedie_loop>& loops() {
  static alive<tweedie_loop> all;
  return all;
}
constexpr char const *a_plan = "a tweedie_plan", *a_loop = "a tweedie_loop";

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
    return plans().add(std::unique_ptr<tweedie_plan>(new tweedie_plan{std::move(plan)}));
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
    auto timesteps = std::make_shared<std::vector<double> const>(grid.timesteps);
    return plans().add(std::unique_ptr<tweedie_plan>(new tweedie_plan{
        std::move(plan), std::move(timesteps), fmt::format("{}", fmt::join(config.unread, ", "))}));
  });
}

char const* tweedie_plan_unread(tweedie_plan const* plan) {
  return guarded<char const*>(nullptr, [&] {
    plans().check(plan, a_plan);
    return plan->unread.c_str();
  });
}

size_t tweedie_plan_steps(tweedie_plan const* plan) {
  return guarded<size_t>(0, [&] {
    plans().check(plan, a_plan);
    return plan->plan->steps();
  });
}

size_t tweedie_plan_evaluations(tweedie_plan const* plan) {
  return guarded<size_t>(0, [&] {
    plans().check(plan, a_plan);
    return plan->plan->network_evaluations();
  });
}

void tweedie_plan_release(tweedie_plan* plan) {
  guarded(0, [&] { return plans().release(plan, a_plan), 0; });
}

tweedie_loop* tweedie_loop_start(tweedie_plan const* plan, size_t const* shape, size_t extents,
                                 uint64_t seed, int32_t const* labels) {
  return guarded<tweedie_loop*>(nullptr, [&] {
    using namespace tweedie;
    plans().check(plan, a_plan);
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
    auto const& of = plan->plan;
    return loops().add(std::unique_ptr<tweedie_loop>(
        new tweedie_loop{of, plan->timesteps, driven_loop(*of, of->start(r, given))}));
  });
}

int tweedie_loop_next(tweedie_loop* loop, tweedie_question* question) {
  return guarded(-1, [&] {
    loops().check(loop, a_loop);
    check_given(question, "room for a question");
    *question = {};
    tweedie::batch const* const ask = loop->loop.next();
    if (!ask) return 0;
    tweedie::level const& at = ask->levels[0];
    double const time = loop->timesteps ? (*loop->timesteps)[loop->loop.now().evaluated] : at.t;
    *question = {loop->loop.step(), ask->samples, ask->branches, ask->elements, ask->pitch, time,
                 at.alpha,          at.sigma,     ask->x,        ask->out,      ask->labels};
    return 1;
  });
}

int tweedie_loop_answer(tweedie_loop* loop) {
  return guarded(-1, [&] {
    loops().check(loop, a_loop);
    loop->loop.check_output();
    loop->loop.answer();
    return 0;
  });
}

int tweedie_loop_samples(tweedie_loop* loop, float* to, size_t floats) {
  return guarded(-1, [&] {
    loops().check(loop, a_loop);
    check_given(to, "room for samples");
    tweedie::images const samples = loop->loop.samples();
    if (floats != samples.data.size())
      throw tweedie::error(
          fmt::format("room for {} floats was given; expected {}", floats, samples.data.size()));
    std::ranges::copy(samples.data, to);
    return 0;
  });
}

void tweedie_loop_release(tweedie_loop* loop) {
  guarded(0, [&] { return loops().release(loop, a_loop), 0; });
}
