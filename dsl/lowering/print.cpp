#include <tweedie/dsl/lowering/print.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace tweedie {
namespace {

struct text {
  static std::string name(any_symbol s) { return name_of(s.id); }
  static std::string number(double c) { return fmt::format("{:.6g}", c); }
  static std::string call(char const* f, std::string const& arguments) {
    return *f ? fmt::format("{}({})", f, arguments) : fmt::format("({})", arguments);
  }
  static constexpr char const *equals = " = ", *over_sample = " over each sample";
};

struct latex {
  static std::string name(any_symbol s) { return latex_of(s.id); }
  static std::string number(double c) {
    std::string const r = text::number(c);
    auto const e = r.find('e');
    if (e == std::string::npos) return r;
    return fmt::format("{} \\cdot 10^{{{}}}", r.substr(0, e), std::stoi(r.substr(e + 1)));
  }
  static std::string call(char const* f, std::string const& arguments) {
    std::string escaped;
    for (; *f; ++f) {
      if (*f == '_' || *f == ' ') escaped += '\\';  // a bare space is none in a formula
      escaped += *f;
    }
    if (escaped.empty()) return arguments;
    return fmt::format("\\mathrm{{{}}}\\left({}\\right)", escaped, arguments);
  }
  static constexpr char const *equals = " &= ", *over_sample = " \\quad \\text{over each sample}";
};

template <class In> std::string sum_in(any_sum const& sum, double const*& c) {
  std::string r;
  for (any_symbol s : sum) {
    double const number = *c++, size = std::abs(number);
    bool const leading = r.empty();
    r += number < 0 ? (leading ? "-" : " - ") : (leading ? "" : " + ");
    if (size != 1) r.append(In::number(size)).append(" ");
    r += In::name(s);
  }
  return r.empty() ? "0" : r;
}

template <class In> std::string line_in(any_line const& l, double const*& c) {
  std::string parameters, arguments;
  bool const opaque = l.function && l.function->opaque;
  for (std::size_t i = 0; i < l.parameters(); ++i, ++c)
    if (!opaque) parameters.append(", ").append(In::number(*c));
  for (any_sum const& s : l.sums)
    if (l.reduction) arguments.append(arguments.empty() ? "" : " ").append(In::name(s[0]));
    else arguments.append(arguments.empty() ? "" : ", ").append(sum_in<In>(s, c));
  std::string const target = In::name(l.target) + In::equals;
  if (l.function) return target + In::call(l.function->name, arguments + parameters);
  if (l.reduction)
    return target + In::call(l.reduction->name, arguments + parameters) + In::over_sample;
  return target + arguments;
}

/// One string for each line, in the order they are computed.
template <class In>
std::vector<std::string> lines_in(any_program const& p, std::span<double const> numbers) {
  std::vector<std::string> r;
  double const* c = numbers.data();
  for (any_kernel const& k : p.kernels)
    for (auto const* lines : {&k.uniform, &k.nodes, &k.writes, &k.reductions})
      for (any_line const& l : *lines) r.push_back(line_in<In>(l, c));
  return r;
}

std::string names(std::vector<any_symbol> const& symbols) {
  std::string r;
  for (any_symbol s : symbols) r.append(r.empty() ? "" : " ").append(name_of(s.id));
  return r.empty() ? "nothing" : r;
}

std::string traffic(any_kernel const& k) {
  std::vector<any_symbol> read = k.reads, written;
  read.insert(read.end(), k.masks.begin(), k.masks.end());
  for (any_line const& l : k.writes) written.push_back(l.target);
  return fmt::format("reads {}, writes {}, {}, {} bytes per element", names(read), names(written),
                     k.noises.empty() ? "no noise" : "draws " + names(k.noises),
                     any_program{{k}}.bytes_per_element());
}

}  // namespace

std::string formulas(any_program const& p, std::span<double const> numbers,
                     std::string const& indent) {
  std::string r;
  for (std::string const& line : lines_in<text>(p, numbers))
    r.append(indent).append(line).append("\n");
  return r;
}

std::string latex_formulas(any_program const& p, std::span<double const> numbers) {
  std::string r;
  for (std::string const& line : lines_in<latex>(p, numbers))
    r.append(r.empty() ? "" : " \\\\\n").append(line);
  return r + "\n";
}

std::string traffic(any_program const& p) {
  if (p.kernels.size() == 1) return traffic(p.kernels[0]);
  std::string r;
  for (std::size_t i = 0; i < p.kernels.size(); ++i)
    r += fmt::format("{}kernel {}: {}", i ? "; " : "", i + 1, traffic(p.kernels[i]));
  return r;
}

}  // namespace tweedie
