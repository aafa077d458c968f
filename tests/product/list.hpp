// The samplers that the product walks through.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <tweedie/pipelines/ready/recipe.hpp>

#include "paths.hpp"

namespace product {

namespace ready = tweedie::ready;

struct sampler_of_product {
  std::string name;
  ready::sampler_choice sampler;
  path_formula path;  ///< empty: held to the truth
};

/// Each by its defaults, and what has a parameter that changes its formula.
inline std::vector<sampler_of_product> all_samplers() {
  std::map<std::string_view, path_formula> const paths{{"ddim", ddim_path(0)},
                                                       {"ddim_eta", ddim_path(1)},
                                                       {"ancestral", ancestral_path(false)},
                                                       {"sde_dpmpp_2m", sde_dpmpp_path(1)},
                                                       {"euler_maruyama", euler_maruyama_path},
                                                       {"edm_stochastic", edm_stochastic_path(0)}};
  std::vector<sampler_of_product> r;
  std::apply(
      [&](auto const&... one) {
        auto const add = [&](auto const& s) {
          auto const path = paths.find(s.name);
          r.push_back({s.name, s.value, path == paths.end() ? path_formula{} : path->second});
        };
        (add(one), ...);
      },
      ready::samplers);
  using namespace tweedie::samplers;
  r.push_back({"ddim_eta 0.5", ddim_eta{.eta = 0.5}, ddim_path(0.5)});
  r.push_back({"ancestral beta", ancestral{variance::beta}, ancestral_path(true)});
  r.push_back({"unipc_2 h", unipc_2{.b = b_of_h::h}, {}});
  r.push_back({"sde_dpmpp_2m 0", sde_dpmpp_2m{.eta = 0}, sde_dpmpp_path(0)});
  r.push_back({"edm_stochastic 0.2", edm_stochastic{.gamma = 0.2}, edm_stochastic_path(0.2)});
  return r;
}

}  // namespace product
