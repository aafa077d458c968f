// Everything of the language and its stages in one include, <tweedie/tweedie.hpp>; networks that
// need a library of their own are not in it.
#pragma once

#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/networks/guidance.hpp>
#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/grids.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
