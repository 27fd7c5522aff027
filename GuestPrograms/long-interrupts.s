# Tests: interrupts in long mode: the frame of five quadwords, alignment of the stack to 16 bytes, IST, ring 3 to ring 0,
# software interrupts, refusals, IRETQ's checks and the null SS.
# Specification: SDM 3A §6.14.
# Expected:
#   alignment
#   IST
#   ring 3
#   refused gates
#   IRETQ
#   instructions that 64-bit mode has not
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  ENTER_LONG
  CASE "alignment"
  mov %rsp, %r12
  mov %rsp, %rbx
  and $~15, %rbx
  TRY
  lea -3(%rbx), %rsp
6: ud2
  CAUGHT VECTOR_UD, 0, "an exception without error code", at=6b
  lea -3(%rbx), %rax
  EXPECT_EQ seen_rsp, %rax, "RSP in the frame"
  lea -16-40(%rbx), %rax
  EXPECT_EQ seen_frame, %rax, "the frame is 16-byte aligned below"
  TRY
  lea -8(%rbx), %rsp
  mov $0x1F8, %eax
6: mov %eax, %fs
  CAUGHT VECTOR_GP, 0x1F8, "an exception with error code", at=6b
  lea -16-40(%rbx), %rax
  EXPECT_EQ seen_frame, %rax, "the error code goes below an aligned frame"
  EXPECT_EQ seen_ss, $DATA, "SS in the frame"
  CASE "IST"
  movb $1, idt64 + VECTOR_UD * 16 + 4
  TRY
  ud2
  CAUGHT VECTOR_UD, 0, "IST 1"
  EXPECT_EQ seen_frame, $ist1_top-40, "the stack of IST 1"
  movb $2, idt64 + VECTOR_GP * 16 + 4
  mov $0x1F8, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_GP, 0x1F8, "IST 2"
  EXPECT_EQ seen_frame, $ist2_top-40, "the stack of IST 2"
  movb $0, idt64 + VECTOR_GP * 16 + 4
  movb $0, idt64 + VECTOR_UD * 16 + 4
  CASE "ring 3"
  TRY
  ENTER_USER64 user_ud
  CAUGHT VECTOR_UD, 0, "from ring 3", at=user_ud
  EXPECT_EQ seen_frame, $interrupt_stack_top-40, "the stack of ring 0"
  EXPECT_EQ seen_handler_ss, $0, "SS is null in the handler"
  EXPECT_EQ seen_cs, $USER_CODE64|3, "CS in the frame"
  EXPECT_EQ seen_ss, $USER_DATA|3, "SS in the frame"
  TRY
  ENTER_USER64 user_int
  CAUGHT VECTOR_GP, 0x40*8+2, "INT n of a gate of DPL 0", at=user_int
  CASE "refused gates"
  movb $0x0E, idt64 + 0x41 * 16 + 5
  TRY
  int $0x41
  CAUGHT VECTOR_NP, 0x41*8+2, "gate that is not present"
  movb $0x85, idt64 + 0x42 * 16 + 5
  TRY
  int $0x42
  CAUGHT VECTOR_GP, 0x42*8+2, "task gate"
  movw $CODE32, idt64 + 0x43 * 16 + 2
  TRY
  int $0x43
  CAUGHT VECTOR_GP, CODE32, "gate to 32-bit code"
  movl $0x8000, idt64 + 0x44 * 16 + 8
  TRY
  int $0x44
  CAUGHT_ANYWHERE VECTOR_GP, 0, "gate to an address that is not canonical"
  CASE "IRETQ"
  TRY
  pushq $DATA
  push %r12
  pushq $2
  pushq $CODE64
  pushq $7f
  iretq
7: mov %rsp, %rax
  CAUGHT NONE, 0, "to the same ring"
  EXPECT_EQ %rax, %r12, "RSP is loaded"
  TRY
  pushq $0
  push %r12
  pushq $2
  pushq $CODE64
  pushq $7f
  iretq
7: mov %ss, %eax
  CAUGHT NONE, 0, "null SS in ring 0"
  EXPECT_EQ %rax, $0, "SS is null"
  mov $DATA, %eax
  mov %eax, %ss
  TRY
  pushq $0
  push %r12
  pushq $2
  pushq $USER_CODE64|3
  pushq $7f
6: iretq
7:
  CAUGHT VECTOR_GP, 0, "null SS for ring 3", at=6b
  TRY
  pushq $DATA
  push %r12
  pushq $2
  pushq $0
  pushq $7f
6: iretq
7:
  CAUGHT VECTOR_GP, 0, "null CS", at=6b
  TRY
  pushq $FLAG_NT | 2
  popfq
6: iretq
  CAUGHT VECTOR_GP, 0, "NT", at=6b
  CASE "instructions that 64-bit mode has not"
.irp byte, 0x06, 0x0E, 0x16, 0x1E, 0x27, 0x2F, 0x37, 0x3F, 0x60, 0x61, 0x62, 0x82, 0x9A, 0xC4, 0xCE, 0xD4, 0xD5, 0xD6, 0xEA
  TRY
  .byte \byte, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
  CAUGHT VECTOR_UD, 0, "opcode \byte"
.endr
  FINISH
user_ud: ud2
user_int: int $0x40
