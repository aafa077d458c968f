/* Tweedie in C: a plan by its recipe, and the loop over its steps, driven by the caller, who brings
 * the network's output. Handles are opaque, no exception crosses, every failure is a sentence.
 *
 *   const char *recipe = "sampler = \"dpmpp_2m\"\nsteps = 20";
 *   tweedie_plan *plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
 *   size_t shape[] = {16, 1, 28, 28};
 *   tweedie_loop *loop = tweedie_loop_start(plan, shape, 4, seed, NULL);
 *   tweedie_question ask;
 *   while (tweedie_loop_next(loop, &ask) == 1) {
 *     run(ask.x, ask.time, ask.out);
 *     tweedie_loop_answer(loop);
 *   }
 *   tweedie_loop_samples(loop, pictures, 16 * 28 * 28);
 *
 * Threads may share a plan, each with loops of its own.
 */
#ifndef TWEEDIE_H
#define TWEEDIE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define TWEEDIE_EXPORT __attribute__((visibility("default")))
#else
#define TWEEDIE_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tweedie_plan tweedie_plan;
typedef struct tweedie_loop tweedie_loop;

/* What the network is asked. x and out lie still until the loop is released. */
typedef struct tweedie_question {
  size_t step;     /* of tweedie_plan_steps, from 0 */
  size_t samples;  /* rows of x */
  size_t branches; /* rows of out for each row of x: the conditioned one first, then without */
  size_t elements; /* of a sample */
  size_t pitch;    /* floats from one row to the next: elements, rounded up to a multiple of 8 */
  double time; /* the schedule's own: 1 to 1000 on a table of 1000, 0 to 1 on a continuous one; by a
                  scheduler_config.json its timestep */
  double alpha, sigma;
  float const* x;
  float* out;            /* branches * samples rows, branch by branch: to be filled */
  int32_t const* labels; /* of the conditioned branch, one a sample; -1 is none */
} tweedie_question;

/* The sentence of this thread's last failure; "" if there was none. It lives until the next one. */
TWEEDIE_EXPORT char const* tweedie_error(void);

/* The plan of a recipe's text, TOML, or JSON if it begins with a brace. `schedule` and `prediction`
 * are names such as "cosine" and "v"; NULL exactly if the recipe has them. NULL on failure. */
TWEEDIE_EXPORT tweedie_plan* tweedie_plan_from_recipe(char const* text, char const* schedule,
                                                      char const* prediction);
/* The plan of a scheduler_config.json of diffusers, by its text, in so many steps. The time of a
 * question is its timestep then, counted from 0. A key that would change numbers and is not
 * followed is a failure. NULL on failure. */
TWEEDIE_EXPORT tweedie_plan* tweedie_plan_from_scheduler_config(char const* json, size_t steps);
/* The keys of its scheduler_config.json that its class does not have and that were left aside, as
 * diffusers does, with ", " between them; "" if there are none. It lives as long as the plan. NULL
 * on failure. */
TWEEDIE_EXPORT char const* tweedie_plan_unread(tweedie_plan const* plan);
/* 0 on failure. */
TWEEDIE_EXPORT size_t tweedie_plan_steps(tweedie_plan const* plan);
TWEEDIE_EXPORT size_t tweedie_plan_evaluations(tweedie_plan const* plan);
/* Its loops may go on. */
TWEEDIE_EXPORT void tweedie_plan_release(tweedie_plan* plan);

/* A loop from noise. `shape` begins with the number of samples; `labels` are one a sample, or NULL.
 * NULL on failure. */
TWEEDIE_EXPORT tweedie_loop* tweedie_loop_start(tweedie_plan const* plan, size_t const* shape,
                                                size_t extents, uint64_t seed,
                                                int32_t const* labels);
/* 1: something is asked; 0: the loop is at its end; -1: failure. */
TWEEDIE_EXPORT int tweedie_loop_next(tweedie_loop* loop, tweedie_question* question);
/* out is filled. 0, or -1 on failure: a value that is not finite is named by step and sample, and
 * the output may be filled again. */
TWEEDIE_EXPORT int tweedie_loop_answer(tweedie_loop* loop);
/* Copies the samples as they are, without padding: `floats` is samples * elements. 0, or -1. */
TWEEDIE_EXPORT int tweedie_loop_samples(tweedie_loop* loop, float* to, size_t floats);
TWEEDIE_EXPORT void tweedie_loop_release(tweedie_loop* loop);

#ifdef __cplusplus
}
#endif

#endif
