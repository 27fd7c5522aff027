# Tests: segment limits, expand-down segments, write protection and null segments; #GP for data and #SS for the stack.
# Specification: SDM 3A §5.3, §5.5.
# Expected:
#   byte granularity
#   page granularity
#   expand-down
#   write protection
#   null segment
#   the stack segment
#   code beyond the limit
#   pass
.include "program.inc"
.include "protected.inc"
.macro USE_FS selector
  mov $\selector, %eax
  mov %eax, %fs
.endm
PROGRAM
  SET_DESCRIPTOR SLOT0, $buffer, 0xFFF, 0x93, 4      # bytes, 4 KiB
  SET_DESCRIPTOR SLOT1, $buffer, 0xFFF, 0x97, 0      # expand-down, 64 KiB upper bound
  SET_DESCRIPTOR SLOT2, $buffer, 0xFFF, 0x97, 4      # expand-down, 4 GiB upper bound
  SET_DESCRIPTOR SLOT3, $buffer, 0x1, 0x93, 0xC      # pages: 8 KiB
  SET_DESCRIPTOR SLOT4, $buffer, 0xFFF, 0x91, 4      # read only
  SET_DESCRIPTOR SLOT5, $buffer, 0xFFF, 0x9B, 4      # code, readable
  SET_DESCRIPTOR SLOT6, $0, 0, 0x93, 0xC             # a stack that ends before `limited_stack_end`
  mov $limited_stack_end, %eax
  shr $12, %eax
  dec %eax
  mov %ax, gdt + SLOT6
  SET_DESCRIPTOR SLOT7, $target, 0xF, 0x9B, 4        # code of 16 bytes
  movb $0x5A, buffer + 0xFFF
  movb $0xA5, buffer + 0x1000
  CASE "byte granularity"
  USE_FS SLOT0
  TRY
  movb %fs:0xFFF, %bl
  CAUGHT NONE, 0, "last byte"
  movzbl %bl, %ebx
  EXPECT_EQ %ebx, $0x5A, "last byte's value"
  TRY
  movb %fs:0x1000, %bl
  CAUGHT VECTOR_GP, 0, "first byte beyond"
  USE_FS SLOT0
  TRY
  movw %fs:0xFFF, %bx
  CAUGHT VECTOR_GP, 0, "word across the limit"
  USE_FS SLOT0
  TRY
  movl %ebx, %fs:0xFFC
  CAUGHT NONE, 0, "last doubleword"
  TRY
  movl %ebx, %fs:0xFFD
  CAUGHT VECTOR_GP, 0, "doubleword across the limit"
  USE_FS SLOT0
  TRY
  movl %ebx, %fs:-1
  CAUGHT VECTOR_GP, 0, "doubleword that wraps"
  CASE "page granularity"
  USE_FS SLOT3
  TRY
  movb %fs:0x1FFF, %bl
  CAUGHT NONE, 0, "last byte of 8 KiB"
  TRY
  movb %fs:0x2000, %bl
  CAUGHT VECTOR_GP, 0, "first byte beyond 8 KiB"
  CASE "expand-down"
  USE_FS SLOT1
  TRY
  movb %fs:0x1000, %bl
  CAUGHT NONE, 0, "first byte above the limit"
  movzbl %bl, %ebx
  EXPECT_EQ %ebx, $0xA5, "its value"
  TRY
  movb %fs:0xFFF, %bl
  CAUGHT VECTOR_GP, 0, "the limit itself"
  USE_FS SLOT1
  TRY
  movw %fs:0xFFFE, %bx
  CAUGHT NONE, 0, "last word of 64 KiB"
  TRY
  movb %fs:0x10000, %bl
  CAUGHT VECTOR_GP, 0, "beyond 64 KiB with B=0"
  USE_FS SLOT1
  TRY
  movw %fs:0xFFFF, %bx
  CAUGHT VECTOR_GP, 0, "across 64 KiB with B=0"
  USE_FS SLOT2
  TRY
  movb %fs:0x10000, %bl
  CAUGHT NONE, 0, "beyond 64 KiB with B=1"
  TRY
  movb %fs:0, %bl
  CAUGHT VECTOR_GP, 0, "below the limit with B=1"
  CASE "write protection"
  USE_FS SLOT4
  TRY
  movb %fs:0, %bl
  CAUGHT NONE, 0, "read of read-only data"
  TRY
  movb %bl, %fs:0
  CAUGHT VECTOR_GP, 0, "write of read-only data"
  USE_FS SLOT5
  TRY
  movb %bl, %fs:0
  CAUGHT VECTOR_GP, 0, "write through code"
  TRY
  movb %bl, %cs:buffer
  CAUGHT VECTOR_GP, 0, "write through CS"
  USE_FS SLOT4
  TRY
  addb $0, %fs:0
  CAUGHT VECTOR_GP, 0, "read and write of read-only data"
  CASE "null segment"
  USE_FS 0
  TRY
  movb %fs:0, %bl
  CAUGHT VECTOR_GP, 0, "read through a null FS"
  USE_FS 0
  TRY
  movb %bl, %fs:0
  CAUGHT VECTOR_GP, 0, "write through a null FS"
  CASE "the stack segment"
  mov $SLOT6, %edx
  mov $limited_stack_end, %esi
  TRY
  mov %edx, %ss
0: movb %ss:(%esi), %bl
  CAUGHT_ANYWHERE VECTOR_SS, 0, "read beyond the stack's limit"
  EXPECT_EQ seen_ss, $SLOT6, "SS of the fault"
  TRY
  mov %edx, %ss
  pushl (%esi)
  CAUGHT NONE, 0, "push within the stack's limit"
  mov $DATA, %eax
  mov %eax, %ss
  mov resume_rsp, %esp
  mov $limited_stack_end, %ebp
  TRY
  mov %edx, %ss
0: movl %ebx, -2(%ebp)
  CAUGHT_ANYWHERE VECTOR_SS, 0, "EBP addresses the stack segment"
  TRY
  mov %edx, %ss
0: movl %ebx, %ds:-2(%ebp)
  CAUGHT NONE, 0, "with DS in its place"
  mov $DATA, %eax
  mov %eax, %ss
  CASE "code beyond the limit"
  TRY
  ljmp $SLOT7, $0x10
  CAUGHT VECTOR_GP, 0, "far jump to an offset beyond the limit"
  TRY
  ljmp $SLOT7, $0
  CAUGHT_ANYWHERE VECTOR_GP, 0, "execution that runs beyond the limit"
  EXPECT_EQ seen_rip, $0xF, "the instruction that crosses the limit"
  EXPECT_EQ seen_cs, $SLOT7, "its segment"
  FINISH
target:
  .fill 15, 1, 0x90
  .byte 0x66, 0x90, 0x0F, 0x0B
.section .bss
.balign 4096
limited_stack_end:
buffer: .skip 0x22000
