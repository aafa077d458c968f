#include "make_plan.hpp"

namespace tweedie::tool {

std::unique_ptr<any_plan> make_plan(predicts::v predicted, stages const& s) {
  return instantiate(predicted, s);
}

}  // namespace tweedie::tool
