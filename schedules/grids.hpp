// Every grid.
#pragma once

#include <tweedie/schedules/grids/uniform.hpp>
