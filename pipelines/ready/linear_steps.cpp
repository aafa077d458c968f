#include <tweedie/pipelines/ready/linear_steps.hpp>

#include <algorithm>
#include <memory>

namespace tweedie::ready {

linear& linear::operator+=(linear const& other) {
  for (auto const& [symbol, factor] : other.terms_) {
    auto const is_it = [s = symbol](auto const& one) { return one.first == s; };
    auto const there = std::ranges::find_if(terms_, is_it);
    if (there != terms_.end()) there->second += factor;
    else terms_.emplace_back(symbol, factor);
  }
  return *this;
}
linear& linear::operator*=(double factor) {
  for (auto& one : terms_) one.second *= factor;
  return *this;
}

namespace {

using all_steps = std::vector<linear_step>;

struct quotient {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "quotient by";
  TWEEDIE_HD static float apply(float const* p, float const* a) { return a[0] / p[0]; }
};

lowering::statement put(lowering::ir& p, linear_statement const& s) {
  int const first = p.terms.size;
  for (auto const& [symbol, factor] : s.value.terms()) p.terms.add({factor, symbol});
  int const form = p.expressions.add({});
  if (p.expressions.full) return {s.target, form};
  p.expressions[form].terms = {first, p.terms.size};
  if (!s.over) return {s.target, form};
  int const parameter = p.parameters.add(*s.over), at = p.expressions.add({});
  if (p.expressions.full) return {s.target, form};
  p.expressions[at] = {
      .terms = {},
      .by = lowering::operation::of(detail::function_of<quotient, 1>, p.operations++),
      .parameters = {parameter, parameter + 1},
      .arguments = {form, form + 1}};
  return {s.target, at};
}
any_step put(lowering::ir& p, linear_step const& step) {
  any_step r;
  for (linear_evaluation const& one : step.evaluations) {
    r.evaluations.push_back({one.where, {}});
    for (linear_statement const& s : one.statements) r.evaluations.back().statements.add(put(p, s));
  }
  return r;
}

}  // namespace

any_sampler forget_linear_steps(all_steps steps, noise_before entering) {
  any_sampler r;
  r.longest = static_cast<int>(steps.size());  // so that `before` is the index of the step
  for (linear_step const& step : steps)
    for (linear_evaluation const& e : step.evaluations)
      for (linear_statement const& s : e.statements) {
        r.assigned.push_back(s.target);
        for (auto const& term : s.value.terms()) r.mentioned.push_back(term.first);
      }
  if (!entering.empty()) {
    r.mentioned.push_back({sym::word::noise_stream, 0});
    auto const shared = std::make_shared<noise_before const>(std::move(entering));
    r.enter = {shared, [](void const* self, lowering::ir& p, level t, level, path const&,
                          lowering::statements& to) {
                 linear sum = sym::x::id;
                 for (auto const& [sigma, deviation] : *static_cast<noise_before const*>(self))
                   if (sigma == t.sigma)
                     sum += deviation * linear(symbol_id{sym::word::noise_stream, 0});
                 to.add(put(p, linear_statement{sym::x::id, sum}));
               }};
  }
  for (auto* const all : {&r.assigned, &r.mentioned}) {
    std::ranges::sort(*all);
    all->erase(std::unique(all->begin(), all->end()), all->end());
  }
  auto const shared = std::make_shared<all_steps const>(std::move(steps));
  r.step = {shared, [](void const* self, lowering::ir& p, int before, level const*, path const&) {
              auto const& all = *static_cast<all_steps const*>(self);
              return put(p, all[static_cast<std::size_t>(before)]);
            }};
  r.last = {shared, [](void const* self, lowering::ir& p, level const*, path const&) {
              return put(p, static_cast<all_steps const*>(self)->back());
            }};
  return r;
}

}  // namespace tweedie::ready
