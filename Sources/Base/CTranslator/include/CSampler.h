#ifndef CSAMPLER_H
#define CSAMPLER_H
#include <stdint.h>

/* A sampling profiler of one thread: a timer's signal notes where the thread is. It decides nothing; the owner of the
   buffer finds out what the host addresses mean. */

enum { CSAMPLER_DEPTH = 32 };

struct csampler_sample {
  uint64_t pc;      /* the host's program counter */
  uint64_t rip;     /* the guest's RIP as the vCPU's block has it, which may be old while translated code runs */
  uint64_t address; /* R9 */
  uint64_t displacement; /* of the guest's position-independent code */
  uint32_t category;
  uint32_t depth;                  /* how many of `frames` are filled */
  uint64_t frames[CSAMPLER_DEPTH]; /* the top of the stack of host return addresses, and of what lies between them */
};

/* One vCPU, as the handler has to know it. */
struct csampler {
  uint64_t code_start; /* executable mapping of the generated code */
  uint64_t code_end;
  uint64_t stacks; /* two stacks of host return addresses, of stack_size bytes each, empty at offset stack_empty */
  uint64_t stack_size;
  uint64_t stack_empty;
  const uint64_t *stack; /* the pointer of the one in use while no translated code runs */
  const uint64_t *rip;
  const uint64_t *displacement;
  const uint32_t *category; /* what the thread is doing */
  struct csampler_sample *samples;
  uint32_t capacity;
  volatile uint32_t count;
  volatile uint32_t paused; /* the owner is reading */
  volatile uint64_t lost;   /* samples that found no room */
};

/* Makes `sampler` the one that signals of this thread go to; the first call of a thread starts its timer, which raises SIGPROF
   `rate` times a second. The thread must have an alternate signal stack. 0, or a negative errno. */
int csampler_select(struct csampler *sampler, unsigned rate);

/* No more samples for `sampler`, and no more signals of this thread if they went to it. To be called on the thread that selected it. */
void csampler_forget(const struct csampler *sampler);

#endif
