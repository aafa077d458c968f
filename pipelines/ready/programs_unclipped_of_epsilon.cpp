#include <tweedie/pipelines/ready/product.hpp>
#include <tweedie/pipelines/ready/programs.hpp>

namespace tweedie::ready {

std::vector<any_code> detail::programs_unclipped_of_epsilon() {
  return programs_of_product(these<predicts::epsilon>,
                             these<guidance::none, guidance::classifier_free>, these<no_threshold>,
                             all_samplers);
}

}  // namespace tweedie::ready
