/* A scheduler_config.json in C: diffusers' timesteps, and samples of data N(0.3, 0.25). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tweedie.h>

static int failures = 0;

static void expect(int holds, char const* what) {
  if (holds) return;
  ++failures;
  fprintf(stderr, "WRONG: %s (last sentence: %s)\n", what, tweedie_error());
}

static void refused(char const* json, size_t steps, char const* says) {
  expect(!tweedie_plan_from_scheduler_config(json, steps) && strstr(tweedie_error(), says), says);
}

int main(void) {
  tweedie_plan* plan = tweedie_plan_from_scheduler_config(
      "{\"_class_name\": \"HeunDiscreteScheduler\", \"prediction_type\": \"v_prediction\","
      " \"timestep_spacing\": \"leading\", \"steps_offset\": 1}",
      20);
  expect(plan && tweedie_plan_steps(plan) == 20 && tweedie_plan_evaluations(plan) == 39, "a plan");
  expect(plan && !strcmp(tweedie_plan_unread(plan), ""), "no key is left aside");
  const size_t shape[] = {2000, 2};
  static float samples[2000 * 2];
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  tweedie_question ask;
  for (int k = 0; tweedie_loop_next(loop, &ask) == 1; ++k) {
    expect(ask.time == 1 + 50 * (19 - (k + 1) / 2), "its timesteps: 951, 901, 901, ...");
    double const a = ask.alpha, s = ask.sigma;
    for (size_t i = 0; i < ask.samples; ++i)
      for (size_t j = 0; j < ask.elements; ++j) {
        double const x = ask.x[i * ask.pitch + j];
        double const x0 = 0.3 + a * 0.25 * (x - a * 0.3) / (a * a * 0.25 + s * s);
        ask.out[i * ask.pitch + j] = (float)(a * (x - a * x0) / s - s * x0);
      }
    expect(tweedie_loop_answer(loop) == 0, "an answer");
  }
  expect(tweedie_loop_samples(loop, samples, 2000 * 2) == 0, "samples");
  double mean = 0, square = 0;
  for (size_t i = 0; i < 2000 * 2; ++i) mean += samples[i] / 4000.0;
  for (size_t i = 0; i < 2000 * 2; ++i) square += pow(samples[i] - mean, 2) / 4000.0;
  expect(fabs(mean - 0.3) < 0.03 && fabs(sqrt(square) - 0.5) < 0.03, "the moments");
  tweedie_loop_release(loop);
  tweedie_plan_release(plan);

  plan = tweedie_plan_from_scheduler_config(
      "{\"_class_name\": \"DDIMScheduler\", \"skip_prk_steps\": true, \"solver_order\": 2}", 5);
  expect(plan && !strcmp(tweedie_plan_unread(plan), "skip_prk_steps, solver_order"),
         "keys left aside");
  tweedie_plan_release(plan);
  expect(!tweedie_plan_unread(NULL) && strstr(tweedie_error(), "a null pointer"), "of no plan");

  refused(NULL, 5, "a configuration's text, a null pointer, was given");
  refused("{", 5, "the configuration: ");
  refused("{\"_class_name\": \"DDIMScheduler\"}", 0, "0 steps were given for DDIMScheduler");
  refused("{\"_class_name\": \"EulerDiscreteScheduler\", \"timestep_type\": \"continuous\"}", 5,
          "timestep_type = \"continuous\" was given for EulerDiscreteScheduler; expected");
  printf("%d wrong\n", failures);
  return failures != 0;
}
