# Tests: FNSTCW, FLDCW, FNSTSW and FWAIT in 64-bit code, 3 times over: what they move, flags, page edges, an exception that waits
# for FWAIT, one that a new control word lets out, CR0.TS and CR0.EM.
# Specification: SDM 2A "FLDCW", "FNSTCW", "FNSTSW", SDM 3C "WAIT", SDM 1 §8.1, SDM 3A table 2-2.
# Expected:
#   the control word
#   the status word
#   exceptions
#   page edges
#   CR0.TS and CR0.EM
#   the control word
#   the status word
#   exceptions
#   page edges
#   CR0.TS and CR0.EM
#   the control word
#   the status word
#   exceptions
#   page edges
#   CR0.TS and CR0.EM
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set STATUS, 0x8D5
.macro EXPECT_FLAGS value, name
  pushfq
  pop flags_seen
  andq $STATUS, flags_seen
  EXPECT_EQ flags_seen, $\value, "\name"
.endm
.macro CONTROL value
  movw $\value, word
  fldcw word
.endm
.bss
.balign 8
flags_seen: .skip 8
word: .skip 8
.text
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  mov %cr0, %rax
  or $CR0_NE, %eax
  mov %rax, %cr0
  mov $3, %r15d
again:
  fninit
  CASE "the control word"
  movq $-1, FRAME + 0x100
  pushq $STATUS + 2
  popfq
  fnstcw 0x100(%rbx)
  EXPECT_FLAGS STATUS, "FNSTCW keeps the flags"
  EXPECT_EQ FRAME+0x100, $-64641, "after FNINIT"
  movw $0x0F3F, 0x100(%rbx)
  pushq $STATUS + 2
  popfq
  fldcw 0x100(%rbx)
  fnstcw 0x108(%rbx)
  EXPECT_FLAGS STATUS, "FLDCW keeps the flags"
  movzwl 0x108(%rbx), %eax
  EXPECT_EQ %rax, $0x0F7F, "bit 6 is always set"
  CONTROL 0xFFFF
  fnstcw 0x108(%rbx)
  movzwl 0x108(%rbx), %eax
  EXPECT_EQ %rax, $0x1F7F, "reserved bits"
  lea 0x110(%rbx), %r9
  mov $3, %r10d
  CONTROL 0x027F
  fnstcw (%r9,%r10,2)
  movzwl 0x116(%rbx), %eax
  EXPECT_EQ %rax, $0x027F, "an address in registers that memory holds"
  CASE "the status word"
  fninit
  fld1
  fld1
  movabs $0x1122334455667788, %rax
  fnstsw %ax
  mov %rax, %rcx
  movabs $0x1122334455663000, %rdx
  EXPECT_EQ %rcx, %rdx, "TOP, in AX"
  movq $-1, FRAME + 0x100
  fnstsw 0x100(%rbx)
  EXPECT_EQ FRAME+0x100, $-53248, "TOP, in memory"
  CASE "exceptions"
  fninit
  fldz
  fld1
  fdiv %st(1), %st                  # masked
  TRY
6: fwait
  CAUGHT NONE, 0, "FWAIT with a masked exception"
  fnstsw %ax
  and $0xFF, %eax
  EXPECT_EQ %rax, $4, "ZE"
  CONTROL 0x037B                    # and let out
  fnstsw %ax
  and $0x80FF, %eax
  EXPECT_EQ %rax, $0x8084, "ZE, ES and B"
  TRY
6: fwait
  CAUGHT VECTOR_MF, 0, "FWAIT", at=6b
  TRY
6: fldcw word
  CAUGHT VECTOR_MF, 0, "FLDCW", at=6b
  TRY
6: fnstcw word + 2
  CAUGHT NONE, 0, "FNSTCW does not wait"
  fnclex
  TRY
6: fwait
  CAUGHT NONE, 0, "FWAIT after FNCLEX"
  CONTROL 0x037F
  CASE "page edges"
  movl $0, WINDOW_PT + 8 * 2
  invlpg 0x2000(%rbx)
  TRY
6: fnstcw 0x1FFF(%rbx)
  CAUGHT VECTOR_PF, 2, "FNSTCW", at=6b
  TRY
6: fldcw 0x1FFF(%rbx)
  CAUGHT VECTOR_PF, 0, "FLDCW", at=6b
  movl $FRAME + 0x2000 + P + W + U, WINDOW_PT + 8 * 2
  invlpg 0x2000(%rbx)
  fnstcw 0x1FFF(%rbx)
  movzwl FRAME + 0x1FFF, %eax
  EXPECT_EQ %rax, $0x037F, "across pages"
  movb $0x02, FRAME + 0x2000
  fldcw 0x1FFF(%rbx)
  fnstcw word
  movzwl word, %eax
  EXPECT_EQ %rax, $0x027F, "FLDCW across pages"
  CASE "CR0.TS and CR0.EM"
.irp bit, CR0_TS, CR0_EM
  mov %cr0, %rax
  mov %rax, %r14
  or $\bit, %eax
  mov %rax, %cr0
  TRY
6: fnstcw word
  CAUGHT VECTOR_NM, 0, "FNSTCW", at=6b
  TRY
6: fldcw word
  CAUGHT VECTOR_NM, 0, "FLDCW", at=6b
  TRY
6: fnstsw %ax
  CAUGHT VECTOR_NM, 0, "FNSTSW", at=6b
  TRY
6: fwait
  .ifc \bit, CR0_TS
    CAUGHT VECTOR_NM, 0, "FWAIT with MP", at=6b
  .else
    CAUGHT NONE, 0, "FWAIT"
  .endif
  mov %r14, %rax
  mov %rax, %cr0
.endr
  dec %r15d
  jnz again
  FINISH
