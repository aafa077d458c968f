// Pictures of numbers, drawn by the program gnuplot.
#pragma once

#include <string>
#include <string_view>

namespace tweedie::tool {

/// The last bytes of a whole picture.
inline constexpr std::string_view end_of_svg = "</svg>\n\n", end_of_png = "IEND\xae\x42\x60\x82";

/// What gnuplot writes to its standard output for this script, which sets a terminal and no output:
/// a picture that ends as it should. Throws a sentence where gnuplot is not found, stops at an
/// error or, what it says nothing of, has no room to write.
std::string gnuplot(std::string const& script, std::string_view last_bytes);

/// The text as a word of a script, in quotes. Throws a sentence where it has a line break, which no
/// word can hold.
std::string quoted(std::string const& text);

}  // namespace tweedie::tool
