#include <tweedie/pipelines/ready/product.hpp>
#include <tweedie/pipelines/ready/programs.hpp>

namespace tweedie::ready {

std::vector<any_code> detail::programs_unclipped() {
  return programs_of_product(these<predicts::v>, these<guidance::none, guidance::classifier_free>,
                             these<no_threshold>, all_samplers);
}

}  // namespace tweedie::ready
