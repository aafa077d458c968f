/* A loop over buffers of the caller's own, of 32 and 16 bits; its preview; saved, left and gone on
 * with; and each mistake a sentence. The network is the exact one of data N(0.3, 0.25), for v. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tweedie.h>

enum { SAMPLES = 5, ELEMENTS = 7, ALL = SAMPLES * ELEMENTS };
static const size_t shape[] = {SAMPLES, ELEMENTS};
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

/* E[x0 | x] = m + a v (x - a m) / (a^2 v + s^2) */
static double exact_x0(double x, double a, double s) {
  return 0.3 + a * 0.25 * (x - a * 0.3) / (a * a * 0.25 + s * s);
}
static float exact_v(double x, double a, double s) {
  double const x0 = exact_x0(x, a, s);
  return (float)(a * (x - a * x0) / s - s * x0);
}

/* bfloat16 is the upper half of a float. */
static float of_bits(uint32_t bits) {
  float r;
  memcpy(&r, &bits, sizeof r);
  return r;
}
static float of_bfloat16(uint16_t a) { return of_bits((uint32_t)a << 16); }
static uint16_t to_bfloat16(float a) { /* to the nearest, ties to even */
  uint32_t bits;
  memcpy(&bits, &a, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
/* float16 of what has an exponent there */
static float of_float16(uint16_t a) {
  int const exponent = a >> 10 & 31, fraction = a & 1023;
  double const size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
  return (float)(a >> 15 ? -size : size);
}
static uint16_t to_float16(float a) {
  double const size = fabs((double)a);
  uint16_t const sign = (uint16_t)(a < 0) << 15;
  int exponent;
  frexp(size, &exponent);
  if (exponent < -13) return (uint16_t)(sign | (uint16_t)nearbyint(ldexp(size, 24)));
  return (uint16_t)(sign + ((exponent + 13) << 10) +
                    (uint16_t)nearbyint(ldexp(size, 11 - exponent)));
}

/* By the loop's own memory, the network seeing x and giving v as rounded by two functions. */
static float same(float a) { return a; }
static float by_bfloat16(float a) { return of_bfloat16(to_bfloat16(a)); }
static float by_float16(float a) { return of_float16(to_float16(a)); }
static void run_inside(tweedie_plan* plan, uint64_t seed, float (*rounded)(float), float* samples) {
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, seed, NULL);
  tweedie_question ask;
  while (tweedie_loop_next(loop, &ask) == 1) {
    for (size_t b = 0; b < ask.branches; ++b)
      for (size_t i = 0; i < SAMPLES; ++i)
        for (size_t j = 0; j < ELEMENTS; ++j)
          ask.out[(b * SAMPLES + i) * ask.pitch + j] =
              rounded(exact_v(rounded(ask.x[i * ask.pitch + j]), ask.alpha, ask.sigma));
    expect(tweedie_loop_answer(loop) == 0, "an answer");
  }
  expect(tweedie_loop_samples(loop, samples, ALL) == 0, "samples");
  tweedie_loop_release(loop);
}

static void of_floats(tweedie_plan* plan, size_t branches, size_t evaluations) {
  float x[ALL], out[2 * ALL], expected[ALL];
  tweedie_buffer const of_x = {x, sizeof x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_out = {out, branches * sizeof x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  run_inside(plan, 7, same, expected);
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  expect(tweedie_loop_x(loop, &of_x) == 0, "x");
  tweedie_question ask;
  size_t asked = 0;
  for (; tweedie_loop_next(loop, &ask) == 1; ++asked) {
    for (size_t i = 0; i < SAMPLES; ++i)
      expect(!memcmp(x + i * ELEMENTS, ask.x + i * ask.pitch, ELEMENTS * sizeof *x), "x is x");
    for (size_t i = 0; i < branches * ALL; ++i) out[i] = exact_v(x[i % ALL], ask.alpha, ask.sigma);
    expect(tweedie_loop_step(loop, &of_x, &of_out) == 0, "a step");
  }
  expect(asked == evaluations, "evaluations");
  expect(!memcmp(x, expected, sizeof x), "the bits of the loop's own memory");
  expect(tweedie_loop_step(loop, &of_x, &of_out) == -1, "a step after the end");
  says("a step was asked of a loop that is at its end");
  tweedie_loop_release(loop);
}

static void of_halves(tweedie_plan* plan, int32_t type, float (*from)(uint16_t),
                      uint16_t (*to)(float), float (*rounded)(float)) {
  uint16_t x[ALL], out[ALL];
  float expected[ALL];
  tweedie_buffer const of_x = {x, sizeof x, type, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_out = {out, sizeof out, type, TWEEDIE_HOST, NULL};
  run_inside(plan, 7, rounded, expected);
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  expect(tweedie_loop_x(loop, &of_x) == 0, "x");
  tweedie_question ask;
  while (tweedie_loop_next(loop, &ask) == 1) {
    for (size_t i = 0; i < ALL; ++i) out[i] = to(exact_v(from(x[i]), ask.alpha, ask.sigma));
    expect(tweedie_loop_step(loop, &of_x, &of_out) == 0, "a step");
  }
  for (size_t i = 0; i < ALL; ++i)
    expect(x[i] == to(expected[i]), "the samples, rounded once at the end");
  float samples[ALL];
  expect(tweedie_loop_samples(loop, samples, ALL) == 0, "samples");
  expect(!memcmp(samples, expected, sizeof samples), "the loop's own stay float32");
  tweedie_loop_release(loop);
}

static void previews(tweedie_plan* plan) {
  float x[ALL], out[ALL], x0[ALL], expected[ALL];
  tweedie_buffer const of_x = {x, sizeof x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_out = {out, sizeof out, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_x0 = {x0, sizeof x0, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  run_inside(plan, 7, same, expected);
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  tweedie_question ask;
  expect(tweedie_loop_preview(loop, NULL, &of_x0) == -1, "a preview before the question");
  says("x0 was asked for before the network was");
  tweedie_loop_x(loop, &of_x);
  while (tweedie_loop_next(loop, &ask) == 1) {
    for (size_t i = 0; i < ALL; ++i) out[i] = exact_v(x[i], ask.alpha, ask.sigma);
    expect(tweedie_loop_preview(loop, &of_out, &of_x0) == 0, "a preview");
    for (size_t i = 0; i < ALL; ++i)
      expect(fabs(x0[i] - exact_x0(x[i], ask.alpha, ask.sigma)) < 2e-6, "the closed form of x0");
    memset(x0, 0, sizeof x0);
    expect(tweedie_loop_preview(loop, NULL, &of_x0) == 0 && x0[ALL - 1] != 0, "and once more");
    tweedie_loop_step(loop, &of_x, &of_out);
  }
  expect(!memcmp(x, expected, sizeof x), "the same bits after previews");
  tweedie_loop_release(loop);
}

/* Cancelled in the middle, with a question that waits, and gone on with under a plan of its own. */
static void saved(char const* recipe) {
  float x[ALL], out[ALL], expected[ALL];
  tweedie_buffer const of_x = {x, sizeof x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_out = {out, sizeof out, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  char path[] = "tweedie_c_buffers.safetensors";
  tweedie_plan* plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
  run_inside(plan, 7, same, expected);
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  tweedie_question ask;
  tweedie_loop_x(loop, &of_x);
  while (tweedie_loop_next(loop, &ask) == 1 && ask.step < 3) {
    for (size_t i = 0; i < ALL; ++i) out[i] = exact_v(x[i], ask.alpha, ask.sigma);
    tweedie_loop_step(loop, &of_x, &of_out);
  }
  expect(tweedie_loop_save(loop, "no such folder/state") == -1, "no such folder");
  says("no such folder/state");
  expect(tweedie_loop_save(loop, NULL) == -1, "no name");
  says("a file's name, a null pointer, was given");
  expect(tweedie_loop_save(loop, path) == 0, "saved");
  tweedie_loop_release(loop);
  tweedie_plan_release(plan);
  memset(x, 0, sizeof x);

  plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
  tweedie_plan* other = tweedie_plan_from_recipe(recipe, "linear", "v");
  expect(!tweedie_loop_load(other, path), "another plan's state");
  says("a state of another plan was given");
  expect(!tweedie_loop_load(plan, "no such state"), "no such state");
  says("no such state");
  loop = tweedie_loop_load(plan, path);
  expect(loop && tweedie_loop_x(loop, &of_x) == 0, "loaded");
  size_t asked = 0;
  for (; tweedie_loop_next(loop, &ask) == 1; ++asked) {
    for (size_t i = 0; i < ALL; ++i) out[i] = exact_v(x[i], ask.alpha, ask.sigma);
    tweedie_loop_step(loop, &of_x, &of_out);
  }
  expect(asked == 3, "3 of 6 steps were left");
  expect(!memcmp(x, expected, sizeof x), "the bits of a loop that was not left");
  tweedie_loop_release(loop);
  tweedie_plan_release(other);
  tweedie_plan_release(plan);
  remove(path);
}

/* What the network reads where it is not what the sampler holds, and noise of the caller's own. */
static void scaled(void) {
  tweedie_plan* plan = tweedie_plan_from_recipe("sampler = \"ddim\"\nsteps = 4", "edm", "edm");
  float x[ALL], noise[ALL];
  tweedie_buffer const of_x = {x, sizeof x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_noise = {noise, sizeof noise, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  for (size_t i = 0; i < ALL; ++i) noise[i] = 80 * (float)sin((double)i);
  tweedie_loop* loop = tweedie_loop_start_at(plan, shape, 2, &of_noise, 7, NULL);
  tweedie_question ask;
  expect(loop && tweedie_loop_x(loop, &of_x) == 0, "a loop from x");
  expect(tweedie_loop_next(loop, &ask) == 1 && fabs(ask.sigma - 80) < 1e-3, "sigma = 80");
  double const factor = 1 / sqrt(80 * 80 + 0.25);
  for (size_t i = 0; i < ALL; ++i)
    expect(fabs(x[i] - factor * noise[i]) < 1e-6, "what the network reads is scaled");
  for (size_t i = 0; i < SAMPLES; ++i)
    expect(!memcmp(x + i * ELEMENTS, ask.x + i * ask.pitch, ELEMENTS * sizeof *x), "x is x");
  tweedie_loop_release(loop);
  noise[3] = NAN;
  expect(!tweedie_loop_start_at(plan, shape, 2, &of_noise, 7, NULL), "noise of NaN");
  says("samples x_t: value 3 is nan");
  tweedie_plan_release(plan);
}

static void mistakes(tweedie_plan* plan) {
  float x[ALL + 1], out[ALL] = {0};
  tweedie_buffer good = {x, ALL * sizeof *x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer of_out = {out, sizeof out, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL}, bad = good;
  tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 7, NULL);
  expect(tweedie_loop_x(loop, &good) == 0, "x");
  float const kept = x[0];
#define REFUSED(part)                                                   \
  expect(tweedie_loop_step(loop, &bad, &of_out) == -1, "a bad buffer"); \
  says(part);                                                           \
  bad = good
  bad.bytes -= 4;
  REFUSED("x: a buffer of 136 bytes was given; expected 140: 5 rows of 7 elements of float32");
  bad.type = TWEEDIE_BFLOAT16;
  REFUSED("x: a buffer of 140 bytes was given; expected 70: 5 rows of 7 elements of bfloat16");
  bad.type = 3;
  REFUSED("x: a buffer of type 3 was given; expected TWEEDIE_FLOAT32 (0)");
  bad.device = TWEEDIE_CUDA;
  REFUSED("x: a buffer on a CUDA device was given to a library that was built without CUDA");
  bad.device = 9;
  REFUSED("x: a buffer on device 9 was given");
  bad.stream = x;
  REFUSED("x: a stream was given with a buffer on the host");
  bad.data = NULL;
  REFUSED("x, its data, a null pointer, was given");
  bad.data = (char*)x + 1;
  REFUSED("x: a buffer at an address that is no multiple of 4 was given");
  expect(tweedie_loop_step(loop, &good, NULL) == -1, "no out");
  says("out, a null pointer, was given");
  of_out.bytes = 3;
  expect(tweedie_loop_step(loop, &good, &of_out) == -1, "a small out");
  says("out: a buffer of 3 bytes was given; expected 140");
  of_out.bytes = sizeof out;
  out[9] = INFINITY;
  expect(tweedie_loop_step(loop, &good, &of_out) == -1 && x[0] == kept, "infinity; x is as it was");
  says("the network's output is inf at step 0 of 6 (t = 1000), in sample 1, element 2");
  tweedie_question ask;
  expect(tweedie_loop_next(loop, &ask) == -1, "no question before the failed answer");
  says("the network's output is inf at step 0 of 6 (t = 1000), in sample 1, element 2");
  out[9] = 0;
  expect(tweedie_loop_step(loop, &good, &of_out) == 0 && x[0] != kept, "the step again");
  expect(tweedie_loop_next(loop, &ask) == 1 && ask.step == 1, "the next question");
  expect(tweedie_loop_next(loop, &ask) == -1, "two questions");
  says("the next question was asked for before the one of step 1 of 6");
  expect(tweedie_loop_answer(loop) == 0, "the output of before, in the loop's own memory");

  /* Handles are never given twice: a stale one stays unknown. */
  tweedie_loop_release(loop);
  tweedie_loop* later = tweedie_loop_start(plan, shape, 2, 7, NULL);
  expect(tweedie_loop_step(loop, &good, &of_out) == -1, "a released loop");
  says("a tweedie_loop was given that was released, or never was");
  tweedie_loop_release(loop);
  expect(tweedie_loop_x(later, &good) == 0, "the other one is alive");
  expect(tweedie_loop_x((tweedie_loop*)(void*)plan, &good) == -1, "a plan for a loop");
  says("a tweedie_loop was given that was released, or never was");
  expect(tweedie_loop_x((tweedie_loop*)(void*)x, &good) == -1, "anything for a loop");
  says("a tweedie_loop was given that was released, or never was");
  expect(tweedie_loop_preview(later, NULL, NULL) == -1, "no room for x0");
  says("x0, a null pointer, was given");
  tweedie_loop_release(later);
}

int main(void) {
  char const recipe[] = "sampler = \"dpmpp_2m\"\nsteps = 6";
  tweedie_plan* plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
  of_floats(plan, 1, 6);
  of_halves(plan, TWEEDIE_BFLOAT16, of_bfloat16, to_bfloat16, by_bfloat16);
  of_halves(plan, TWEEDIE_FLOAT16, of_float16, to_float16, by_float16);
  previews(plan);
  saved(recipe);
  scaled();
  mistakes(plan);
  tweedie_plan_release(plan);

  tweedie_plan* guided = tweedie_plan_from_recipe(
      "sampler = \"heun\"\nsteps = 3\nguidance = { name = \"classifier_free\", w = 1.0 }", "cosine",
      "v");
  of_floats(guided, 2, 5);
  tweedie_plan_release(guided);
  tweedie_plan* stochastic =
      tweedie_plan_from_recipe("sampler = \"ancestral\"\nsteps = 2", "cosine", "v");
  of_floats(stochastic, 1, 2);
  tweedie_plan_release(stochastic);
  printf("%d wrong\n", failures);
  return failures != 0;
}
