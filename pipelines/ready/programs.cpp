#include <tweedie/pipelines/ready/programs.hpp>

#include <algorithm>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/plan.hpp>

namespace tweedie::ready {
namespace {

/// The kernel that draws x_T.
any_code start_program() {
  using namespace symbols;
  auto const start = tweedie::step(x = 1.0 * noise_stream<start_stream>);
  auto const fused = fuse(std::get<0>(start.evaluations).statements);
  return tweedie::detail::code_of<typename std::remove_const_t<decltype(fused)>::type>();
}

std::vector<any_code> collected() {
  std::vector<any_code> all{start_program()};
  for (auto const& some : {detail::programs_unclipped(), detail::programs_unclipped_of_epsilon(),
                           detail::programs_clipped(), detail::programs_clipped_of_epsilon(),
                           detail::programs_dynamic()})
    for (any_code const& one : some)
      if (std::ranges::none_of(all,
                               [&](any_code const& c) { return c->program() == one->program(); }))
        all.push_back(one);
  return all;
}

}  // namespace

std::vector<any_code> const& compiled_programs() {
  static std::vector<any_code> const all = collected();
  return all;
}

}  // namespace tweedie::ready
