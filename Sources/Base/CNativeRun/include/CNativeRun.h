#ifndef CNATIVERUN_H
#define CNATIVERUN_H
#include <stddef.h>
#include <stdint.h>

/* Runs generated code on the host's CPU and survives the signals that it raises. Only for tests. */

/* Must be 64-byte aligned. */
struct native_run_block {
  uint64_t general[16]; /* encoding order */
  uint64_t rflags;
  uint64_t rip;         /* of the faulting instruction */
  uint64_t host_rsp;    /* set by the code before anything of the guest's is loaded */
  uint64_t signal;      /* 0: none */
  uint64_t trap;        /* the exception vector */
  uint64_t error;
  uint64_t address;     /* CR2 of a page fault */
  uint64_t resume;      /* where the code continues after a signal, with RSP = host_rsp */
  uint8_t xsave[832];   /* standard format: legacy, header, AVX */
};

_Static_assert(offsetof(struct native_run_block, rflags) == 128, "layout");
_Static_assert(offsetof(struct native_run_block, host_rsp) == 144, "layout");
_Static_assert(offsetof(struct native_run_block, resume) == 184, "layout");
_Static_assert(offsetof(struct native_run_block, xsave) == 192, "layout");

/* Calls `code(block)`. A fault inside it puts the registers at the fault into the block and continues at `resume`.
   The handlers stay installed; signals of other code go on to the handlers that were there before. */
void native_run(void (*code)(void *), struct native_run_block *block);

#endif
