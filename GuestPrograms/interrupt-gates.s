# Tests: interrupt and trap gates of 32 and 16 bits, software interrupts and their privilege check, the IDT's limit,
# stack switch on the way in, and #TS for a bad stack in the TSS.
# Specification: SDM 3A §6.10 to 6.13, SDM 2A "INT n/INTO/INT3/INT1".
# Expected:
#   interrupt and trap gates
#   return addresses
#   a refused gate
#   ring 3
#   16-bit gates
#   bad stacks in the TSS
#   pass
.include "program.inc"
.include "protected.inc"
.set ENTRY, 8
PROGRAM
  CASE "interrupt and trap gates"
  movl $look_at_flags, hook
  push $FLAG_IF | 2
  popf
  int $0x40
  EXPECT_EQ inner_flags, $0, "IF in an interrupt gate's handler"
  pushf
  pop %eax
  and $FLAG_IF, %eax
  EXPECT_EQ %eax, $FLAG_IF, "IF after IRET"
  movb $0x8F, idt32 + 0x41 * 8 + 5
  int $0x41
  EXPECT_EQ inner_flags, $FLAG_IF, "IF in a trap gate's handler"
  cli
  movl $0, hook
  EXPECT_EQ seen_vector, $0x41, "vector"
  CASE "return addresses"
  TRY
  int $0x42
  CAUGHT 0x42, 0, "INT n", at=76b+2
  TRY
  int3
  CAUGHT VECTOR_BP, 0, "INT3", at=76b+1
  TRY
  mov $0x7FFFFFFF, %eax
  inc %eax
6:
  into
  CAUGHT VECTOR_OF, 0, "INTO with OF", at=6b+1
  xor %eax, %eax
  TRY
  into
  CAUGHT NONE, 0, "INTO without OF"
  TRY
  .byte 0xF1
  CAUGHT VECTOR_DB, 0, "INT1", at=76b+1
  CASE "a refused gate"
  movb $0x0E, idt32 + 0x43 * 8 + 5
  TRY
  int $0x43
  CAUGHT VECTOR_NP, 0x43*8+2, "gate that is not present"
  movb $0x89, idt32 + 0x44 * 8 + 5
  TRY
  int $0x44
  CAUGHT VECTOR_GP, 0x44*8+2, "TSS as a gate"
  movb $0x8C, idt32 + 0x44 * 8 + 5
  TRY
  int $0x44
  CAUGHT VECTOR_GP, 0x44*8+2, "call gate in the IDT"
  movw $0, idt32 + 0x45 * 8 + 2
  TRY
  int $0x45
  CAUGHT VECTOR_GP, 0, "gate to null"
  movw $DATA, idt32 + 0x45 * 8 + 2
  TRY
  int $0x45
  CAUGHT VECTOR_GP, DATA, "gate to data"
  SET_DESCRIPTOR SLOT0, $0, 0xFFFFF, 0x1B, 0xC
  movw $SLOT0, idt32 + 0x45 * 8 + 2
  TRY
  int $0x45
  CAUGHT VECTOR_NP, SLOT0, "gate to code that is not present"
  movw $USER_CODE32, idt32 + 0x45 * 8 + 2
  TRY
  int $0x45
  CAUGHT VECTOR_GP, USER_CODE32, "gate to less privileged code"
  lidt short_idt
  TRY
  int $0x46
  CAUGHT VECTOR_GP, 0x46*8+2, "beyond the IDT's limit"
  lidt idt32_register
  movw $0, idt32 + VECTOR_UD * 8 + 2
  TRY
  ud2
  CAUGHT VECTOR_GP, 1, "an exception whose gate is null has EXT set"
  movw $CODE32, idt32 + VECTOR_UD * 8 + 2
  movb $0x0E, idt32 + VECTOR_UD * 8 + 5
  TRY
  ud2
  CAUGHT VECTOR_NP, VECTOR_UD*8+3, "an exception whose gate is not present has EXT set"
  movb $0x8E, idt32 + VECTOR_UD * 8 + 5
  CASE "ring 3"
  TRY
  ENTER_USER32 user_int
  CAUGHT VECTOR_GP, 0x42*8+2, "INT n with a gate of DPL 0", at=user_int
  TRY
  ENTER_USER32 user_int3
  CAUGHT VECTOR_GP, VECTOR_BP*8+2, "INT3 with a gate of DPL 0", at=user_int3
  TRY
  ENTER_USER32 user_icebp
  CAUGHT VECTOR_DB, 0, "INT1 passes a gate of DPL 0", at=user_icebp+1
  TRY
  ENTER_USER32 user_ud
  CAUGHT VECTOR_UD, 0, "an exception passes a gate of DPL 0", at=user_ud
  EXPECT_EQ seen_frame, $interrupt_stack_top-20, "frame on the stack of ring 0"
  EXPECT_EQ seen_handler_ss, $DATA, "SS of the handler"
  TRY
  ENTER_USER32 user_leave, 0x3202
  CAUGHT LEAVE, 0, "IOPL 3 and IF", at=user_leave+2
  EXPECT_EQ seen_flags, $0x3202, "EFLAGS on the stack"
  CASE "16-bit gates"
  SET_GATE (idt32 + 0x47 * 8), CODE32, $low_handler, 0x86, 0
  mov %esp, %esi
  TRY
  jmp low_int
