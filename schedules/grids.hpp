// Every grid.
#pragma once

#include <tweedie/schedules/grids/custom.hpp>
#include <tweedie/schedules/grids/exponential.hpp>
#include <tweedie/schedules/grids/given.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/grids/leading.hpp>
#include <tweedie/schedules/grids/linspace.hpp>
#include <tweedie/schedules/grids/quadratic.hpp>
#include <tweedie/schedules/grids/quadratic_ddim.hpp>
#include <tweedie/schedules/grids/trailing.hpp>
#include <tweedie/schedules/grids/uniform.hpp>
#include <tweedie/schedules/grids/usual.hpp>
