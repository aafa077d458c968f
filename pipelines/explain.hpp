// What a pipeline compiles to, in words: `explain(plan)`, declared beside plans.
#pragma once

#include <tweedie/pipelines/any_plan.hpp>
