# Tests: UMIP, CR4.TSD, CR4.PCE, I/O permission by IOPL and the I/O map of the TSS, IOPL and IF under POPF.
# Specification: SDM 3A §2.5, §2.8, SDM 1 §19.5.
# Expected:
#   UMIP
#   time and counters
#   ports
#   flags
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro SET_CR4 bits
  mov %cr4, %rax
  or $\bits, %eax
  mov %rax, %cr4
.endm
.macro USER label, flags=2
  TRY
  ENTER_USER64 \label, \flags
.endm
PROGRAM
  ENTER_LONG
  CASE "UMIP"
  mov $7, %eax
  xor %ecx, %ecx
  cpuid
  bt $2, %ecx
  jnc 1f
.irp instruction, "sgdt result", "sidt result", "sldt result", "str result", "smsw result"
  USER 8f
8: \instruction
7: int $LEAVE
  CAUGHT LEAVE, 0, "\instruction without UMIP", at=7b+2
.endr
  SET_CR4 CR4_UMIP
.irp instruction, "sgdt result", "sidt result", "sldt result", "str result", "smsw result"
  USER 8f
8: \instruction
  CAUGHT VECTOR_GP, 0, "\instruction with UMIP", at=8b
.endr
  TRY
  sgdt result
  CAUGHT NONE, 0, "SGDT in ring 0 with UMIP"
1:
  CASE "time and counters"
  USER user_rdtsc
  CAUGHT LEAVE, 0, "RDTSC", at=user_rdtsc+4
  SET_CR4 CR4_TSD
  USER user_rdtsc
  CAUGHT VECTOR_GP, 0, "RDTSC with TSD", at=user_rdtsc
  USER user_rdpmc
  CAUGHT VECTOR_GP, 0, "RDPMC without PCE", at=user_rdpmc
  CASE "ports"
  USER user_in
  CAUGHT VECTOR_GP, 0, "no map", at=user_in
  USER user_in, 0x3002
  CAUGHT LEAVE, 0, "IOPL 3", at=user_in+4
  SET_DESCRIPTOR TASK, $task_state, 0x68+0x20, 0x89, 0
  mov $TASK, %eax
  ltr %ax
  movb $0xFF, task_state + 0x68 + 0x20
  movb $0, task_state + 0x68 + 0x10
  USER user_in
  CAUGHT LEAVE, 0, "allowed by the map", at=user_in+4
  movb $1, task_state + 0x68 + 0x10
  USER user_in
  CAUGHT VECTOR_GP, 0, "denied by the map", at=user_in
  movb $2, task_state + 0x68 + 0x10
  USER user_in_word
  CAUGHT VECTOR_GP, 0, "a word of which one byte is denied", at=user_in_word
  movb $0, task_state + 0x68 + 0x1F
  USER user_in_far
  CAUGHT VECTOR_GP, 0, "a port beyond the map", at=user_in_far+4
  CASE "flags"
  USER user_popf, 0x202
  CAUGHT LEAVE, 0, "POPF", at=user_popf_end
  mov seen_flags, %rax
  and $0x3200, %eax
  EXPECT_EQ %rax, $0x200, "POPF changes neither IF nor IOPL in ring 3"
  USER user_popf, 0x3202
  CAUGHT LEAVE, 0, "POPF with IOPL 3", at=user_popf_end
  mov seen_flags, %rax
  and $0x3200, %eax
  EXPECT_EQ %rax, $0x3000, "POPF changes IF alone with IOPL 3"
  FINISH
user_rdtsc: rdtsc
  int $LEAVE
user_rdpmc: rdpmc
user_in: in $0x80, %al
  int $LEAVE
user_in_word: in $0x80, %ax
user_in_far: 
  mov $0x200, %dx
  in %dx, %al
user_popf:
  pushq $2
  popfq
  int $LEAVE
user_popf_end:
.section .bss
result: .skip 16
