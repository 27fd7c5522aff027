# Tests: more calls that never return, and more returns that were never calls, than any stack of predictions holds, with an
# instruction that leaves translated code at every depth; in ring 0, in ring 3, and in a page with several linear addresses.
# Specification: SDM 2A "CALL", SDM 2B "RET".
# Expected:
#   ring 0
#   ring 3
#   at a second address
#   at a third address
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro USER address
  TRY
  mov $\address, %rbx
  ENTER_USER64 8f
8: jmp *%rbx
  CAUGHT_ANYWHERE LEAVE, 0, "the end"
  EXPECT_EQ %r13, $(4*ROUNDS), "calls and returns"
.endm
.set ROUNDS, 20000
PROGRAM
  ENTER_LONG
  CASE "ring 0"
  TRY
  jmp unbalanced
  CAUGHT_ANYWHERE LEAVE, 0, "the end"
  EXPECT_EQ %r13, $(4*ROUNDS), "calls and returns"
  mov $unbalanced, %esi
  mov $FRAME, %edi
  mov $unbalanced_end - unbalanced, %ecx
  cld
  rep movsb
  movq $FRAME + (P|W|U), WINDOW_PT + 8
  mov %cr3, %rax
  mov %rax, %cr3
  CASE "ring 3"
  USER WINDOW
  CASE "at a second address"
  USER FRAME
  CASE "at a third address"
  USER (WINDOW + 0x1000)
  FINISH

# Counts its returns in %r13.
unbalanced:
  mov $ROUNDS, %r12d
  xor %r13d, %r13d
1: call 2f
2: lea 8(%rsp), %rsp
  xor %eax, %eax
  cpuid
  call 5f
  dec %r12d
  jnz 1b
  mov $ROUNDS, %r12d
3: lea 4f(%rip), %rax
  push %rax
  ret
4: inc %r13
  call 5f
  call 6f
  dec %r12d
  jnz 3b
  int $LEAVE
5: inc %r13
  ret
6: call 5b
  dec %r13
  call 5b
  ret
unbalanced_end:
