// The loop over the steps of a plan: each step has one evaluation or more (`row`), each of which is
// a call of the network and a launch.
#include <algorithm>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

void any_plan::go(state& s, std::size_t from, std::size_t to, network_function const& network,
                  progress const& report) const {
  // Another network, of advance(s, net), must be called: not the one inside the kernel.
  bool const own = &network == &of_.calls->network;
  if (s.where.on_device()) check_place(s.where, own);  // it may have been moved there
  std::vector<level> seen, targets;
  for (std::size_t k = from; k < to; ++k) {
    for (row const& r : rows_of_step(k)) {
      seen.assign(s.samples, r.where);
      targets.assign(s.samples, r.to);
      if (own && of_.structures[r.structure].inlined) {
        apply_inlined(r, s, seen, targets);
      } else {
        evaluate_by(r, s, seen, targets, network);
        apply(r, s);
      }
    }
    if (report) report(k + 1, steps());
  }
}

images any_plan::run(state s, progress const& report) const {
  if (!finished(s)) go(s, step_of(s), steps(), of_.calls->network, report);
  return take(s);
}

void any_plan::advance(state& s) const { advance_by(s, of_.calls->network); }
void any_plan::advance_by(state& s, network_function const& network) const {
  std::size_t const k = step_of(s);
  go(s, k, k + 1, network);
}

void any_plan::evaluate_by(row const& r, state& s, std::span<level const> seen,
                           std::span<level const> to, network_function const& network) const {
  batch const b = batch_of(r, s, seen, to);
  network(b);
  s.settle("the network");
  if (r.extras) evaluate_extras(b, s);
}

void any_plan::evaluate_extras(batch b, state& s) const {
  b.branches = layout().extras;
  b.x = s.x.data();
  b.input = b.x;
  b.input_rows = s.samples;
  b.out = s.pointer(sym::grad{});
  b.output = b.out;
  b.variance = nullptr;
  of_.calls->extras(b);
  s.settle("the guidance's network");
}

void any_plan::apply(row const& r, state& s) const {
  if (s.plan != fingerprint_) refuse(s);
  give_noise(program(r), s);
  of_.structures[r.structure].code->launch({rounded(r).data()}, s, s.kernel_rows());
  s.count_evaluation();
}

// evaluate() and apply() as one kernel.
void any_plan::apply_inlined(row const& r, state& s, std::span<level const> seen,
                             std::span<level const> to) const {
  batch const b = batch_of(r, s, seen, to);
  if (r.extras) evaluate_extras(b, s);
  give_noise(program(r), s);
  of_.structures[r.structure].inlined->launch(b, {rounded(r).data()}, s, s.kernel_rows());
  s.count_evaluation();
}

namespace {

bool reads_stream(any_program const& program, std::uint32_t k) {
  symbol_id const given{sym::word::given_noise, static_cast<int>(k)};
  return std::ranges::any_of(program.kernels, [&](any_kernel const& kernel) {
    return std::ranges::any_of(kernel.reads,
                               [&](any_symbol const& one) { return one.id == given; });
  });
}

}  // namespace

// The noise that the caller gives, of the streams that a program reads.
void any_plan::give_noise(any_program const& program, state& s) const {
  for (std::uint32_t k : layout().streams) {
    if (!reads_stream(program, k)) continue;
    of_.calls->noise(s.ask_noise(k, s.given_noise[k]));
    s.settle("the source of noise");
  }
}
bool any_plan::asks_for_noise(std::size_t evaluation) const {
  return std::ranges::any_of(layout().streams, [&](std::uint32_t k) {
    return reads_stream(program(of_.rows.at(evaluation)), k);
  });
}

batch any_plan::batch_of(row const& r, state& s, std::span<level const> seen,
                         std::span<level const> to) const {
  if (s.plan != fingerprint_) refuse(s);
  state_layout const& of = layout();
  bool const on_device = s.where.on_device();
  void const* const input = of.inputs > 0 ? s.net_in.data() : s.x.data();
  auto const branches = static_cast<std::size_t>(r.branches);
  return {.samples = s.samples,
          .branches = branches,
          .shape = s.shape,
          .elements = s.elements,
          .pitch = s.pitch,
          .x = of.input == element_type::float32 ? static_cast<float const*>(input) : nullptr,
          .out = of.output == element_type::float32 ? s.out.data() : nullptr,
          .levels = seen.data(),
          .labels = s.labels.data(),
          .conditions = of.conditions,
          .arrays = s.arrays,
          .variance = of.learns_variance ? s.pointer(sym::out_variance{}) : nullptr,
          .input = input,
          .output = s.out.data(),
          .input_rows = of.input_per_branch ? s.samples * branches : s.samples,
          .on_device = on_device,
          .stream = on_device ? s.where.memory->stream() : nullptr,
          .device_labels = s.device_labels(),
          .targets = to.empty() ? nullptr : to.data()};
}

}  // namespace tweedie
