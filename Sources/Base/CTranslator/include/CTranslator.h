#ifndef CTRANSLATOR_H
#define CTRANSLATOR_H
#include "CSampler.h"
#include <stdint.h>

/* What the signal handler must know of the vCPU whose translated code a thread runs. It decides nothing: a fault inside the
   code becomes a jump to `fault_exit`, with the faulting address of the code kept in the vCPU's block. */
struct ctranslator_context {
  uint64_t code_start;   /* executable mapping of the generated code */
  uint64_t code_end;
  uint64_t stacks;       /* two stacks of return addresses, each above a guard page: an overflow forgets all but the last */
  uint64_t stack_size;   /* of one of them with its guard */
  uint64_t stack_empty;  /* from its guard to the stack pointer when it is empty */
  uint64_t return_miss;  /* what an empty stack returns to */
  uint64_t fault_exit;   /* the code that leaves after a fault */
  uint64_t fault_pc;     /* where the handler stores the faulting program counter */
};

/* Makes this thread run translated code of the vCPU whose block is at `block`: sets the GS base and, once a thread, an
   alternate signal stack. 0, or a negative errno. */
int ctranslator_enter_thread(const struct ctranslator_context *context, void *block);

/* Installs the handlers for SIGSEGV, SIGBUS, SIGFPE and SIGILL once a process. 0, or a negative errno. */
int ctranslator_install(void);

/* Whether a thread may set its GS base: sets it to what it is. 0, or a negative errno. */
int ctranslator_probe(void);

#endif
