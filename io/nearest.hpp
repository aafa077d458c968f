#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tweedie::io {

/// The name that was meant, where one of those there is nearly the given one.
std::optional<std::string_view> nearest(std::string_view given,
                                        std::vector<std::string_view> const& there);

/// "expected one of: heun, rk4; did you mean heun?": how a name that is not there is answered.
std::string expected_names(std::string_view given, std::vector<std::string_view> const& there);

}  // namespace tweedie::io
