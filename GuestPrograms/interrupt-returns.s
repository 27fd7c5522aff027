# Tests: IRETQ to the flat segments that IA32_STAR names, and everything that keeps it from being that simple.
# Specification: SDM 2A "IRET/IRETD/IRETQ", SDM 3A §6.14.3, §6.14.4, §5.4.1.1, SDM 3B §17.3.1.1.
# Expected:
#   to ring 3
#   within ring 0
#   flags
#   refusals
#   descriptors
#   data segments
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
# Returns with this frame; data segments are null before. Changes %rax.
.macro RETURN_TO label, code, flags, stack, segment
  xor %eax, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %eax, %gs
  pushq $\segment
  pushq $\stack
  pushq $\flags
  pushq $\code
  mov $\label, %rax
  push %rax
  mov $0x0123456789ABCDEF, %rax
  mov $0xFEDCBA9876543210, %rdx
9: iretq
.endm
.macro TO_USER label, flags=2
  RETURN_TO \label, USER_CODE64|3, \flags, user_stack_top, USER_DATA|3
.endm
.macro TO_KERNEL label, flags=2, segment=SLOT1
  RETURN_TO \label, SLOT0, \flags, (stack_top - 256), \segment
.endm
PROGRAM
  ENTER_LONG
  SET_DESCRIPTOR SLOT0, $0, 0xFFFFF, 0x9B, 10
  SET_DESCRIPTOR SLOT1, $0, 0xFFFFF, 0x93, 12
  WRITE_MSR 0xC0000081, $0, (USER_CODE32<<16)|SLOT0
  CASE "to ring 3"
  mov $3, %r12d
1: TRY
  TO_USER user, 0xAD7
  CAUGHT LEAVE, 0, "back from ring 3", at=user_end
  EXPECT_EQ seen_cs, $USER_CODE64|3, "CS"
  EXPECT_EQ seen_ss, $USER_DATA|3, "SS"
  EXPECT_EQ seen_rsp, $user_stack_top-8, "RSP"
  EXPECT_EQ seen_flags, $0xAD7, "RFLAGS"
  mov $0x0123456789ABCDEF, %rbx
  EXPECT_EQ user_rax, %rbx, "RAX is kept"
  mov $0xFEDCBA9876543210, %rbx
  EXPECT_EQ user_rdx, %rbx, "RDX is kept"
  dec %r12d
  jnz 1b
  CASE "within ring 0"
  mov $3, %r12d
2: TRY
  TO_KERNEL kernel, 0x8D7
  CAUGHT LEAVE, 0, "in ring 0 still", at=kernel_end
  EXPECT_EQ seen_cs, $SLOT0, "CS"
  EXPECT_EQ seen_ss, $SLOT1, "SS"
  EXPECT_EQ seen_rsp, $stack_top-256, "RSP"
  EXPECT_EQ seen_flags, $0x8D7, "RFLAGS"
  TRY
  TO_KERNEL kernel, 2, 0
  CAUGHT LEAVE, 0, "a null SS", at=kernel_end
  EXPECT_EQ seen_ss, $0, "SS"
  dec %r12d
  jnz 2b
  CASE "flags"
  TRY
  TO_USER user, 0x202|FLAG_RF
  CAUGHT LEAVE, 0, "RF", at=user_end
  EXPECT_EQ seen_flags, $0x202, "RF is for one instruction"
  TRY
  TO_USER user, 0x2|FLAG_TF
  CAUGHT VECTOR_DB, 0, "TF", at=user_second
  TRY
  TO_USER user, 0x2|FLAG_AC|0x400
  CAUGHT LEAVE, 0, "AC and DF", at=user_end
  EXPECT_EQ seen_flags, $0x402|FLAG_AC, "AC and DF reach ring 3"
  TRY
  pushfq
  orl $FLAG_NT, (%rsp)
  popfq
  TO_USER user
  CAUGHT VECTOR_GP, 0, "NT in 64-bit mode", at=9b
  pushfq
  andl $~FLAG_NT, (%rsp)
  popfq
  CASE "refusals"
  TRY
  TO_USER 0x800000000000
  CAUGHT VECTOR_GP, 0, "an address that is not canonical", at=9b
  EXPECT_EQ seen_cs, $CODE64, "it is the IRETQ's"
  TRY
  TO_KERNEL 0xFFFF7FFFFFFFFFFF
  CAUGHT VECTOR_GP, 0, "nor is this one", at=9b
  TRY
  RETURN_TO user, USER_CODE64, 2, user_stack_top, USER_DATA|3
  CAUGHT VECTOR_GP, USER_CODE64, "a level that the descriptor does not have", at=9b
  TRY
  RETURN_TO user, USER_CODE64|3, 2, user_stack_top, USER_DATA
  CAUGHT VECTOR_GP, USER_DATA, "a stack of another level", at=9b
  TRY
  RETURN_TO user, USER_CODE64|3, 2, user_stack_top, 3
  CAUGHT VECTOR_GP, 0, "ring 3 without a stack segment", at=9b
  TRY
  mov $WINDOW + 0x1FF000, %rsp
  movq $0, WINDOW_PT + 0x1FF * 8
  invlpg (%rsp)
8: iretq
  CAUGHT VECTOR_PF, 0, "a frame that is not present", at=8b
  CASE "descriptors"
  movb $0x7B, gdt + USER_CODE64 + 5
  TRY
  TO_USER user
  CAUGHT VECTOR_NP, USER_CODE64, "code that is not present", at=9b
  movb $0xFA, gdt + USER_CODE64 + 5
  TRY
  TO_USER user
  CAUGHT LEAVE, 0, "code not yet accessed", at=user_end
  mov $0x00AFFB000000FFFF, %rbx
  EXPECT_EQ gdt + USER_CODE64, %rbx, "the accessed bit"
  movb $0xF2, gdt + USER_DATA + 5
  TRY
  TO_USER user
  CAUGHT LEAVE, 0, "a stack not yet accessed", at=user_end
  mov $0x00CFF3000000FFFF, %rbx
  EXPECT_EQ gdt + USER_DATA, %rbx, "its accessed bit"
  movw $USER_CODE64 + 6, gdt_register
  lgdt gdt_register
  TRY
  TO_USER user
  CAUGHT VECTOR_GP, USER_CODE64, "a table that ends before", at=9b
  movw $GDT_LIMIT, gdt_register
  lgdt gdt_register
  CASE "data segments"
  TRY
  mov $DATA, %eax
  mov %eax, %es
  pushq $USER_DATA|3
  pushq $user_stack_top
  pushq $2
  pushq $USER_CODE64|3
  pushq $user
  iretq
  CAUGHT LEAVE, 0, "with a segment of ring 0 in ES", at=user_end
  EXPECT_EQ user_es, $0, "it is taken away"
  FINISH
user: mov %rax, user_rax
user_second:
  mov %rdx, user_rdx
  mov %es, %eax
  mov %rax, user_es
  push %rbx
  int $LEAVE
user_end:
kernel: int $LEAVE
kernel_end:
.section .bss
.balign 8
user_rax: .skip 8
user_rdx: .skip 8
user_es: .skip 8
