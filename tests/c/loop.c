/* A network of one's own in C: the exact one of data N(0.3, 0.25), for v. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tweedie.h>

static int failures = 0;

static void expect(int holds, char const* what) {
  if (holds) return;
  ++failures;
  fprintf(stderr, "WRONG: %s (last sentence: %s)\n", what, tweedie_error());
}

static void says(char const* part) {
  if (strstr(tweedie_error(), part)) return;
  ++failures;
  fprintf(stderr, "WRONG: '%s' does not say '%s'\n", tweedie_error(), part);
}

/* E[x0 | x] = m + a v (x - a m) / (a^2 v + s^2), eps = (x - a x0) / s, v = a eps - s x0 */
static void network(tweedie_question const* ask) {
  double const mean = 0.3, variance = 0.25, a = ask->alpha, s = ask->sigma;
  for (size_t b = 0; b < ask->branches; ++b)
    for (size_t i = 0; i < ask->samples; ++i)
      for (size_t j = 0; j < ask->elements; ++j) {
        double const x = ask->x[i * ask->pitch + j];
        double const x0 = mean + a * variance * (x - a * mean) / (a * a * variance + s * s);
        double const eps = (x - a * x0) / s;
        ask->out[(b * ask->samples + i) * ask->pitch + j] = (float)(a * eps - s * x0);
      }
}

int main(void) {
  const size_t shape[] = {4000, 3};
  static float samples[4000 * 3], again[4000 * 3];
  tweedie_question ask;

  tweedie_plan* plan =
      tweedie_plan_from_recipe("sampler = \"dpmpp_2m\"\nsteps = 20\n", "cosine", "v");
  expect(plan != NULL, "a plan");
  expect(tweedie_plan_steps(plan) == 20, "20 steps");
  expect(tweedie_plan_evaluations(plan) == 20, "20 evaluations");

  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  expect(loop != NULL, "a loop");
  size_t asked = 0;
  while (tweedie_loop_next(loop, &ask) == 1) {
    expect(ask.step == asked && ask.pitch == 8 && ask.labels[0] == -1, "what is asked");
    network(&ask);
    expect(tweedie_loop_answer(loop) == 0, "an answer");
    ++asked;
  }
  expect(asked == 20, "asked 20 times");
  expect(tweedie_loop_samples(loop, samples, 4000 * 3) == 0, "samples");
  double mean = 0, square = 0;
  for (size_t i = 0; i < 4000 * 3; ++i) mean += samples[i] / (4000.0 * 3);
  for (size_t i = 0; i < 4000 * 3; ++i) square += pow(samples[i] - mean, 2) / (4000.0 * 3);
  expect(fabs(mean - 0.3) < 0.02, "the mean");
  expect(fabs(sqrt(square) - 0.5) < 0.02, "the standard deviation");

  /* A loop outlives its plan's handle, and has the same bits. */
  tweedie_loop* other = tweedie_loop_start(plan, shape, 2, 7, NULL);
  tweedie_plan_release(plan);
  while (tweedie_loop_next(other, &ask) == 1) network(&ask), tweedie_loop_answer(other);
  tweedie_loop_samples(other, again, 4000 * 3);
  expect(memcmp(samples, again, sizeof samples) == 0, "the same bits");

  /* What is not finite is named, and may be given again. */
  {
    tweedie_plan* two = tweedie_plan_from_recipe("sampler = \"ddim\"\nsteps = 2\n", "cosine", "v");
    const size_t small[] = {3, 2};
    tweedie_loop* l = tweedie_loop_start(two, small, 2, 7, NULL);
    tweedie_loop_next(l, &ask);
    network(&ask);
    ask.out[ask.pitch + 1] = NAN;
    expect(tweedie_loop_answer(l) == -1, "NaN");
    says("the network's output is nan at step 0 of 2 (t = 1000), in sample 1, element 1");
    network(&ask);
    expect(tweedie_loop_answer(l) == 0, "the answer again");
    tweedie_loop_release(l);
    tweedie_plan_release(two);
  }

  expect(tweedie_loop_answer(other) == -1, "no answer without a question");
  says("has asked nothing");
  expect(tweedie_loop_samples(other, again, 5) == -1, "room for 5");
  says("room for 5 floats was given; expected 12000");
  tweedie_loop_release(other);
  expect(tweedie_loop_next(other, &ask) == -1, "a released loop");
  says("a tweedie_loop was given that was released");
  expect(tweedie_plan_steps(plan) == 0, "a released plan");
  says("a tweedie_plan was given that was released");
  expect(!tweedie_plan_from_recipe("sampler = \"hoin\"", "cosine", "v"), "hoin");
  says("did you mean heun?");
  expect(!tweedie_plan_from_recipe("sampler = \"heun\"", "cosin", "v"), "cosin");
  says("did you mean cosine?");
  expect(!tweedie_plan_from_recipe("sampler = \"heun\"", "cosine", NULL), "no prediction");
  says("a plan without a prediction was asked for");
  expect(!tweedie_plan_from_recipe(NULL, "cosine", "v"), "no text");
  says("a null pointer, was given");
  plan = tweedie_plan_from_recipe(
      "{\"sampler\": \"heun\", \"steps\": 4, \"schedule\": \"cosine\", "
      "\"predicts\": \"v\", \"guidance\": {\"name\": "
      "\"classifier_free\", \"w\": 1.0}}",
      NULL, NULL);
  expect(plan != NULL, "a recipe in JSON");
  expect(!tweedie_plan_from_recipe("sampler = \"heun\"\nschedule = \"cosine\"", "linear", "v"),
         "two schedules");
  says("the schedule linear was given beside a recipe that has one");
  const size_t empty[] = {0, 3};
  expect(!tweedie_loop_start(plan, empty, 2, 1, NULL), "no samples");
  says("expected extents of 1 or more");
  expect(!tweedie_loop_start(plan, shape, 1, 1, NULL), "one extent");
  says("a shape of 1 extents was given");
  const size_t two[] = {2, 3};
  const int32_t labels[] = {4, 5};
  tweedie_loop* guided = tweedie_loop_start(plan, two, 2, 1, labels);
  expect(tweedie_loop_next(guided, &ask) == 1 && ask.branches == 2 && ask.labels[1] == 5,
         "two branches, and labels");
  tweedie_loop_release(guided);
  tweedie_loop_release(NULL);
  tweedie_loop_release(loop);
  tweedie_plan_release(plan);
  printf("%d wrong\n", failures);
  return failures != 0;
}
