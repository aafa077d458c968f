#include "make_plan.hpp"

namespace tweedie::tool {

std::unique_ptr<any_plan> make_plan(samplers::unipc_2 sampler, stages const& s) {
  return instantiate(sampler, s);
}

}  // namespace tweedie::tool
