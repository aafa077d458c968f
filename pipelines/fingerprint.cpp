// The number that a plan is told by: FNV-1a's step, word by word, over all that a state's meaning
// depends on.
#include <bit>

#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {
namespace {

struct mixer {
  std::uint64_t h = 0xcbf29ce484222325u;
  void add(std::uint64_t word) {
    h = (h ^ word) * 0x100000001b3u;
    h ^= h >> 32;  // a product moves bits upwards alone
  }
  void add(double d) { add(std::bit_cast<std::uint64_t>(d)); }
  void add(char const* name) {
    while (*name) add(std::uint64_t{static_cast<unsigned char>(*name++)});
  }
  void add(symbol_id s) {  // by its name: another word changes no fingerprint
    add(sym::about_word(s.is).name);
    add(std::uint64_t{s.index});
  }
  void add(any_line const& l) {
    add(l.target.id);
    add(l.function ? l.function->name : l.reduction ? l.reduction->name : "");
    for (any_sum const& sum : l.sums)
      for (any_symbol const& s : sum) add(s.id);
  }
};

}  // namespace

std::uint64_t detail::fingerprint_of(plan_parts const& p) {
  mixer all;
  for (level const& l : p.levels)
    for (double d : {l.t, l.alpha, l.sigma}) all.add(d);
  state_layout const& of = p.layout;
  for (std::size_t n :
       {of.branches, of.extras, of.conditions, of.keeps, of.past_x0, of.past_eps, of.memories,
        of.inputs, std::size_t{of.learns_variance}, std::size_t{of.uses_known},
        std::size_t{of.uses_mask}, std::size_t{of.noise_given}, static_cast<std::size_t>(of.input)})
    all.add(std::uint64_t{n});
  std::vector<std::uint64_t> of_programs;
  for (plan_structure const& s : p.structures) {
    mixer one;
    for (any_kernel const& k : s.code->program().kernels)
      for (auto const* lines : {&k.uniform, &k.nodes, &k.writes, &k.reductions})
        for (any_line const& l : *lines) one.add(l);
    of_programs.push_back(one.h);
  }
  for (plan_row const& r : p.rows) {
    all.add(of_programs[r.structure]);
    all.add(static_cast<std::uint64_t>(r.branches));
    for (std::size_t i = 0; i < r.count; ++i) all.add(p.numbers[r.first + i]);
  }
  return all.h;
}

}  // namespace tweedie
