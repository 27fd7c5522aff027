# Tests: loads of segment registers in protected mode, and the fault and error code of each refusal.
# Specification: SDM 3A §5.4 to 5.6, SDM 2B "MOV", "POP", SDM 2A "LDS/LES/LFS/LGS/LSS".
# Expected:
#   null selectors
#   not present
#   outside the table
#   wrong type
#   privilege
#   accessed bit
#   other ways to load
#   selectors read back
#   ring 3
#   pass
.include "program.inc"
.include "protected.inc"
.macro REFUSED selector, register, vector, name
  mov $\selector, %eax
  TRY
  mov %eax, %\register
  CAUGHT \vector, \selector & 0xFFFC, "\name"
.endm
.macro ACCEPTED selector, register, name
  mov $\selector, %eax
  TRY
  mov %eax, %\register
  CAUGHT NONE, 0, "\name"
.endm
PROGRAM
  SET_DESCRIPTOR SLOT0, $0, 0xFFFFF, 0x13, 0xC   # data, not present
  SET_DESCRIPTOR SLOT1, $0, 0xFFFFF, 0x99, 0xC   # code, execute only
  SET_DESCRIPTOR SLOT2, $0, 0xFFFFF, 0x9A, 0xC   # code, readable, not accessed
  SET_DESCRIPTOR SLOT3, $0, 0xFFFFF, 0x90, 0xC   # data, read only, not accessed
  SET_DESCRIPTOR SLOT4, $0, 0xFFFFF, 0xF2, 0xC   # data of ring 3
  SET_DESCRIPTOR SLOT5, $0, 0xFFFFF, 0x9E, 0xC   # conforming readable code of ring 0
  SET_DESCRIPTOR SLOT6, $0, 0x67, 0x89, 0        # an available TSS
  SET_DESCRIPTOR SLOT7, $0, 0xFFFFF, 0x12, 0xC   # data, neither present nor accessed
  CASE "null selectors"
  ACCEPTED 0, fs, "null into FS"
  ACCEPTED 3, gs, "null with RPL 3 into GS"
  REFUSED 0, ss, VECTOR_GP, "null into SS"
  CASE "not present"
  REFUSED SLOT0, ds, VECTOR_NP, "DS not present"
  REFUSED SLOT0, fs, VECTOR_NP, "FS not present"
  REFUSED SLOT0, ss, VECTOR_SS, "SS not present"
  CASE "outside the table"
  REFUSED 0x1F8, es, VECTOR_GP, "beyond the GDT's limit"
  REFUSED 0x1F8, ss, VECTOR_GP, "SS beyond the GDT's limit"
  REFUSED 0x0C, ds, VECTOR_GP, "LDT selector without an LDT"
  CASE "wrong type"
  REFUSED SLOT1, ds, VECTOR_GP, "execute-only code into DS"
  REFUSED SLOT6, es, VECTOR_GP, "TSS into ES"
  REFUSED SLOT6, ss, VECTOR_GP, "TSS into SS"
  REFUSED SLOT3, ss, VECTOR_GP, "read-only data into SS"
  REFUSED SLOT2, ss, VECTOR_GP, "code into SS"
  CASE "privilege"
  REFUSED DATA|3, ds, VECTOR_GP, "RPL 3 for data of ring 0"
  REFUSED DATA|1, ss, VECTOR_GP, "SS with RPL 1 in ring 0"
  REFUSED SLOT4, ss, VECTOR_GP, "SS of ring 3 in ring 0"
  REFUSED CODE32|3, ds, VECTOR_GP, "RPL 3 for readable code of ring 0"
  ACCEPTED SLOT5|3, fs, "RPL 3 for conforming code"
  ACCEPTED SLOT4|3, ds, "data of ring 3 in ring 0"
  mov $DATA, %eax
  mov %eax, %ds
  CASE "accessed bit"
  ACCEPTED SLOT2, fs, "readable code into FS"
  movzbl gdt + SLOT2 + 5, %eax
  EXPECT_EQ %eax, $0x9B, "accessed bit of code"
  ACCEPTED SLOT3, fs, "read-only data into FS"
  movzbl gdt + SLOT3 + 5, %eax
  EXPECT_EQ %eax, $0x91, "accessed bit of data"
  REFUSED SLOT7, fs, VECTOR_NP, "not present, not accessed"
  movzbl gdt + SLOT7 + 5, %eax
  EXPECT_EQ %eax, $0x12, "no accessed bit after a refusal"
  CASE "other ways to load"
  pushl $SLOT0
  TRY
  pop %fs
  CAUGHT VECTOR_NP, SLOT0, "POP FS not present"
  add $4, %esp
  TRY
  lfs far_pointer, %ebx
  CAUGHT VECTOR_NP, SLOT0, "LFS not present"
  mov $0x12345678, %ebx
  TRY
  lss far_pointer, %ebx
  CAUGHT VECTOR_SS, SLOT0, "LSS not present"
  EXPECT_EQ %ebx, $0x12345678, "the register of a refused LSS"
  TRY
  .byte 0x8E, 0xC8      # mov %eax, %cs
  CAUGHT VECTOR_UD, 0, "MOV to CS"
  TRY
  .byte 0x8E, 0xF0      # mov %eax, segment register 6
  CAUGHT VECTOR_UD, 0, "MOV to segment register 6"
  TRY
  .byte 0x0F, 0xB2, 0xC0
  CAUGHT VECTOR_UD, 0, "LSS from a register"
  CASE "selectors read back"
  mov $USER_DATA|3, %eax
  mov %eax, %fs
  mov $-1, %ebx
  mov %fs, %ebx
  EXPECT_EQ %ebx, $USER_DATA|3, "MOV from FS zero-extends"
  push %fs
  pop %ebx
  movzwl %bx, %ebx
  EXPECT_EQ %ebx, $USER_DATA|3, "PUSH FS"
  CASE "ring 3"
  TRY
  ENTER_USER32 user_loads_kernel_data
  CAUGHT VECTOR_GP, DATA, "data of ring 0 in ring 3", at=user_fault_1
  EXPECT_EQ seen_cs, $USER_CODE32|3, "CS of the fault"
  EXPECT_EQ seen_ss, $USER_DATA|3, "SS of the fault"
  EXPECT_EQ seen_rsp, $user_stack_top, "ESP of the fault"
  EXPECT_EQ seen_frame, $interrupt_stack_top-20, "the frame on the stack of ring 0"
  TRY
  ENTER_USER32 user_null_stack
  CAUGHT VECTOR_GP, 0, "null SS in ring 3", at=user_fault_2
  FINISH
user_loads_kernel_data:
  mov $DATA, %eax
user_fault_1:
  mov %eax, %ds
user_null_stack:
  mov $3, %eax
user_fault_2:
  mov %eax, %ss
.data
far_pointer: .long 0
  .word SLOT0
