# Tests: the local APIC's timer in TSC-deadline mode, by page and by MSR: a deadline to come, one that has passed, disarming, a deadline
# that moves, and what the other timer registers then do.
# Specification: SDM 3A §10.5.4.1.
# Expected:
#   another mode
#   a deadline to come
#   a deadline that has passed
#   disarmed
#   moved
#   masked
#   leaving the mode
#   by x2APIC
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set APIC, 0xFEE00000
.set DEADLINE, 0x6E0
# Sets the deadline `distance` after now, and keeps it in %r13.
.macro ARM distance
  rdtsc
  shl $32, %rdx
  or %rdx, %rax
  mov $\distance, %rcx
  add %rcx, %rax
  mov %rax, %r13
  call set_deadline
.endm
.macro WAIT
8: sti
  hlt
  cli
  cmpq $0, seen_count
  je 8b
.endm
# Runs `count` turns of a loop with interrupts on.
.macro RUN count
  mov $\count, %ecx
  sti
8: pause
  loop 8b
  cli
.endm
PROGRAM
  REQUIRE_CPUID 1, ecx, 24, "TSC deadline"
  ENTER_LONG
  mov $APIC, %r15d
  movl $0x1FF, 0xF0(%r15)
  movl $0xB, 0x3E0(%r15)
  movq $note, hook
  CASE "another mode"
  movl $0x10042, 0x320(%r15)
  ARM 1000
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "a write outside of the mode does nothing"
  CASE "a deadline to come"
  movl $0x40042, 0x320(%r15)
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "disarmed at first"
  ARM 100000000000000
  READ_MSR DEADLINE
  EXPECT_EQ %rax, %r13, "the deadline can be read"
  movq $0, seen_count
  ARM 2000000
  WAIT
  EXPECT_EQ seen_count, $1, "how many"
  EXPECT_EQ seen_vector, $0x42, "vector"
  mov noted_time, %rax
  cmp %r13, %rax
  sbb %rax, %rax
  EXPECT_EQ %rax, $0, "not before the deadline"
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "disarmed by the interrupt"
  movl $1000, 0x380(%r15)
  mov 0x390(%r15), %ecx
  EXPECT_EQ %rcx, $0, "the count registers are out of use"
  CASE "a deadline that has passed"
  movq $0, seen_count
  WRITE_MSR DEADLINE, $1
  WAIT
  EXPECT_EQ seen_count, $1, "at once"
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "disarmed"
  CASE "disarmed"
  movq $0, seen_count
  ARM 3000000
  xor %eax, %eax
  call set_deadline
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "a write of 0 disarms"
  RUN 2000000
  EXPECT_EQ seen_count, $0, "no interrupt"
  CASE "moved"
  ARM 100000000000000
  ARM 1000000
  WAIT
  EXPECT_EQ seen_count, $1, "the last deadline counts"
  CASE "masked"
  movq $0, seen_count
  movl $0x50042, 0x320(%r15)
  WRITE_MSR DEADLINE, $1
  RUN 10000
  EXPECT_EQ seen_count, $0, "no interrupt"
  READ_MSR DEADLINE
  EXPECT_EQ %rax, $0, "disarmed all the same"
  CASE "leaving the mode"
  movl $0x40042, 0x320(%r15)
  ARM 3000000
  movl $0x42, 0x320(%r15)
  RUN 2000000
  EXPECT_EQ seen_count, $0, "disarms"
  CASE "by x2APIC"
  REQUIRE_CPUID 1, ecx, 21, "x2APIC"
  mov $0x1B, %ecx
  rdmsr
  or $0x400, %eax
  wrmsr
  movq $note_wide, hook
  WRITE_MSR 0x832, $0x40043
  ARM 1000000
  WAIT
  EXPECT_EQ seen_vector, $0x43, "vector"
  FINISH
set_deadline:
  mov %rax, %rdx
  shr $32, %rdx
  mov $DEADLINE, %ecx
  wrmsr
  ret
note:
  rdtsc
  shl $32, %rdx
  or %rdx, %rax
  mov %rax, noted_time
  movl $0, 0xB0(%r15)
  ret
note_wide:
  WRITE_MSR 0x80B, $0
  ret
.section .bss
.balign 8
noted_time: .skip 8
