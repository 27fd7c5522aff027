# Tests: hardware task switches by JMP, CALL, IRET and task gate, with 32- and 16-bit TSSs: registers saved and loaded,
# busy and NT bits, back link, CR0.TS, the T bit, and the faults of a bad TSS.
# Specification: SDM 3A §7.2 to 7.5.
# Expected:
#   JMP to a 32-bit TSS and back
#   CALL and IRET
#   a task gate
#   an exception through a task gate
#   a 16-bit TSS
#   a debug trap by the T bit
#   refused switches
#   a new task that cannot be loaded
#   pass
.include "program.inc"
.include "protected.inc"
.set TASK_A, SLOT0
.set TASK_B16, SLOT1
.set GATE, SLOT2
.set SHORT, SLOT3
.set ABSENT, SLOT4
.macro DESCRIPTOR_TYPE selector, type, name
  movzbl gdt + \selector + 5, %edx
  EXPECT_EQ %edx, $\type, "\name"
.endm
# Fills the 32-bit TSS at `address`.
.macro MAKE_TASK address, entry, stack, flags=2
  mov $\address, %edi
  mov $26, %ecx
  xor %eax, %eax
  rep stosl
  movl $\entry, \address + 0x20
  movl $\flags, \address + 0x24
  movl $0xA0A0A0A0, \address + 0x28
  movl $\stack, \address + 0x38
  movl $DATA, \address + 0x48
  movl $CODE32, \address + 0x4C
  movl $DATA, \address + 0x50
  movl $DATA, \address + 0x54
  movl $DATA, \address + 0x58
  movl $0, \address + 0x5C
  movw $0x68, \address + 0x66
.endm
PROGRAM
  SET_DESCRIPTOR TASK_A, $task_a, 0x67, 0x89, 0
  SET_DESCRIPTOR TASK_B16, $task_b, 0x2B, 0x81, 0
  SET_GATE (gdt + GATE), TASK_A, $0, 0x85, 0
  SET_DESCRIPTOR SHORT, $task_a, 0x66, 0x89, 0
  SET_DESCRIPTOR ABSENT, $task_a, 0x67, 0x09, 0
  MAKE_TASK task_a, jumped_to, other_stack_top
  CASE "JMP to a 32-bit TSS and back"
  mov $0x11223344, %ebx
  mov $0x55667788, %esi
  mov %esp, saved_esp
  stc
  ljmp $TASK_A, $0
back_from_jump:
  EXPECT_EQ %ebx, $0x11223344, "EBX of the first task"
  EXPECT_EQ %esi, $0x55667788, "ESI of the first task"
  mov %esp, %eax
  EXPECT_EQ %eax, saved_esp, "ESP of the first task"
  DESCRIPTOR_TYPE TASK, 0x8B, "the first task is busy again"
  DESCRIPTOR_TYPE TASK_A, 0x89, "the second task is available"
  EXPECT_EQ task_a_eax, $0xA0A0A0A0, "EAX of the second task"
  EXPECT_EQ task_a_fs, $DATA, "FS of the second task"
  EXPECT_EQ task_a_gs, $0, "GS of the second task"
  EXPECT_EQ task_a_esp, $other_stack_top, "ESP of the second task"
  EXPECT_EQ task_a_ts, $CR0_TS, "CR0.TS after a switch"
  EXPECT_EQ task_a_type, $0x8B, "the second task was busy"
  EXPECT_EQ task_0_type, $0x89, "the first task was available"
  EXPECT_EQ task_a_tr, $TASK, "TR is the first task's again"
  clts
  CASE "CALL and IRET"
  MAKE_TASK task_a, called, other_stack_top
  TRY
  lcall $TASK_A, $0
6:
  CAUGHT NONE, 0, "CALL"
  clts
  EXPECT_EQ task_a_flags, $0x4002, "NT in the called task"
  movzwl task_a, %eax
  EXPECT_EQ %eax, $TASK, "back link"
  EXPECT_EQ task_0_type, $0x8B, "the caller stays busy"
  DESCRIPTOR_TYPE TASK_A, 0x89, "the called task is available after IRET"
  EXPECT_EQ task_a+0x20, $after_called, "its EIP was saved"
  pushf
  pop %eax
  and $FLAG_NT, %eax
  EXPECT_EQ %eax, $0, "NT of the caller"
  mov task_a+0x24, %eax
  and $FLAG_NT, %eax
  EXPECT_EQ %eax, $0, "NT is cleared in the TSS that IRET leaves"
  CASE "a task gate"
  MAKE_TASK task_a, called, other_stack_top
  lcall $GATE, $0
  clts
  EXPECT_EQ task_a_flags, $0x4002, "NT through a gate in the GDT"
  SET_GATE (idt32 + 0x50 * 8), TASK_A, $0, 0x85, 0
  MAKE_TASK task_a, called, other_stack_top
  int $0x50
  clts
  EXPECT_EQ task_a_flags, $0x4002, "NT through a gate in the IDT"
  CASE "an exception through a task gate"
  SET_GATE (idt32 + VECTOR_GP * 8), TASK_A, $0, 0x85, 0
  MAKE_TASK task_a, fault_task, other_stack_top
  mov $0x1F8, %eax