low_return:
  CAUGHT NONE, 0, "16-bit interrupt gate"
  mov %esp, %eax
  EXPECT_EQ %eax, %esi, "ESP after a 16-bit IRET"
  mov inner_esp, %eax
  sub %esi, %eax
  EXPECT_EQ %eax, $-6, "a frame of three words"
  CASE "bad stacks in the TSS"
  SET_DESCRIPTOR SLOT1, $0, 0xFFFFF, 0x13, 0xC
  # The #TS itself is delivered in ring 0 only through a task gate or conforming code of ring 3: both are for task-switch.s.
  # Here a conforming handler of ring 0 takes it on the stack of ring 3.
  SET_DESCRIPTOR SLOT2, $0, 0xFFFFF, 0x9F, 0xC
  movw $SLOT2, idt32 + VECTOR_TS * 8 + 2
  movw $SLOT2, idt32 + VECTOR_SS * 8 + 2
  mov $user_handler, %eax
  mov %ax, idt32 + VECTOR_TS * 8
  mov %ax, idt32 + VECTOR_SS * 8
  shr $16, %eax
  mov %ax, idt32 + VECTOR_TS * 8 + 6
  mov %ax, idt32 + VECTOR_SS * 8 + 6
.irp selector, 0, USER_DATA, CODE32, 0x1F8, DATA|3
  movl $\selector, task_state + 8
  movl $-1, user_error
  TRY
  ENTER_USER32 user_bad_stack
  CAUGHT_ANYWHERE LEAVE, 0, "back after a bad stack in the TSS"
  EXPECT_EQ user_error, $(\selector)&0xFFFC, "error code of #TS for SS0 \selector"
.endr
  movl $SLOT1, task_state + 8
  movl $-1, user_error
  TRY
  ENTER_USER32 user_bad_stack
  CAUGHT_ANYWHERE LEAVE, 0, "back after a stack that is not present"
  EXPECT_EQ user_error, $SLOT1, "error code of #SS for SS0 not present"
  FINISH
look_at_flags:
  pushf
  pop %eax
  # The hook runs with the flags of the gate: nothing since has changed IF.
  and $FLAG_IF, %eax
  mov %eax, inner_flags
  ret
user_int: int $0x42
user_int3: int3
user_icebp: .byte 0xF1
user_ud: ud2
user_leave: int $LEAVE
user_bad_stack:
  int $LEAVE             # cannot switch to the stack of ring 0: #TS or #SS, taken in ring 3
  int $LEAVE
user_handler:            # CPL 3, conforming; the TSS is mended before it leaves
  pop user_error
  movl $DATA, task_state + 8
  int $LEAVE
.data
short_idt: .word 0x46 * 8 + 6
  .long idt32
.section .bss
inner_flags: .skip 4
inner_esp: .skip 4
user_error: .skip 4
.section .low, "awx"
low_handler:
  mov %esp, inner_esp
  data16 iret
low_int:
  int $0x47
  jmp low_return
