// What a level promises without being run: a plain value, copyable to a device.
#include <tweedie/dsl/language/level.hpp>

#include <type_traits>

using tweedie::level;

static_assert(std::is_trivially_copyable_v<level>);
static_assert(std::is_aggregate_v<level>);
static_assert(level{}.alpha == 1 && level{}.sigma == 0, "a level is clean unless told otherwise");
