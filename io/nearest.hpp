#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace tweedie::io {

/// The name that was meant, where one of those there is nearly the given one.
std::optional<std::string_view> nearest(std::string_view given,
                                        std::vector<std::string_view> const& there);

}  // namespace tweedie::io
