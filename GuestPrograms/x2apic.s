# Tests: the x2APIC: the changes of mode that are allowed, its registers by RDMSR and WRMSR, what faults, the 32-bit id and logical id, the
# interrupt command register in one write, and the self-IPI register.
# Specification: SDM 3A §10.12 (tables 10-5 and 10-6).
# Expected:
#   modes
#   registers
#   refusals
#   interrupts
#   back to the xAPIC
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set BASE, 0x1B
.set PAGE, 0xFEE00000
.macro SET_BASE bits
  mov $BASE, %ecx
  rdmsr
  and $0x1FF, %eax
  or $PAGE + \bits, %eax
.endm
.macro READ_REFUSED number
  TRY
  mov $\number, %ecx
6: rdmsr
  CAUGHT VECTOR_GP, 0, "RDMSR \number", at=6b
.endm
.macro WRITE_REFUSED number, low, high=0
  TRY
  mov $\number, %ecx
  mov $\low, %eax
  mov $\high, %edx
6: wrmsr
  CAUGHT VECTOR_GP, 0, "WRMSR \number of \high:\low", at=6b
.endm
PROGRAM
  REQUIRE_CPUID 1, ecx, 21, "x2APIC"
  ENTER_LONG
  mov $PAGE, %r15d
  CASE "modes"
  READ_MSR BASE
  mov $PAGE + 0x900, %ecx
  EXPECT_EQ %rax, %rcx, "enabled, the bootstrap processor"
  READ_REFUSED 0x802
  TRY
  SET_BASE 0x400
6: wrmsr
  CAUGHT VECTOR_GP, 0, "EXTD without EN", at=6b
  SET_BASE 0
  wrmsr
  mov $1, %eax
  xor %ecx, %ecx
  cpuid
  bt $9, %edx
  sbb %rax, %rax
  EXPECT_EQ %rax, $0, "CPUID of a disabled APIC"
  TRY
  SET_BASE 0xC00
6: wrmsr
  CAUGHT VECTOR_GP, 0, "disabled to x2APIC", at=6b
  SET_BASE 0x800
  wrmsr
  TRY
  SET_BASE 0xC00
  wrmsr
  CAUGHT NONE, 0, "xAPIC to x2APIC"
  TRY
  SET_BASE 0x800
6: wrmsr
  CAUGHT VECTOR_GP, 0, "x2APIC to xAPIC", at=6b
  TRY
  SET_BASE 0xE00
6: wrmsr
  CAUGHT VECTOR_GP, 0, "a reserved bit", at=6b
  CASE "registers"
  mov $0xB, %eax
  xor %ecx, %ecx
  cpuid
  mov %edx, %r12d
  READ_MSR 0x802
  EXPECT_EQ %rax, %r12, "the id is that of CPUID leaf 0xB"
  mov %r12d, %r13d
  shr $4, %r13d
  shl $16, %r13d
  mov %r12d, %ecx
  and $15, %ecx
  bts %ecx, %r13d
  READ_MSR 0x80D
  EXPECT_EQ %rax, %r13, "the logical id comes from the id"
  READ_MSR 0x803
  and $0xF0, %eax
  EXPECT_EQ %rax, $0x10, "version"
  WRITE_MSR 0x80F, $0x1FF
  READ_MSR 0x80F
  EXPECT_EQ %rax, $0x1FF, "spurious vector"
  WRITE_MSR 0x808, $0x40
  mov %cr8, %rax
  EXPECT_EQ %rax, $4, "CR8 is the task priority"
  xor %eax, %eax
  mov %rax, %cr8
  READ_MSR 0x808
  EXPECT_EQ %rax, $0, "and the other way round"
  WRITE_MSR 0x830, $0x40000, 0x12345678
  READ_MSR 0x830
  mov $0x12345678, %ecx
  shl $32, %rcx
  or $0x40000, %rcx
  EXPECT_EQ %rax, %rcx, "the command register has 64 bits"
  CASE "refusals"
  .irp number, 0x800, 0x80B, 0x80C, 0x80E, 0x829, 0x831, 0x83A, 0x83D, 0x83F, 0x8FF
  READ_REFUSED \number
  .endr
  .irp number, 0x802, 0x803, 0x80A, 0x80D, 0x80E, 0x810, 0x818, 0x820, 0x831, 0x839, 0x8FF
  WRITE_REFUSED \number, 0
  .endr
  WRITE_REFUSED 0x80B, 1
  WRITE_REFUSED 0x828, 1
  WRITE_REFUSED 0x808, 0x100
  WRITE_REFUSED 0x80F, 0x80000000
  WRITE_REFUSED 0x80F, 0x1FF, 1
  WRITE_REFUSED 0x832, 0x80000000
  WRITE_REFUSED 0x838, 0, 1
  WRITE_REFUSED 0x83E, 4
  WRITE_REFUSED 0x83F, 0x100
  CASE "interrupts"
  movq $acknowledge, hook
  movq $0, seen_count
  WRITE_MSR 0x83F, $0x51
  READ_MSR 0x822
  EXPECT_EQ %rax, $0x20000, "a self-IPI is requested"
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_count, $1, "a self-IPI comes"
  EXPECT_EQ seen_vector, $0x51, "its vector"
  EXPECT_EQ in_service, $0x20000, "in service until its end"
  READ_MSR 0x812
  EXPECT_EQ %rax, $0, "and no longer"
  mov $0x830, %ecx
  mov $0x4061, %eax
  mov %r12d, %edx
  wrmsr
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_vector, $0x61, "an IPI to the physical id"
  mov $0x830, %ecx
  mov $0x4862, %eax
  mov %r13d, %edx
  wrmsr
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_vector, $0x62, "an IPI to the logical id"
  WRITE_MSR 0x830, $0x4063, 0xFFFFFFFF
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_vector, $0x63, "an IPI to all"
  WRITE_MSR 0x830, $0xC4064
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_vector, $0x63, "to all but itself: none"
  WRITE_MSR 0x828, $0
  WRITE_MSR 0x83F, $0x0F
  WRITE_MSR 0x828, $0
  READ_MSR 0x828
  EXPECT_EQ %rax, $0x20, "a vector below 16 is an error of sending"
  WRITE_MSR 0x828, $0
  READ_MSR 0x828
  EXPECT_EQ %rax, $0, "which is cleared by reading it out"
  CASE "back to the xAPIC"
  movq $0, hook
  SET_BASE 0
  wrmsr
  READ_REFUSED 0x802
  SET_BASE 0x800
  wrmsr
  mov 0x20(%r15), %eax
  shr $24, %eax
  EXPECT_EQ %rax, %r12, "the id by the page"
  mov 0xF0(%r15), %eax
  EXPECT_EQ %rax, $0xFF, "all else as after a reset"
  FINISH
acknowledge:
  READ_MSR 0x812
  mov %rax, in_service
  READ_MSR 0x813
  WRITE_MSR 0x80B, $0
  ret
.section .bss
.balign 8
in_service: .skip 8
