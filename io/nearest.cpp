#include <tweedie/io/nearest.hpp>

#include <algorithm>
#include <cctype>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tweedie::io {
namespace {

/// Insertions, deletions and replacements from one word to the other (Levenshtein 1966); a letter
/// in another case is the same.
std::size_t distance(std::string_view a, std::string_view b) {
  auto const lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t const changed = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> nearest(std::string_view given,
                                        std::vector<std::string_view> const& there) {
  constexpr std::size_t longest = 256;  // the distance takes time in proportion to both lengths
  std::optional<std::string_view> found;
  std::size_t least = 0;
  // The beginning of one alone: eps is epsilon, and nearer to edm by its letters.
  for (std::string_view name : there)
    if (given.size() > 1 && name.starts_with(given)) {
      if (found) {
        found.reset();
        break;
      }
      found = name;
    }
  if (found) return found;
  for (std::string_view name : there) {
    if (given.size() > longest || name.size() > longest) continue;
    std::size_t const d = distance(given, name);
    if (d > std::max<std::size_t>(2, name.size() / 3) || d >= name.size() || (found && d >= least))
      continue;
    found = name;
    least = d;
  }
  return found;
}

std::string expected_names(std::string_view given, std::vector<std::string_view> const& there) {
  if (there.empty()) return "expected none";
  std::string r = fmt::format("expected one of: {}", fmt::join(there, ", "));
  if (auto const meant = nearest(given, there)) r += fmt::format("; did you mean {}?", *meant);
  return r;
}

}  // namespace tweedie::io
