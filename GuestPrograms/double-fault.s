# Tests: double faults: a fault in the delivery of #GP, of #PF, and which pairs are none; the frame and IST of #DF.
# Specification: SDM 3A §6.15 "Interrupt 8", table 6-5.
# Expected:
#   contributory after contributory
#   page fault after page fault
#   contributory after page fault
#   benign pairs
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  ENTER_LONG
  movb $1, idt64 + VECTOR_DF * 16 + 4
  CASE "contributory after contributory"
  movb $0x0E, idt64 + VECTOR_GP * 16 + 5
  mov $0x1F8, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_DF, 0, "#NP in the delivery of #GP"
  EXPECT_EQ seen_frame, $ist1_top-40, "the stack of IST 1"
  movb $0x8E, idt64 + VECTOR_GP * 16 + 5
  CASE "page fault after page fault"
  mov $0xFFFFFFFF80000000, %rbx
  TRY
  mov %rbx, %rsp
6: push %rax
  CAUGHT VECTOR_DF, 0, "#PF in the delivery of #PF", at=6b
  lea -8-40-8(%rbx), %rcx
  EXPECT_EQ seen_rsp, %rbx, "RSP"
  CASE "contributory after page fault"
  movb $0x0E, idt64 + VECTOR_PF * 16 + 5
  TRY
  mov (%rbx), %eax
  CAUGHT VECTOR_DF, 0, "#NP in the delivery of #PF"
  EXPECT_EQ seen_cr2, %rbx, "CR2"
  movb $0x8E, idt64 + VECTOR_PF * 16 + 5
  CASE "benign pairs"
  movb $0x0E, idt64 + VECTOR_UD * 16 + 5
  TRY
  ud2
  CAUGHT VECTOR_NP, VECTOR_UD*8+3, "#NP in the delivery of #UD"
  movb $0x8E, idt64 + VECTOR_UD * 16 + 5
  movb $1, idt64 + VECTOR_PF * 16 + 4
  TRY
  mov %rbx, %rsp
6: ud2
  CAUGHT VECTOR_PF, 2, "#PF in the delivery of #UD", at=6b
  FINISH
