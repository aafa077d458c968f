/* A network of one's own in C, over buffers of one's own, driven by libtweedie.so: the exact one
 * of two points, -1 and 1, in each coordinate, E[x0 | x] = tanh(alpha x / sigma^2), for v. */
#include <math.h>
#include <stdio.h>
#include <tweedie.h>

enum { COUNT = 1000, SIZE = 2, ALL = COUNT * SIZE };

int main(void) {
  static float samples[ALL], output[ALL];
  const size_t shape[] = {COUNT, SIZE};
  const tweedie_buffer x = {.data = samples, .bytes = sizeof samples};
  const tweedie_buffer out = {.data = output, .bytes = sizeof output};
  tweedie_plan* plan = tweedie_plan_from_recipe("sampler = \"heun\"\nsteps = 30", "cosine", "v");
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  tweedie_question ask;
  int more = tweedie_loop_x(loop, &x);
  while (more == 0 && (more = tweedie_loop_next(loop, &ask)) == 1) {
    for (int i = 0; i < ALL; ++i) {
      double const x0 = tanh(ask.alpha * samples[i] / (ask.sigma * ask.sigma));
      double const eps = (samples[i] - ask.alpha * x0) / ask.sigma;
      output[i] = (float)(ask.alpha * eps - ask.sigma * x0);
    }
    more = tweedie_loop_step(loop, &x, &out);
  }
  tweedie_loop_release(loop);
  tweedie_plan_release(plan);
  if (more < 0) return fprintf(stderr, "%s\n", tweedie_error()), 1;
  int near = 0;
  for (int i = 0; i < ALL; ++i) near += fabs(fabs(samples[i]) - 1) < 0.02;
  printf("%.1f%% of the coordinates are within 0.02 of a point\n", 100.0 * near / ALL);
  return near < 0.95 * ALL;
}
