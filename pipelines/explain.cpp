#include <algorithm>
#include <set>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/lowering/print.hpp>
#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {
namespace {

std::string heading(any_plan const& p, any_plan::row const& row) {
  auto const& s = p.structures()[row.structure];
  return fmt::format("{}{}{}", s.kind,
                     s.evaluation ? fmt::format(", evaluation {}", s.evaluation + 1) : "",
                     s.guided ? "" : ", guidance off");
}

std::string place(any_plan const& p, any_plan::row const& row) {
  return fmt::format("from t = {:.6g} to t = {:.6g}, network at t = {:.6g}, {} branch{}",
                     p.levels()[row.step].t, p.levels()[row.step + 1].t, row.where.t, row.branches,
                     row.branches == 1 ? "" : "es");
}

/// The first row of each structure.
std::vector<any_plan::row const*> first_rows(any_plan const& p) {
  std::vector<any_plan::row const*> r;
  std::set<std::size_t> seen;
  for (auto const& row : p.rows())
    if (seen.insert(row.structure).second) r.push_back(&row);
  return r;
}
std::vector<any_plan::row const*> rows_of_step(any_plan const& p, std::size_t step) {
  if (step >= p.steps())
    throw error(
        fmt::format("step {} was asked for, the plan has steps 0 to {}", step, p.steps() - 1));
  std::vector<any_plan::row const*> r;
  for (auto const& row : p.rows())
    if (row.step == step) r.push_back(&row);
  return r;
}

std::string body(any_plan const& p, any_plan::row const& row) {
  auto const& code = *p.structures()[row.structure].code;
  return formulas(code.program(), p.numbers(row), "  ") +
         fmt::format(
             "  {}{}{}\n", traffic(code.program()),
             code.is_compiled() ? "" : "; not compiled, run as a list of terms",
             p.structures()[row.structure].inlined ? "; the network is inlined before it" : "");
}

/// What a preview costs, at those of the rows where there is one.
std::string of_previews(any_plan const& p, std::vector<any_plan::row const*> const& rows) {
  std::set<std::size_t> kernels;
  for (auto const* row : rows) try {
      kernels.insert(p.preview_of(*row).code->program().kernels.size());
    } catch (error const&) {  // x0 is not finite there
    }
  if (kernels.empty()) return "";
  return fmt::format(" A preview of x0 is {} kernel{} more.", fmt::join(kernels, " or "),
                     *kernels.rbegin() == 1 ? "" : "s");
}

std::string in_latex(any_plan const& p, std::vector<any_plan::row const*> const& rows) {
  std::string r;
  for (auto const* row : rows)
    r += fmt::format("% {}; {}\n\\begin{{aligned}}\n{}\\end{{aligned}}\n", heading(p, *row),
                     place(p, *row), latex_formulas(p.program(*row), p.numbers(*row)));
  return r;
}

}  // namespace

std::string explain(any_plan const& p) {
  std::size_t kernels = 0;
  for (auto const& row : p.rows()) kernels += p.program(row).kernels.size();
  std::vector<any_program const*> distinct;
  for (auto const& s : p.structures())
    if (std::ranges::none_of(distinct, [&](auto* d) { return *d == s.code->program(); }))
      distinct.push_back(&s.code->program());
  auto const used = first_rows(p);
  std::string r = fmt::format(
      "{} steps, {} evaluations of the network, {} kernels{}; {} structures compiled to {} "
      "kernels, {} structures used here. Right-hand sides are the values before the "
      "evaluation.{}\n",
      p.steps(), p.network_evaluations(), kernels,
      kernels == p.network_evaluations() ? ", one each" : "", p.structures().size(),
      distinct.size(), used.size(), of_previews(p, used));
  for (auto const* row : used) {
    auto const uses = std::ranges::count_if(
        p.rows(), [&](auto const& other) { return other.structure == row->structure; });
    std::size_t const count = p.program(*row).kernels.size();
    r += fmt::format("\n{}, {} of {}: {} kernel{}; here {}\n", heading(p, *row), uses,
                     p.rows().size(), count, count == 1 ? "" : "s", place(p, *row));
    r += body(p, *row);
  }
  return r;
}

std::string explain_step(any_plan const& p, std::size_t step) {
  std::string r;
  for (auto const* row : rows_of_step(p, step))
    r += fmt::format("{}{}: {}\n{}", r.empty() ? "" : "\n", heading(p, *row), place(p, *row),
                     body(p, *row));
  return r;
}

std::string latex(any_plan const& p) { return in_latex(p, first_rows(p)); }
std::string latex_step(any_plan const& p, std::size_t step) {
  return in_latex(p, rows_of_step(p, step));
}

}  // namespace tweedie
