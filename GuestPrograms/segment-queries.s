# Tests: LAR, LSL, VERR, VERW and ARPL, and the descriptor-table instructions LGDT to LTR with their faults.
# Specification: SDM 2A/2B "LAR", "LSL", "VERR/VERW", "ARPL", "LLDT", "LTR", "SGDT"; SDM 3A §5.10.
# Expected:
#   LSL and LAR
#   VERR and VERW
#   ARPL
#   LLDT
#   LTR
#   SGDT and SIDT
#   ring 3
#   pass
.include "program.inc"
.include "protected.inc"
# Leaves ZF in %ecx.
.macro ZERO_FLAG
  sete %cl
  movzbl %cl, %ecx
.endm
PROGRAM
  SET_DESCRIPTOR SLOT0, $0x12345678, 0x54321, 0x93, 4
  SET_DESCRIPTOR SLOT1, $0, 0xFFFFF, 0x99, 0xC      # execute only
  SET_DESCRIPTOR SLOT2, $0, 0xFFFFF, 0x91, 0xC      # read only
  SET_DESCRIPTOR SLOT3, $task_state, 0x67, 0x89, 0  # available TSS
  SET_DESCRIPTOR SLOT4, $ldt, 0x17, 0x82, 0         # LDT
  SET_DESCRIPTOR SLOT5, $ldt, 0x17, 0x02, 0         # LDT, not present
  SET_DESCRIPTOR SLOT6, $task_state, 0x67, 0x09, 0  # TSS, not present
  SET_DESCRIPTOR SLOT7, $0, 0, 0x8E, 0              # an interrupt gate, which a GDT may not hold
  CASE "LSL and LAR"
  mov $SLOT0, %eax
  mov $0, %ebx
  lsl %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "ZF of LSL"
  EXPECT_EQ %ebx, $0x54321, "LSL in bytes"
  mov $DATA, %eax
  lsl %eax, %ebx
  EXPECT_EQ %ebx, $-1, "LSL in pages"
  mov $SLOT0, %eax
  lar %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "ZF of LAR"
  and $0xF0FF00, %ebx
  EXPECT_EQ %ebx, $0x409300, "LAR"
  mov $0x77, %ebx
  mov $0x1F8, %eax
  lar %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "ZF of LAR beyond the limit"
  EXPECT_EQ %ebx, $0x77, "the register of a LAR that failed"
  xor %eax, %eax
  lsl %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "ZF of LSL of null"
  mov $SLOT7, %eax
  lar %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "ZF of LAR of an interrupt gate"
  mov $SLOT3, %eax
  lsl %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "ZF of LSL of a TSS"
  EXPECT_EQ %ebx, $0x67, "LSL of a TSS"
  mov $DATA | 3, %eax
  lsl %eax, %ebx
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "ZF of LSL with RPL 3 of ring 0"
  CASE "VERR and VERW"
  mov $SLOT1, %eax
  verr %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "VERR of execute-only code"
  mov $CODE32, %eax
  verr %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "VERR of readable code"
  verw %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "VERW of code"
  mov $SLOT2, %eax
  verr %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "VERR of read-only data"
  verw %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "VERW of read-only data"
  mov $DATA, %eax
  verw %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "VERW of data"
  mov $SLOT3, %eax
  verr %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "VERR of a TSS"
  CASE "ARPL"
  mov $0x50, %eax
  mov $0x03, %ebx
  arpl %bx, %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $1, "ZF where RPL was raised"
  EXPECT_EQ %eax, $0x53, "RPL raised"
  mov $0x01, %ebx
  arpl %bx, %ax
  ZERO_FLAG
  EXPECT_EQ %ecx, $0, "ZF where RPL stayed"
  EXPECT_EQ %eax, $0x53, "RPL stayed"
  CASE "LLDT"
  mov $SLOT4, %eax
  TRY
  lldt %ax
  CAUGHT NONE, 0, "LLDT"
  sldt %ebx
  EXPECT_EQ %ebx, $SLOT4, "SLDT"
  mov $0x0C, %eax
  TRY
  mov %eax, %fs
  CAUGHT NONE, 0, "data from the LDT"
  mov $0x14, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_NP, 0x14, "data of the LDT that is not present"
  mov $0x1C, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_GP, 0x1C, "beyond the LDT's limit"
  mov $SLOT3, %eax
  TRY
  lldt %ax
  CAUGHT VECTOR_GP, SLOT3, "LLDT of a TSS"
  mov $SLOT5, %eax
  TRY
  lldt %ax
  CAUGHT VECTOR_NP, SLOT5, "LLDT not present"
  mov $0x0C, %eax
  TRY
  lldt %ax
  CAUGHT VECTOR_GP, 0x0C, "LLDT of an LDT selector"
  xor %eax, %eax
  TRY
  lldt %ax
  CAUGHT NONE, 0, "LLDT of null"
  CASE "LTR"
  xor %eax, %eax
  TRY
  ltr %ax
  CAUGHT VECTOR_GP, 0, "LTR of null"
  mov $TASK, %eax
  TRY
  ltr %ax
  CAUGHT VECTOR_GP, TASK, "LTR of a busy TSS"
  mov $SLOT6, %eax
  TRY
  ltr %ax
  CAUGHT VECTOR_NP, SLOT6, "LTR not present"
  mov $DATA, %eax
  TRY
  ltr %ax
  CAUGHT VECTOR_GP, DATA, "LTR of data"
  mov $SLOT3, %eax
  TRY
  ltr %ax
  CAUGHT NONE, 0, "LTR"
  movzbl gdt + SLOT3 + 5, %eax
  EXPECT_EQ %eax, $0x8B, "busy after LTR"
  str %ebx
  EXPECT_EQ %ebx, $SLOT3, "STR"
  CASE "SGDT and SIDT"
  movl $-1, table_register + 2
  sgdt table_register
  movzwl table_register, %eax
  EXPECT_EQ %eax, $GDT_LIMIT, "limit of the GDT"
  EXPECT_EQ table_register + 2, $gdt, "base of the GDT"
  sidt table_register
  movzwl table_register, %eax
  EXPECT_EQ %eax, $0x7FF, "limit of the IDT"
  EXPECT_EQ table_register + 2, $idt32, "base of the IDT"
  CASE "ring 3"
  TRY
  ENTER_USER32 user_lgdt
  CAUGHT VECTOR_GP, 0, "LGDT in ring 3", at=user_lgdt
  TRY
  ENTER_USER32 user_ltr
  CAUGHT VECTOR_GP, 0, "LTR in ring 3", at=user_ltr
  TRY
  ENTER_USER32 user_lldt
  CAUGHT VECTOR_GP, 0, "LLDT in ring 3", at=user_lldt
  TRY
  ENTER_USER32 user_str
  CAUGHT LEAVE, 0, "STR in ring 3 without UMIP", at=user_str_end
  FINISH
user_lgdt: lgdt gdt_register
user_ltr: ltr %ax
user_lldt: lldt %ax
user_str: str %eax
  smsw %eax
  sldt %eax
  int $LEAVE
user_str_end:
.data
.balign 8
ldt: .quad 0x00CF93000000FFFF, 0x00CF93000000FFFF, 0x00CF13000000FFFF
table_register: .skip 16
