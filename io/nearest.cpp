#include <tweedie/io/nearest.hpp>

#include <algorithm>
#include <cctype>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tweedie::io {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// Insertions, deletions, replacements and swaps of neighbours from one word to the other (Damerau
/// 1964, each letter in one edit at most); a letter in another case is the same.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::move(last);
    last = row;
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      char const of_a = lower(a[i - 1]), of_b = lower(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (of_a != of_b)});
      if (i > 1 && j > 1 && of_a == lower(b[j - 2]) && lower(a[i - 2]) == of_b)
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

/// Edits that a mistyped name may be away. Of a word that begins otherwise few: ddpm is two from
/// edm, and another thing; hoin is two from heun.
std::size_t most_edits(std::string_view given, std::string_view name) {
  bool const begins_alike = !given.empty() && !name.empty() && lower(given[0]) == lower(name[0]);
  return std::max<std::size_t>(begins_alike ? 2 : 1, std::min(given.size(), name.size()) / 4);
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
    if (d > most_edits(given, name) || d >= name.size() || (found && d >= least)) continue;
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
