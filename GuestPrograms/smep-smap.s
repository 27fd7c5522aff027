# Tests: SMEP and SMAP, STAC and CLAC, implicit supervisor accesses from ring 3.
# Specification: SDM 3A §4.6.1, SDM 2A "CLAC", 2B "STAC".
# Expected:
#   SMEP
#   SMAP
#   implicit accesses
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  REQUIRE_CPUID 7, ebx, 7, "SMEP"
  REQUIRE_CPUID 7, ebx, 20, "SMAP"
  ENTER_LONG (P|W), (P|W|U)
  mov $WINDOW, %rbx
  movl $0xC3, FRAME
  movl $0x80CD, FRAME + 0x1000     # int $0x80
  CASE "SMEP"
  TRY
  call *%rbx
  CAUGHT NONE, 0, "a user page executed without SMEP"
  mov %cr4, %rax
  or $CR4_SMEP, %eax
  mov %rax, %cr4
  TRY
  call *%rbx
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "a user page executed with SMEP"
  EXPECT_EQ seen_cr2, %rbx, "CR2"
  TRY
  mov (%rbx), %eax
  CAUGHT NONE, 0, "a user page read with SMEP"
  TRY
  pushq $USER_DATA | 3
  pushq $0
  pushq $2
  pushq $USER_CODE64 | 3
  lea 0x1000(%rbx), %rax
  push %rax
  iretq
  CAUGHT_ANYWHERE LEAVE, 0, "a user page executed in ring 3 with SMEP"
  CASE "SMAP"
  mov %cr4, %rax
  or $CR4_SMAP, %eax
  mov %rax, %cr4
  TRY
  mov (%rbx), %eax
  CAUGHT VECTOR_PF, 1, "a user page read with SMAP"
  TRY
  mov %eax, 4(%rbx)
  CAUGHT VECTOR_PF, 3, "a user page written with SMAP"
  EXPECT_EQ FRAME+4, $0, "nothing is written"
  stac
  TRY
  mov (%rbx), %eax
  CAUGHT NONE, 0, "a user page read after STAC"
  TRY
  mov %eax, 4(%rbx)
  CAUGHT NONE, 0, "a user page written after STAC"
  clac
  TRY
  mov (%rbx), %eax
  CAUGHT VECTOR_PF, 1, "a user page read after CLAC"
  stac
  TRY
  call *%rbx
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "STAC lets nothing be executed"
  clac
  CASE "implicit accesses"
  # An LDT in user pages: a segment load reads it as a supervisor, which AC does not excuse.
  mov $0x00CF93000000FFFF, %rax
  stac
  mov %rax, 0x2000(%rbx)
  SET_DESCRIPTOR SLOT0, $0x2000, 7, 0x82, 0
  movl $WINDOW >> 32, gdt + SLOT0 + 8
  mov $SLOT0, %eax
  lldt %ax
  mov $4, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_PF, 1, "an LDT in user pages"
  clac
  FINISH
