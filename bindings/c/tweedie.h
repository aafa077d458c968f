/* Tweedie in C: a plan by its recipe, and the loop over its steps, driven by the caller, who brings
 * the network's output. Handles are opaque, no exception crosses, every failure is a sentence.
 *
 *   const char *recipe = "sampler = \"dpmpp_2m\"\nsteps = 20";
 *   tweedie_plan *plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
 *   size_t shape[] = {16, 1, 28, 28};
 *   tweedie_loop *loop = tweedie_loop_start(plan, shape, 4, seed, NULL);
 *   tweedie_question ask;
 *
 * Over the loop's own memory, without a copy:
 *
 *   while (tweedie_loop_next(loop, &ask) == 1) {
 *     run(ask.x, ask.time, ask.out);
 *     tweedie_loop_answer(loop);
 *   }
 *   tweedie_loop_samples(loop, pictures, 16 * 28 * 28);
 *
 * Over buffers of one's own, of 32 or 16 bits:
 *
 *   tweedie_buffer x = {pictures, sizeof pictures, TWEEDIE_FLOAT16};
 *   tweedie_buffer out = {output, sizeof output, TWEEDIE_FLOAT16};
 *   tweedie_loop_x(loop, &x);
 *   while (tweedie_loop_next(loop, &ask) == 1) {
 *     run(pictures, ask.time, output);
 *     tweedie_loop_step(loop, &x, &out);
 *   }
 *
 * Threads may share a plan, each with loops of its own. A handle that was released is refused by a
 * sentence, whatever was made since.
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

/* What a caller's buffer holds, and where it lies. */
enum { TWEEDIE_FLOAT32 = 0, TWEEDIE_FLOAT16 = 1, TWEEDIE_BFLOAT16 = 2 };
enum { TWEEDIE_HOST = 0, TWEEDIE_CUDA = 1 };

/* A caller's buffer: rows of `elements`, one behind the other, without padding; of out branch by
 * branch. What is zero may be left out: {data, bytes} are floats on the host. */
typedef struct tweedie_buffer {
  void* data;
  size_t bytes;   /* what its rows take, exactly */
  int32_t type;   /* TWEEDIE_FLOAT32, TWEEDIE_FLOAT16 or TWEEDIE_BFLOAT16 */
  int32_t device; /* TWEEDIE_HOST; this library, built without CUDA, refuses TWEEDIE_CUDA */
  void* stream;   /* a cudaStream_t; NULL on the host */
} tweedie_buffer;

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
/* The same from samples that are at the plan's first level: the caller's own noise, scaled as x is
 * there. x is copied. */
TWEEDIE_EXPORT tweedie_loop* tweedie_loop_start_at(tweedie_plan const* plan, size_t const* shape,
                                                   size_t extents, tweedie_buffer const* x,
                                                   uint64_t seed, int32_t const* labels);
/* 1: something is asked; 0: the loop is at its end; -1: failure, also where the question before was
 * not answered: if its answer failed, with the sentence of that. */
TWEEDIE_EXPORT int tweedie_loop_next(tweedie_loop* loop, tweedie_question* question);
/* out is filled. 0, or -1 on failure: a value that is not finite is named by step and sample, and
 * the output may be filled again. */
TWEEDIE_EXPORT int tweedie_loop_answer(tweedie_loop* loop);
/* Copies the samples as they are, without padding: `floats` is samples * elements. 0, or -1. */
TWEEDIE_EXPORT int tweedie_loop_samples(tweedie_loop* loop, float* to, size_t floats);

/* Writes into x what the network is to read next; at the end, the samples. 0, or -1. */
TWEEDIE_EXPORT int tweedie_loop_x(tweedie_loop* loop, tweedie_buffer const* x);
/* One evaluation: takes the network's output from `out`, and writes into x as tweedie_loop_x does.
 * tweedie_loop_next before it tells the time; without, it asks by itself. The loop's own samples
 * stay float32: x is written and not read, and each of the two buffers is converted and copied in
 * one pass over it. 0, or -1 on failure: then x is as it was, and the step may be taken again. */
TWEEDIE_EXPORT int tweedie_loop_step(tweedie_loop* loop, tweedie_buffer const* x,
                                     tweedie_buffer const* out);
/* A preview: writes into x0 what the sampler is about to make of the output, through guidance and
 * threshold, between a question and its answer or step. `out` is the caller's buffer of the output,
 * NULL if it lies in the question's. One kernel more; the samples get the same bits. 0, or -1. */
TWEEDIE_EXPORT int tweedie_loop_preview(tweedie_loop* loop, tweedie_buffer const* out,
                                        tweedie_buffer const* x0);

/* Writes the loop between two steps into a file, beside the target and then renamed: it may be
 * released, and gone on with later, to the same bits. A question that waits is asked again. 0, or
 * -1. */
TWEEDIE_EXPORT int tweedie_loop_save(tweedie_loop* loop, char const* path);
/* The loop of a file of tweedie_loop_save, under a plan of the same text. NULL on failure. */
TWEEDIE_EXPORT tweedie_loop* tweedie_loop_load(tweedie_plan const* plan, char const* path);
/* At any time. */
TWEEDIE_EXPORT void tweedie_loop_release(tweedie_loop* loop);

#ifdef __cplusplus
}
#endif

#endif
