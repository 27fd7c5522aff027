# Tests: addresses that are not canonical: #GP for data and branches, #SS for the stack, and where RIP is on the fault.
# Specification: SDM 1 §3.3.7.1, SDM 3A §6.15, SDM 2A "JMP", SDM 2B "RET".
# Expected:
#   data
#   the stack
#   branches
#   registers that hold addresses
#   IRETQ
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  ENTER_LONG
  mov $0x800000000000, %rbx
  mov %rsp, %r12
  # The last page below the edge is there.
  movl $WINDOW_PDPT+P+W+U, PML4 + 255 * 8
  movl $WINDOW_PD+P+W+U, WINDOW_PDPT + 511 * 8
  movl $WINDOW_PT+P+W+U, WINDOW_PD + 511 * 8
  CASE "data"
  TRY
  mov (%rbx), %eax
  CAUGHT VECTOR_GP, 0, "read"
  TRY
  mov %eax, (%rbx)
  CAUGHT VECTOR_GP, 0, "write"
  TRY
  mov -4(%rbx), %rax
  CAUGHT_ANYWHERE VECTOR_GP, 0, "read across the edge"
  mov $0xFFFF7FFFFFFFFFFF, %rcx
  TRY
  mov (%rcx), %al
  CAUGHT VECTOR_GP, 0, "the last byte below the upper half"
  mov $-4, %rcx
  TRY
  mov (%rcx), %al
  CAUGHT VECTOR_PF, 0, "the last bytes of the upper half"
  TRY
  lea (%rbx), %rax
  CAUGHT NONE, 0, "LEA"
  TRY
  prefetcht0 (%rbx)
  CAUGHT NONE, 0, "PREFETCH"
  TRY
  invlpg (%rbx)
  CAUGHT NONE, 0, "INVLPG"
  CASE "the stack"
  mov %rbx, %rbp
  TRY
  mov (%rbp), %eax
  CAUGHT VECTOR_SS, 0, "read by RBP"
  TRY
  mov %ds:(%rbp), %eax
  CAUGHT VECTOR_SS, 0, "a DS prefix changes nothing"
  movb $1, idt64 + VECTOR_SS * 16 + 4
  TRY
  lea 0x1000(%rbx), %rsp
6: push %rax
  CAUGHT VECTOR_SS, 0, "PUSH", at=6b
  TRY
  lea 0x1000(%rbx), %rsp
6: call 7f
7:
  CAUGHT VECTOR_SS, 0, "CALL", at=6b
  TRY
  mov %rbx, %rsp
6: pop %rax
  CAUGHT VECTOR_SS, 0, "POP", at=6b
  EXPECT_EQ seen_rsp, %rbx, "RSP of the fault"
  TRY
  mov %rbx, %rsp
6: ret
  CAUGHT VECTOR_SS, 0, "RET", at=6b
  CASE "branches"
  TRY
  jmp *%rbx
  CAUGHT VECTOR_GP, 0, "JMP"
  TRY
  call *%rbx
  CAUGHT VECTOR_GP, 0, "CALL"
  TRY
  push %rbx
6: ret
  CAUGHT VECTOR_GP, 0, "RET to such an address", at=6b
  CASE "registers that hold addresses"
.irp number, 0xC0000100, 0xC0000101, 0xC0000102, 0xC0000082, 0x175, 0x176
  mov $\number, %ecx
  mov $0x8000, %edx
  xor %eax, %eax
  TRY
  wrmsr
  CAUGHT VECTOR_GP, 0, "WRMSR \number"
.endr
  mov %rbx, bad_register + 2
  movw $0xFFF, bad_register
  TRY
  lgdt bad_register
  CAUGHT VECTOR_GP, 0, "LGDT"
  TRY
  lidt bad_register
  CAUGHT VECTOR_GP, 0, "LIDT"
  CASE "IRETQ"
  TRY
  pushq $DATA
  push %r12
  pushq $2
  pushq $CODE64
  push %rbx
6: iretq
  CAUGHT_ANYWHERE VECTOR_GP, 0, "IRETQ to such an address"
  FINISH
.section .bss
bad_register: .skip 16
