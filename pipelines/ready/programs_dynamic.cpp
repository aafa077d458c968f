#include <tweedie/pipelines/ready/product.hpp>
#include <tweedie/pipelines/ready/programs.hpp>

namespace tweedie::ready {

std::vector<any_code> detail::programs_dynamic() {
  return programs_of_product(these<predicts::v>, these<guidance::none, guidance::classifier_free>,
                             these<tweedie::thresholds::dynamic>,
                             these<tweedie::samplers::ddim, tweedie::samplers::ddim_eta,
                                   tweedie::samplers::ancestral, tweedie::samplers::dpmpp_2m>);
}

}  // namespace tweedie::ready
