#include <tweedie/dsl/symbols.hpp>

#include <fmt/format.h>

namespace tweedie {
namespace {

/// Symbols with ranks first, first + 1, ..., in both languages; {} is the index.
struct family {
  int first;
  char const *name, *latex;
  bool bare_zero = false;  ///< the one of index 0 is called as `zero` says
  char const *zero = "", *latex_zero = "";
};

// From the highest rank down: a rank belongs to the first family that begins at or below it.
family const families[] = {
    {sym::noise_stream<0>::rank, "noise_stream<{}>", "z_{{{}}}", true, "noise", "z"},
    {sym::branch_eps<0>::rank, "branch_eps<{}>", "\\epsilon^{{({})}}"},
    {sym::branch_x0<0>::rank, "branch_x0<{}>", "\\hat{{x}}_0^{{({})}}"},
    {sym::raw_variance::rank, "raw_variance", "v_\\theta"},
    {sym::velocity::rank, "velocity", "u"},
    {sym::v::rank, "v", "v"},
    {sym::score::rank, "score", "\\nabla \\log p_t(x)"},
    {sym::eps::rank, "eps", "\\epsilon"},
    {sym::x0::rank, "x0", "\\hat{{x}}_0"},
    {sym::raw::rank, "raw", "F"},
    {sym::net_in<0>::rank, "net_in<{}>", "i_{{{}}}"},
    {sym::scratch<0>::rank, "scratch<{}>", "b_{{{}}}"},
    {sym::target::rank, "target", "y"},
    {sym::reduced<0>::rank, "reduced<{}>", "r_{{{}}}"},
    {sym::nameless<0>::rank, "node<{}>", "n_{{{}}}"},
    {sym::let<0>::rank, "let<{}>", "l_{{{}}}"},
    {sym::arrived<0>::rank, "x'<{}>", "x'_{{{}}}", true, "x'", "x'"},
    {sym::guided_eps::rank, "guided eps", "\\tilde{{\\epsilon}}"},
    {sym::guided_x0::rank, "guided x0", "\\tilde{{x}}_0"},
    {sym::guided_raw::rank, "raw", "\\tilde{{F}}"},
    {sym::thresholded::rank, "x0", "\\bar{{x}}_0"},
    {sym::keep<0>::rank, "keep<{}>", "k_{{{}}}"},
    {sym::past_eps<0>::rank, "past_eps<{}>", "\\epsilon^{{(-{})}}", true, "past_eps<0>",
     "\\epsilon"},
    {sym::past_x0<0>::rank, "past_x0<{}>", "\\hat{{x}}_0^{{(-{})}}", true, "past_x0<0>",
     "\\hat{{x}}_0"},
    {sym::per_sample<0>::rank, "per_sample<{}>", "s_{{{}}}"},
    {sym::given_noise<0>::rank, "noise_stream<{}>", "z_{{{}}}", true, "noise", "z"},
    {sym::memory<0>::rank, "memory<{}>", "m_{{{}}}"},
    {sym::out_variance::rank, "out_variance", "v_\\theta"},
    {sym::mask::rank, "mask", "M"},
    {sym::grad::rank, "grad", "g"},
    {sym::known::rank, "known", "y"},
    {sym::out<0>::rank, "out<{}>", "F_{{{}}}"},
    {sym::x::rank, "x", "x"},
};

std::string spelled(int rank, char const* family::*form, char const* family::*zero) {
  for (family const& f : families)
    if (rank >= f.first)
      return fmt::format(fmt::runtime(f.bare_zero && rank == f.first ? f.*zero : f.*form),
                         rank - f.first);
  return "?";
}

}  // namespace

std::string name_of(int rank) { return spelled(rank, &family::name, &family::zero); }
std::string latex_of(int rank) { return spelled(rank, &family::latex, &family::latex_zero); }

}  // namespace tweedie
