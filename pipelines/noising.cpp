#include <tweedie/pipelines/noising.hpp>

#include <tweedie/dsl/launch.hpp>

namespace tweedie {

void add_noise(state& s, images const& clean, level t) {
  using namespace symbols;
  detail::check_shape(s, clean);
  buffer const rows = detail::padded(clean.data, s.elements);
  launch(step(x = t.alpha * known + t.sigma * noise_stream<noising_stream>),
         bindings{bind(x, s.x.data()), bind(known, rows.data())},
         {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data()});
}

images noised(images const& clean, level t, request r) {
  r.shape = clean.shape;
  state s = detail::make_state(r, label{});
  add_noise(s, clean, t);
  return take(s);
}

}  // namespace tweedie
