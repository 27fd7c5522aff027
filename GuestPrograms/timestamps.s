# Tests: RDTSC, RDTSCP and IA32_TIME_STAMP_COUNTER tell one time that never goes back; IA32_TSC_AUX; CR4.TSD.
# Specification: SDM 2B "RDTSC", "RDTSCP", SDM 3B §17.17.
# Expected:
#   one time
#   written
#   refused
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
# %r8 = the counter's value, and the value before in %r9; fails unless it is later. Changes %rcx.
.macro LATER name
  mov %r8, %r9
  shl $32, %rdx
  or %rdx, %rax
  mov %rax, %r8
  xor %ecx, %ecx
  cmp %r9, %r8
  setae %cl
  EXPECT_EQ %rcx, $1, "\name"
.endm
PROGRAM
  ENTER_LONG
  CASE "one time"
  WRITE_MSR 0xC0000103, $0x1234567
  xor %r8d, %r8d
  mov $50, %r12d
1: mov $-1, %rax
  mov $-1, %rdx
  rdtsc
  mov %rax, %rcx
  or %rdx, %rcx
  shr $32, %rcx
  EXPECT_EQ %rcx, $0, "upper halves"
  LATER "RDTSC"
  mov $-1, %rcx
  rdtscp
  EXPECT_EQ %rcx, $0x1234567, "IA32_TSC_AUX"
  LATER "RDTSCP"
  mov $0x10, %ecx
  rdmsr
  LATER "the register"
  stc
  rdtsc
  setc %cl
  movzx %cl, %ecx
  EXPECT_EQ %rcx, $1, "CF is kept"
  LATER "RDTSC again"
  dec %r12d
  jnz 1b
  CASE "written"
  WRITE_MSR 0x10, $0, 0x7000
  rdtsc
  EXPECT_EQ %rdx, $0x7000, "the upper half that was written"
  WRITE_MSR 0x10, $0
  rdtsc
  EXPECT_EQ %rdx, $0, "a new beginning"
  CASE "refused"
  mov %cr4, %rax
  or $CR4_TSD, %rax
  mov %rax, %cr4
  TRY
  rdtsc
  CAUGHT NONE, 0, "RDTSC in ring 0"
  TRY
  ENTER_USER64 user_read
  CAUGHT VECTOR_GP, 0, "RDTSC in ring 3", at=user_read
  TRY
  ENTER_USER64 user_read_both
  CAUGHT VECTOR_GP, 0, "RDTSCP in ring 3", at=user_read_both
  mov %cr4, %rax
  and $~CR4_TSD, %rax
  mov %rax, %cr4
  TRY
  ENTER_USER64 user_read
  CAUGHT LEAVE, 0, "without CR4.TSD", at=user_done
  FINISH
user_read: rdtsc
user_read_both: rdtscp
  int $LEAVE
user_done:
