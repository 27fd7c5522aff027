#define _GNU_SOURCE
#include "CNativeRun.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

static __thread struct native_run_block *active;
static __thread void *alternate_stack;
static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
enum { SIGNAL_COUNT = sizeof signals / sizeof signals[0], STACK_SIZE = 64 << 10 };
static struct sigaction previous[SIGNAL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pass_on(int number, siginfo_t *info, void *context) {
  for (int index = 0; index < SIGNAL_COUNT; index++) {
    if (signals[index] != number) continue;
    struct sigaction *action = &previous[index];
    if (action->sa_flags & SA_SIGINFO) {
      action->sa_sigaction(number, info, context);
    } else if (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN) {
      signal(number, SIG_DFL);
    } else {
      action->sa_handler(number);
    }
  }
}

static void handle(int number, siginfo_t *info, void *opaque) {
  struct native_run_block *block = active;
  if (!block) {
    pass_on(number, info, opaque);
    return;
  }
  active = NULL;
  ucontext_t *context = opaque;
  greg_t *registers = context->uc_mcontext.gregs;
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int index = 0; index < 16; index++) block->general[index] = (uint64_t)registers[order[index]];
  block->rflags = (uint64_t)registers[REG_EFL];
  block->rip = (uint64_t)registers[REG_RIP];
  block->signal = (uint64_t)number;
  block->trap = (uint64_t)registers[REG_TRAPNO];
  block->error = (uint64_t)registers[REG_ERR];
  block->address = (uint64_t)registers[REG_CR2];
  memcpy(block->xsave, context->uc_mcontext.fpregs, sizeof block->xsave);
  /* Bytes 464 to 511 are the kernel's own. */
  memset(block->xsave + 464, 0, 48);
  registers[REG_RIP] = (greg_t)block->resume;
  registers[REG_RSP] = (greg_t)block->host_rsp;
  registers[REG_EFL] &= ~(greg_t)(0x100 | 0x400 | 0x40000);
}

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int index = 0; index < SIGNAL_COUNT; index++) sigaction(signals[index], &action, &previous[index]);
}

void native_run(void (*code)(void *), struct native_run_block *block) {
  pthread_once(&once, install);
  if (!alternate_stack) {
    alternate_stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = alternate_stack, .ss_size = STACK_SIZE};
    sigaltstack(&stack, NULL);
  }
  block->signal = 0;
  active = block;
  code(block);
  active = NULL;
}
