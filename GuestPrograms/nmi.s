# Tests: non-maskable interrupts from the interrupt command register and from the I/O APIC: with IF clear, through an IST stack, from
# ring 3, out of HLT, held back from delivery to the next IRET, also to that of an exception inside the handler, and to one that faults.
# Specification: SDM 3A §6.7, §6.7.1, §6.14.5, §10.6.1; SDM 2A "HLT"; 8254 and 82093AA data sheets.
# Expected:
#   IF clear
#   IST
#   ring 3
#   held back until IRET
#   IRET of an exception in the handler
#   IRET that faults
#   HLT with IF clear
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set APIC, 0xFEE00000
.set IOAPIC, 0xFEC00000
.macro SEND_NMI
  movl $0x4400, 0x300(%r15)
.endm
# Time for an interrupt to come: a few boundaries of instructions and branches.
.macro SETTLE
  .rept 4
  jmp 8f
8: nop
  .endr
.endm
.macro ARM routine
  movq $0, seen_count
  movq $0, deepest
  movq $0, depth
  movq $\routine, hook
.endm
PROGRAM
  ENTER_LONG
  mov $APIC, %r15d
  mov $IOAPIC, %r14d
  movl $0x1FF, 0xF0(%r15)
  mov 0x20(%r15), %eax
  mov %eax, 0x310(%r15)          # to this processor, by its number
  CASE "IF clear"
  mov %rsp, %r12
  ARM only_return
  SEND_NMI
  SETTLE
  EXPECT_EQ seen_count, $1, "how many"
  EXPECT_EQ seen_vector, $VECTOR_NMI, "vector"
  EXPECT_EQ seen_error, $0, "no error code"
  EXPECT_EQ seen_rsp, %r12, "RSP in the frame"
  EXPECT_EQ seen_cs, $CODE64, "CS in the frame"
  mov seen_flags, %rax
  and $FLAG_IF | FLAG_RF, %eax
  EXPECT_EQ %rax, $0, "IF and RF in the frame"
  CASE "IST"
  movb $1, idt64 + VECTOR_NMI * 16 + 4
  ARM only_return
  SEND_NMI
  SETTLE
  EXPECT_EQ seen_count, $1, "how many"
  EXPECT_EQ seen_frame, $ist1_top-40, "the stack of IST 1"
  EXPECT_EQ seen_rsp, %r12, "RSP in the frame"
  CASE "ring 3"
  ARM leave_hook
  TRY
  ENTER_USER64 user_sends
  CAUGHT LEAVE, 0, "the program goes on", at=user_sends_end
  EXPECT_EQ seen_count, $2, "an NMI and INT n"
  EXPECT_EQ nmi_frame, $ist1_top-40, "the stack of IST 1"
  EXPECT_EQ nmi_cs, $USER_CODE64|3, "CS in the frame"
  EXPECT_EQ nmi_ss, $USER_DATA|3, "SS in the frame"
  EXPECT_EQ nmi_rsp, $user_stack_top, "RSP in the frame"
  CASE "held back until IRET"
  ARM send_another
  SEND_NMI
  SETTLE
  EXPECT_EQ seen_count, $2, "how many"
  EXPECT_EQ count_before_iret, $1, "the second waits for the IRET of the first"
  EXPECT_EQ seen_frame, $ist1_top-40, "the same stack"
  mov first_rip, %rax
  EXPECT_EQ seen_rip, %rax, "it comes before the next instruction"
  CASE "IRET of an exception in the handler"
  movb $0, idt64 + VECTOR_NMI * 16 + 4
  ARM interrupt_inside
  SEND_NMI
  SETTLE
  EXPECT_EQ seen_count, $3, "two NMIs and INT n"
  EXPECT_EQ count_before_iret, $2, "the second waits for an IRET"
  EXPECT_EQ deepest, $2, "and comes inside the handler of the first"
  CASE "IRET that faults"
  ARM fault_inside
  SEND_NMI
  SETTLE
  EXPECT_EQ deepest, $2, "the second comes after the IRET that raised #GP"
  EXPECT_EQ seen_count, $3, "two NMIs and #GP"
  CASE "HLT with IF clear"
  movl $0x10 + 2 * 2, (%r14)
  movl $0x400, 0x10(%r14)        # NMI by input 2, which the 8254 drives
  mov 0x20(%r15), %eax
  movl $0x11 + 2 * 2, (%r14)
  mov %eax, 0x10(%r14)
  ARM only_return
  mov $0x30, %al                 # one count
  out %al, $0x43
  mov $0x00, %al
  out %al, $0x40
  mov $0x20, %al
  out %al, $0x40
  hlt
6: EXPECT_EQ seen_count, $1, "how many"
  EXPECT_EQ seen_vector, $VECTOR_NMI, "vector"
  EXPECT_EQ seen_rip, $6b, "the instruction after HLT"
  FINISH

only_return: ret
leave_hook:
  mov seen_frame, %rax
  mov %rax, nmi_frame
  mov seen_cs, %rax
  mov %rax, nmi_cs
  mov seen_ss, %rax
  mov %rax, nmi_ss
  mov seen_rsp, %rax
  mov %rax, nmi_rsp
  movq $0, hook
  ret
send_another:
  cmpq $1, seen_count
  jne 1f
  mov seen_rip, %rax
  mov %rax, first_rip
  SEND_NMI
  SETTLE
  mov seen_count, %rax
  mov %rax, count_before_iret
1: ret
interrupt_inside:
  cmpq $VECTOR_NMI, seen_vector
  jne 1f
  incq depth
  mov depth, %rax
  cmp deepest, %rax
  jb 2f
  mov %rax, deepest
2: cmpq $1, seen_count
  jne 3f
  SEND_NMI
  SETTLE
  int $0x70
  SETTLE
3: decq depth
  ret
1: mov seen_count, %rax           # in the handler of INT n, before its IRET
  mov %rax, count_before_iret
  ret
fault_inside:
  cmpq $VECTOR_NMI, seen_vector
  jne 1f
  incq depth
  mov depth, %rax
  cmp deepest, %rax
  jb 2f
  mov %rax, deepest
2: cmpq $1, seen_count
  jne 3f
  SEND_NMI
  SETTLE
  mov %rsp, resume_inner
  pushq $DATA
  push %rsp
  pushq $2
  pushq $0                       # a null CS
  pushq $7f
  iretq
7: SETTLE
3: decq depth
  ret
# #GP of the IRETQ: goes on behind it, and stays in its handler, without a further IRET.
1: mov resume_inner, %rsp
  jmp 7b
user_sends:
  SEND_NMI
  SETTLE
  int $LEAVE
user_sends_end:
.section .bss
.balign 8
depth: .skip 8
deepest: .skip 8
first_rip: .skip 8
count_before_iret: .skip 8
resume_inner: .skip 8
nmi_frame: .skip 8
nmi_cs: .skip 8
nmi_ss: .skip 8
nmi_rsp: .skip 8
