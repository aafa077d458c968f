#include <tweedie/pipelines/ready/product.hpp>
#include <tweedie/pipelines/ready/programs.hpp>

namespace tweedie::ready {

std::vector<any_code> detail::programs_clipped() {
  return programs_of_product(these<predicts::v>, these<guidance::none, guidance::classifier_free>,
                             these<tweedie::thresholds::clip>, all_samplers);
}

}  // namespace tweedie::ready
