/* Threads share a plan, each with a loop of its own; a loop that another thread is using is refused
 * by a sentence, and comes to no harm. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <tweedie.h>

enum { SAMPLES = 64, ELEMENTS = 4096, ALL = SAMPLES * ELEMENTS, THREADS = 4 };
static const size_t shape[] = {SAMPLES, ELEMENTS};
static int failures = 0;

static void expect(int holds, char const* what) {
  if (holds) return;
  ++failures;
  fprintf(stderr, "WRONG: %s (last sentence: %s)\n", what, tweedie_error());
}

static int is_used(void) {
  return strstr(tweedie_error(), "a tweedie_loop was given that another thread is using") != NULL;
}

/* Steps to the end, again where the other thread was there. */
static void run(tweedie_loop* loop, float* x) {
  static __thread float out[ALL];
  tweedie_buffer const of_x = {x, ALL * sizeof *x, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  tweedie_buffer const of_out = {out, ALL * sizeof *out, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  while (tweedie_loop_x(loop, &of_x) < 0 && is_used()) continue;
  for (;;) {
    for (size_t i = 0; i < ALL; ++i) out[i] = -0.9f * x[i];
    if (tweedie_loop_step(loop, &of_x, &of_out) < 0 && !is_used()) break;
  }
}

struct job {
  tweedie_plan* plan;
  tweedie_loop* loop; /* NULL: one of its own */
  float* x;
  uint64_t seed;
  char said[64];
};

static void* work(void* given) {
  struct job* j = given;
  tweedie_loop* own = j->loop ? NULL : tweedie_loop_start(j->plan, shape, 2, j->seed, NULL);
  run(own ? own : j->loop, j->x);
  strncpy(j->said, tweedie_error(), sizeof j->said - 1);
  tweedie_loop_release(own);
  return NULL;
}

int main(void) {
  static float alone[THREADS][ALL], together[THREADS][ALL];
  char const recipe[] = "sampler = \"ancestral\"\nsteps = 12";
  tweedie_plan* plan = tweedie_plan_from_recipe(recipe, "cosine", "v");
  struct job jobs[THREADS];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; ++i) {
    jobs[i] = (struct job){plan, NULL, alone[i], (uint64_t)i, ""};
    work(&jobs[i]);
  }
  for (int i = 0; i < THREADS; ++i) {
    jobs[i].x = together[i];
    jobs[i].said[0] = 0;
    pthread_create(&threads[i], NULL, work, &jobs[i]);
  }
  for (int i = 0; i < THREADS; ++i) {
    pthread_join(threads[i], NULL);
    expect(!strncmp(jobs[i].said, "a step was asked of a loop that is at its end", 45),
           "each thread has a sentence of its own");
    expect(!memcmp(alone[i], together[i], sizeof alone[i]), "the bits of a thread alone");
  }

  /* This thread asks, at any moment, of a loop that another one steps. */
  static float seen[ALL];
  tweedie_buffer const of_seen = {seen, sizeof seen, TWEEDIE_FLOAT32, TWEEDIE_HOST, NULL};
  int refused = 0;
  for (int times = 0; times < 1000 && !refused; ++times) {
    tweedie_loop* loop = tweedie_loop_start(plan, shape, 2, 0, NULL);
    jobs[0].loop = loop;
    memset(together[0], 0, sizeof together[0]);
    pthread_create(&threads[0], NULL, work, &jobs[0]);
    for (int asked = 0; asked < 100; ++asked)
      if (tweedie_loop_x(loop, &of_seen) < 0) {
        expect(is_used(), "what is said of a loop that another thread uses");
        refused = 1;
      }
    pthread_join(threads[0], NULL);
    expect(!memcmp(alone[0], together[0], sizeof alone[0]), "its bits, all the same");
    tweedie_loop_release(loop);
  }
  expect(refused, "a loop that another thread is using is refused");
  tweedie_plan_release(plan);
  printf("%d wrong\n", failures);
  return failures != 0;
}
