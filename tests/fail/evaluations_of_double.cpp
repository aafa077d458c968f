// expect: a number of evaluations is an int
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;

#ifdef MISTAKE
images result() { return pipeline_.plan(10.9).sample({.shape = {1, 4}}); }
#else
images result() { return pipeline_.plan(10).sample({.shape = {1, 4}}); }
#endif
