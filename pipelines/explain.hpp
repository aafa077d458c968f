// What a pipeline compiles to, in words: per kind of step the collapsed formula with its numbers,
// the buffers, the kernels.
#pragma once

#include <set>
#include <string>

#include <fmt/format.h>

#include <tweedie/dsl/print.hpp>
#include <tweedie/pipelines/plan.hpp>

namespace tweedie {

/// One paragraph per kind of step, with the numbers of the first row of that kind.
template <class Stages, class Network> std::string explain(plan<Stages, Network> const& p) {
  using code = typename tweedie::plan<Stages, Network>::code;
  std::set<std::size_t> used;
  for (auto const& row : p.rows()) used.insert(row.structure);
  std::size_t kernels = 0;
  for (auto const& row : p.rows()) kernels += code::facts[row.structure].kernels;
  std::string r = fmt::format(
      "{} steps, {} evaluations of the network, {} kernels{}; {} structures compiled to {} "
      "kernels, {} structures used here. Right-hand sides are the values before the evaluation.\n",
      p.steps(), p.network_evaluations(), kernels,
      kernels == p.network_evaluations() ? ", one each" : "", code::structures::size,
      code::distinct, used.size());
  std::set<std::size_t> seen;
  for (auto const& row : p.rows()) {
    if (!seen.insert(row.structure).second) continue;
    std::size_t uses = 0;
    for (auto const& other : p.rows()) uses += other.structure == row.structure;
    p.visit(row, [&]<class Program, class Structure>(Program program, Structure,
                                                     std::span<double const> numbers) {
      r += fmt::format(
          "\n{}{}{}, {} of {}: {} kernel{}; here from t = {:.6g} to t = {:.6g}, network at t = "
          "{:.6g}, {} branch{}\n",
          Structure::kind::name(),
          Structure::evaluation ? fmt::format(", evaluation {}", Structure::evaluation + 1) : "",
          Structure::guided ? "" : ", guidance off", uses, p.rows().size(), Program::kernels,
          Program::kernels == 1 ? "" : "s", p.levels()[row.step].t, p.levels()[row.step + 1].t,
          row.where.t, row.branches, row.branches == 1 ? "" : "es");
      r += formulas(program, numbers, "  ");
      r += fmt::format("  {}\n", traffic(program));
    });
  }
  return r;
}

}  // namespace tweedie
