#define _GNU_SOURCE
#include "CSampler.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static __thread struct csampler *volatile selected;
static __thread int has_timer;
static __thread timer_t timer;

/* The vector registers hold the guest's: general registers only. */
#define GENERAL __attribute__((target("general-regs-only"), noinline))

/* Below each stack lies a page that cannot be read. */
GENERAL static int is_in_stacks(const struct csampler *sampler, uint64_t address) {
  return address >= sampler->stacks && address - sampler->stacks < 2 * sampler->stack_size && address % 8 == 0
      && (address - sampler->stacks) % sampler->stack_size >= 4096;
}

GENERAL static void sample(int number, siginfo_t *info, void *opaque) {
  (void)number;
  (void)info;
  struct csampler *sampler = selected;
  if (!sampler || sampler->paused) return;
  if (sampler->count >= sampler->capacity) {
    sampler->lost++;
    return;
  }
  const greg_t *registers = ((ucontext_t *)opaque)->uc_mcontext.gregs;
  struct csampler_sample *made = &sampler->samples[sampler->count];
  made->pc = (uint64_t)registers[REG_RIP];
  made->rip = *sampler->rip;
  made->address = (uint64_t)registers[REG_R9];
  made->displacement = *sampler->displacement;
  made->category = *sampler->category;
  uint64_t stack = (uint64_t)registers[REG_RSP];
  if (!is_in_stacks(sampler, stack)) stack = *sampler->stack;
  made->depth = 0;
  if (is_in_stacks(sampler, stack)) {
    uint64_t end = stack - (stack - sampler->stacks) % sampler->stack_size + sampler->stack_empty;
    for (; stack < end && made->depth < CSAMPLER_DEPTH; stack += 8)
      made->frames[made->depth++] = *(const uint64_t *)stack;
  }
  sampler->count++;
}

static int start(unsigned rate) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = sample;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(SIGPROF, &action, NULL) != 0) return -errno;
  struct sigevent event;
  memset(&event, 0, sizeof event);
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  /* Not the thread's CPU time: its timers only go off at the host's ticks. */
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) return -errno;
  struct itimerspec period;
  memset(&period, 0, sizeof period);
  period.it_interval.tv_nsec = period.it_value.tv_nsec = 1000000000L / rate;
  if (timer_settime(timer, 0, &period, NULL) != 0) return -errno;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int csampler_select(struct csampler *sampler, unsigned rate) {
  selected = sampler;
  if (has_timer) return 0;
  int result = start(rate < 2 ? 2 : rate);
  if (result != 0) selected = 0;
  has_timer = result == 0;
  return result;
}

void csampler_forget(const struct csampler *sampler) {
  if (selected != sampler) return;
  selected = 0;
  if (has_timer) timer_delete(timer);
  has_timer = 0;
}
