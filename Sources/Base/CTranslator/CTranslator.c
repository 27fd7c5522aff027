#define _GNU_SOURCE
#include "CTranslator.h"
#include <asm/prctl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static __thread const struct ctranslator_context *current;
static __thread void *alternate_stack;
enum { SIGNAL_COUNT = 4, STACK_SIZE = 64 << 10 };
static const int signals[SIGNAL_COUNT] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[SIGNAL_COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_result;
/* Whether the kernel lets WRGSBASE be used: bit 1 of AT_HWCAP2. */
static int has_base_instructions;

/* The vector registers hold the guest's, and MXCSR may unmask exceptions: general registers only. */
#define GENERAL __attribute__((target("general-regs-only"), noinline))

GENERAL static void pass_on(int number, siginfo_t *info, void *context) {
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

/* Empties a stack of return addresses but for what was pushed last, which the code that is running may still want: an exit its
   own return address, a call the word below it. Returns the new stack pointer. */
GENERAL static uint64_t *forget(const struct ctranslator_context *context, uint64_t stack, const uint64_t *top) {
  enum { KEPT = 8 };
  uint64_t *empty = (uint64_t *)(stack + context->stack_empty);
  uint64_t *kept = empty - KEPT;
  if (top >= kept || (uint64_t)top < stack) return empty;
  for (int index = 0; index < KEPT; index++) kept[index] = top[index];
  /* Twice: the last kept word may be half of a pair, whose return takes one too many. */
  empty[0] = empty[1] = context->return_miss;
  return kept;
}

GENERAL static void handle(int number, siginfo_t *info, void *opaque) {
  const struct ctranslator_context *context = current;
  greg_t *registers = ((ucontext_t *)opaque)->uc_mcontext.gregs;
  uint64_t pc = (uint64_t)registers[REG_RIP];
  if (!context || pc < context->code_start || pc >= context->code_end) {
    pass_on(number, info, opaque);
    return;
  }
  uint64_t address = (uint64_t)registers[REG_CR2];
  if (number == SIGSEGV && address - context->stacks < 2 * context->stack_size) {
    uint64_t stack = context->stacks + (address - context->stacks) / context->stack_size * context->stack_size;
    registers[REG_RSP] = (greg_t)forget(context, stack, (const uint64_t *)registers[REG_RSP]);
    return;
  }
  *(uint64_t *)context->fault_pc = pc;
  registers[REG_RIP] = (greg_t)context->fault_exit;
}

static void install(void) {
  has_base_instructions = (getauxval(AT_HWCAP2) & 2) != 0;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  /* No signal is blocked meanwhile: a handler that this one passes a signal on to may leave by siglongjmp(3). */
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  for (int index = 0; index < SIGNAL_COUNT; index++) {
    if (sigaction(signals[index], &action, &previous[index]) != 0) install_result = -errno;
  }
}

int ctranslator_install(void) {
  pthread_once(&once, install);
  return install_result;
}

int ctranslator_enter_thread(const struct ctranslator_context *context, void *block) {
  if (!alternate_stack) {
    stack_t stack;
    memset(&stack, 0, sizeof stack);
    stack.ss_sp = alternate_stack = malloc(STACK_SIZE);
    stack.ss_size = STACK_SIZE;
    if (!alternate_stack || sigaltstack(&stack, NULL) != 0) return -ENOMEM;
  }
  current = context;
  if (has_base_instructions) {
    /* Not as an intrinsic: those need a newer CPU for the whole file. */
    __asm__ volatile("wrgsbase %0" : : "r"(block));
    return 0;
  }
  return syscall(SYS_arch_prctl, ARCH_SET_GS, block) == 0 ? 0 : -errno;
}

int ctranslator_probe(void) {
  unsigned long base = 0;
  if (syscall(SYS_arch_prctl, ARCH_GET_GS, &base) != 0 || syscall(SYS_arch_prctl, ARCH_SET_GS, base) != 0) return -errno;
  return 0;
}