6: mov %eax, %fs
  clts
  EXPECT_EQ fault_error, $0x1F8, "error code on the new task's stack"
  EXPECT_EQ fault_eip, $6b, "EIP in the old TSS"
  SET_GATE (idt32 + VECTOR_GP * 8), CODE32, $vectors32+16*VECTOR_GP, 0x8E, 0
  CASE "a 16-bit TSS"
  mov $task_b, %edi
  mov $22, %ecx
  xor %eax, %eax
  rep stosw
  movw $low_task, task_b + 0x0E
  movw $2, task_b + 0x10
  movw $0xBEEF, task_b + 0x12
  movw $0x7000, task_b + 0x1A
  movw $DATA, task_b + 0x22
  movw $CODE32, task_b + 0x24
  movw $DATA, task_b + 0x26
  movw $DATA, task_b + 0x28
  lcall $TASK_B16, $0
  clts
  mov task_b_eax, %eax
  movzwl %ax, %eax
  EXPECT_EQ %eax, $0xBEEF, "AX of a 16-bit task"
  movzwl task_b, %eax
  EXPECT_EQ %eax, $TASK, "back link of a 16-bit task"
  DESCRIPTOR_TYPE TASK_B16, 0x81, "available again"
  CASE "a debug trap by the T bit"
  MAKE_TASK task_a, called, other_stack_top
  movw $1, task_a + 0x64
  xor %eax, %eax
  mov %eax, %dr6
  movl $leave_debug_trap, hook
  lcall $TASK_A, $0
  clts
  movl $0, hook
  EXPECT_EQ seen_vector, $VECTOR_DB, "#DB"
  EXPECT_EQ seen_rip, $called, "before the first instruction of the task"
  mov %dr6, %eax
  and $0xE00F, %eax
  EXPECT_EQ %eax, $0x8000, "BT in DR6"
  CASE "refused switches"
  TRY
  ljmp $TASK, $0
  CAUGHT VECTOR_GP, TASK, "JMP to a busy TSS"
  TRY
  ljmp $ABSENT, $0
  CAUGHT VECTOR_NP, ABSENT, "JMP to a TSS that is not present"
  TRY
  ljmp $SHORT, $0
  CAUGHT VECTOR_TS, SHORT, "JMP to a TSS that is too short"
  movw $0, task_state
  pushl $FLAG_NT | 2
  popf
  TRY
  iret
  CAUGHT VECTOR_TS, 0, "IRET with NT to a null back link"
  movw $TASK_A, task_state
  pushl $FLAG_NT | 2
  popf
  TRY
  iret
  CAUGHT VECTOR_TS, TASK_A, "IRET with NT to a task that is not busy"
  MAKE_TASK task_a, called, other_stack_top
  TRY
  ENTER_USER32 user_jumps
  CAUGHT VECTOR_GP, TASK_A, "JMP in ring 3 to a TSS of DPL 0", at=user_jumps
  CASE "a new task that cannot be loaded"
  MAKE_TASK task_a, called, other_stack_top
  movl $0x1F8, task_a + 0x54
  TRY
  ljmp $TASK_A, $0
  CAUGHT VECTOR_TS, 0x1F8, "DS beyond the GDT", at=called
  clts
  EXPECT_EQ seen_handler_cs, $CODE32, "the handler runs in the new task"
  str %eax
  EXPECT_EQ %eax, $TASK_A, "TR is the new task's"
  call restore_task
  FINISH
restore_task:
  SET_DESCRIPTOR TASK, $task_state, 0x67, 0x89, 0
  SET_DESCRIPTOR TASK_A, $task_a, 0x67, 0x89, 0
  mov $TASK, %eax
  ltr %ax
  ret
user_jumps: ljmp $TASK_A, $0
leave_debug_trap: ret
jumped_to:
  mov %eax, task_a_eax
  mov %fs, %eax
  mov %eax, task_a_fs
  mov %gs, %eax
  mov %eax, task_a_gs
  mov %esp, task_a_esp
  mov %cr0, %eax
  and $CR0_TS, %eax
  mov %eax, task_a_ts
  movzbl gdt + TASK_A + 5, %eax
  mov %eax, task_a_type
  movzbl gdt + TASK + 5, %eax
  mov %eax, task_0_type
  mov $0xBAD, %ebx
  mov $0xBAD, %esi
  movl $back_from_jump_1, task_state + 0x20
  ljmp $TASK, $0
back_from_jump_1:
  str task_a_tr
  jmp back_from_jump
called:
  pushf
  popl task_a_flags
  movzbl gdt + TASK + 5, %eax
  mov %eax, task_0_type
  iret
after_called:
  jmp called
fault_task:
  popl fault_error
  mov task_state + 0x20, %eax
  mov %eax, fault_eip
  addl $2, task_state + 0x20
  iret
.section .bss
.balign 16
task_a: .skip 0x70
task_b: .skip 0x30
other_stack: .skip 4096
other_stack_top:
saved_esp: .skip 4
task_a_eax: .skip 4
task_a_fs: .skip 4
task_a_gs: .skip 4
task_a_esp: .skip 4
task_a_ts: .skip 4
task_a_type: .skip 4
task_a_flags: .skip 4
task_a_tr: .skip 4
task_0_type: .skip 4
task_b_eax: .skip 4
fault_error: .skip 4
fault_eip: .skip 4
.section .low, "awx"
low_task:
  mov %eax, task_b_eax
  iret
