#include <tweedie/pipelines/recorded_loop.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

recorded_loop any_plan::record(request const& r, conditions const& given,
                               placement const& where) const {
  if (!where.on_device())
    throw error("a loop on the host was to be recorded, expected one on a device: on(stream)");
  check_place(where);
  auto const refuse = [](char const* what) {
    throw error(
        fmt::format("{} was to be recorded, expected one that only enqueues its work, the "
                    "same each time, and does not say is_capturable = false",
                    what));
  };
  if (!of_.calls->network_use().is_capturable) refuse("a network that cannot be");
  if (layout().extras > 0 && !of_.calls->extras_use().is_capturable)
    refuse("a guidance whose network cannot be");
  if (layout().noise_given)
    throw error(
        "a loop whose noise is the caller's own was to be recorded, expected one that draws it: a "
        "recording would repeat the same keys; remove noise_from");
  if (!given.arrays.empty())
    throw error(fmt::format(
        "a loop with the condition '{}' was to be recorded, expected one of labels alone: the "
        "recording would read the memory that this array has now",
        given.arrays[0].first));
  recorded_loop loop(start(r, given, where), layout(), of_.calls);
  state& s = loop.state_;
  std::vector<sample_key> const keys = s.keys;
  auto const run_steps = [&] { go(s, 0, steps(), of_.calls->network); };
  run_steps();
  s.keys = keys;
  s.evaluated = 0;
  s.forget_device();
  s.tell_device();
  where.memory->begin_recording();
  try {
    // What a guidance remembers is 0 at first.
    for (buffer& b : s.memory) where.memory->zero(b.data(), b.size() * sizeof(float));
    draw(s);
    run_steps();
  } catch (...) {
    where.memory->drop_recording();
    throw;
  }
  loop.recording_ = where.memory->end_recording();
  // What was recorded was not done: the samples are those of the run before.
  return loop;
}

void recorded_loop::launch(request const& r, conditions const& given) {
  if (!given.arrays.empty())
    throw error(fmt::format(
        "a condition '{}' was given to a recorded loop, expected labels alone: it was recorded "
        "without",
        given.arrays[0].first));
  state of = detail::make_samples(r, given, layout_.conditions);
  if (of.samples != state_.samples || of.shape != state_.shape)
    throw error(fmt::format(
        "{} samples of shape {{{}}} were asked of a loop that was recorded for {} of shape {{{}}}, "
        "expected as many of that shape",
        of.samples, fmt::join(of.shape, ", "), state_.samples, fmt::join(state_.shape, ", ")));
  if (calls_->check) calls_->check(r.shape, given.of_all(), of.arrays);
  detail::take_known(of, r, layout_.uses_known);
  detail::take_mask(of, r, layout_.uses_mask);
  if (of.mask_period != state_.mask_period || of.mask_stride != state_.mask_stride)
    throw error(
        "a mask of another shape than the recorded loop's was given, expected one of its shape");
  state_.where.memory->check_ready();
  auto const evaluated = static_cast<std::uint32_t>(state_.evaluated);
  state_.known.put(0, of.known.data(), of.known.size());
  state_.mask.put(0, of.mask.data(), of.mask.size());
  state_.keys = of.keys;
  state_.labels = of.labels;
  state_.tell_device();
  recording_->launch();
  for (sample_key& key : state_.keys) key.step += evaluated;
}

}  // namespace tweedie
