# Tests: interrupts and exceptions through task gates that fail: a TSS of the wrong kind, too short or absent (the fault is the old
# task's), and a TSS whose LDT, segments or EIP cannot be loaded (the fault is the new task's, and #TS, #NP, #SS and #GP have task gates of
# their own), with EXT as the cause demands; #DF.
# Specification: SDM 3A §6.13, §6.15 "Interrupt 10", §7.3, table 7-1; SDM 2A "INT n".
# Expected:
#   the TSS that the gate names
#   the same by an exception
#   segments of the new task
#   the same by an exception
#   the error code of the first exception
#   #DF
#   pass
.include "program.inc"
.include "protected.inc"
.set TASK_A, SLOT0
.set SHORT, SLOT2
.set ABSENT, SLOT3
.set TABLE, SLOT4
.set CODE_ABSENT, SLOT5
.set STACK_ABSENT, SLOT6
.set DATA_ABSENT, SLOT7
.set STACK_READ_ONLY, SLOT8
.set CODE_SHORT, SLOT9
.set TASK_10, 0xB0
.set TASK_11, 0xB8
.set TASK_12, 0xC0
.set TASK_13, 0xC8
.set TOO_FAR, 0x1F8
.set GATE, 0x50
.macro MAKE_TASK address, entry, stack
  mov $\address, %edi
  mov $26, %ecx
  xor %eax, %eax
  rep stosl
  movl $\entry, \address + 0x20
  movl $2, \address + 0x24
  movl $\stack, \address + 0x38
  movl $DATA, \address + 0x48
  movl $CODE32, \address + 0x4C
  movl $DATA, \address + 0x50
  movl $DATA, \address + 0x54
  movl $DATA, \address + 0x58
  movl $DATA, \address + 0x5C
  movw $0x68, \address + 0x66
.endm
.macro HANDLER number, selector
  SET_DESCRIPTOR \selector, $task_\number, 0x67, 0x89, 0
.endm
# The task registers and descriptors as at the start.
.macro RESTORE
  SET_DESCRIPTOR TASK, $task_state, 0x67, 0x89, 0
  SET_DESCRIPTOR TASK_A, $task_a, 0x67, 0x89, 0
  HANDLER 10, TASK_10
  HANDLER 11, TASK_11
  HANDLER 12, TASK_12
  HANDLER 13, TASK_13
  mov $TASK, %eax
  ltr %ax
  xor %eax, %eax
  lldt %ax
  clts
  MAKE_TASK task_a, never, stack_a_top
.endm
# INT through a gate to `selector`: the fault is the old task's.
.macro REFUSED selector, vector, name
  SET_GATE (idt32 + GATE * 8), \selector, $0, 0x85
  TRY
  int $GATE
  CAUGHT \vector, \selector, "\name"
  str %eax
  EXPECT_EQ %eax, $TASK, "\name", ": TR"
.endm
# #UD through a gate to `selector`. The handler of `vector` sees EXT.
.macro REFUSED_EXCEPTION selector, vector, name
  SET_GATE (idt32 + VECTOR_UD * 8), \selector, $0, 0x85
  TRY
  ud2
  CAUGHT \vector, \selector+1, "\name"
  str %eax
  EXPECT_EQ %eax, $TASK, "\name", ": TR"
.endm
# Leaves for task A, in whose TSS `field` is `value`, by `instruction`: the fault is task A's before its first instruction, and only a
# task can handle it, as its stack need not be loaded yet.
.macro BROKEN_BY instruction, field, value, vector, error, name
  RESTORE
  movl $\value, task_a + \field
  movl $NONE, noted_vector
  mov %esp, saved_stack
  movl $7f, after
  \instruction
7:
  EXPECT_EQ noted_vector, $\vector, "\name", ": vector"
  EXPECT_EQ noted_error, $\error, "\name", ": error code"
  EXPECT_EQ noted_link, $TASK_A, "\name", ": task"
  EXPECT_EQ task_a+0x20, $never, "\name", ": instruction"
.endm
.macro BROKEN field, value, vector, error, name
  BROKEN_BY "int $GATE", \field, \value, \vector, \error, "\name"
.endm
.macro BROKEN_EXCEPTION field, value, vector, error, name
  BROKEN_BY "ud2", \field, \value, \vector, \error, "\name"
.endm
PROGRAM
  SET_DESCRIPTOR SHORT, $task_a, 0x66, 0x89, 0
  SET_DESCRIPTOR ABSENT, $task_a, 0x67, 0x09, 0
  SET_DESCRIPTOR TABLE, $task_a, 0xFF, 0x82, 0
  SET_DESCRIPTOR CODE_ABSENT, $0, 0xFFFFF, 0x1B, 0xC
  SET_DESCRIPTOR STACK_ABSENT, $0, 0xFFFFF, 0x13, 0xC
  SET_DESCRIPTOR DATA_ABSENT, $0, 0xFFFFF, 0x13, 0xC
  SET_DESCRIPTOR STACK_READ_ONLY, $0, 0xFFFFF, 0x91, 0xC
  SET_DESCRIPTOR CODE_SHORT, $0, 0xFFF, 0x9B, 0x4
  .irp vector, 10, 11, 12, 13
  MAKE_TASK task_\vector, note_\vector, stack_b_top
  .endr
  RESTORE
  CASE "the TSS that the gate names"
  REFUSED SHORT, VECTOR_TS, "too short"
  REFUSED ABSENT, VECTOR_NP, "not present"
  REFUSED TABLE, VECTOR_GP, "an LDT"
  REFUSED TASK, VECTOR_GP, "busy"
  REFUSED TOO_FAR, VECTOR_GP, "beyond the GDT"
  REFUSED 0, VECTOR_GP, "null"
  CASE "the same by an exception"
  REFUSED_EXCEPTION SHORT, VECTOR_TS, "too short, EXT"
  REFUSED_EXCEPTION ABSENT, VECTOR_NP, "not present, EXT"
  REFUSED_EXCEPTION TASK, VECTOR_GP, "busy, EXT"
  CASE "segments of the new task"
  .irp vector, 10, 11, 12, 13
  SET_GATE (idt32 + \vector * 8), TASK_\vector, $0, 0x85
  .endr
  SET_GATE (idt32 + GATE * 8), TASK_A, $0, 0x85
  BROKEN 0x60, TOO_FAR, VECTOR_TS, TOO_FAR, "LDT beyond the GDT"
  BROKEN 0x60, DATA, VECTOR_TS, DATA, "LDT that is none"
  BROKEN 0x4C, 0, VECTOR_TS, 0, "null CS"
  BROKEN 0x4C, DATA, VECTOR_TS, DATA, "CS is data"
  BROKEN 0x4C, CODE_ABSENT, VECTOR_NP, CODE_ABSENT, "CS not present"
  BROKEN 0x50, 0, VECTOR_TS, 0, "null SS"
  BROKEN 0x50, STACK_READ_ONLY, VECTOR_TS, STACK_READ_ONLY, "SS read-only"
  BROKEN 0x50, DATA|1, VECTOR_TS, DATA, "SS of another privilege"
  BROKEN 0x50, STACK_ABSENT, VECTOR_SS, STACK_ABSENT, "SS not present"
  BROKEN 0x54, TOO_FAR, VECTOR_TS, TOO_FAR, "DS beyond the GDT"
  BROKEN 0x48, TABLE, VECTOR_TS, TABLE, "ES is an LDT"
  BROKEN 0x58, DATA_ABSENT, VECTOR_NP, DATA_ABSENT, "FS not present"
  BROKEN 0x4C, CODE_SHORT, VECTOR_GP, 0, "EIP beyond the limit of CS"
  CASE "the same by an exception"
  SET_GATE (idt32 + VECTOR_UD * 8), TASK_A, $0, 0x85
  BROKEN_EXCEPTION 0x60, TOO_FAR, VECTOR_TS, TOO_FAR+1, "LDT beyond the GDT, EXT"
  BROKEN_EXCEPTION 0x4C, 0, VECTOR_TS, 1, "null CS, EXT"
  BROKEN_EXCEPTION 0x50, 0, VECTOR_TS, 1, "null SS, EXT"
  BROKEN_EXCEPTION 0x50, STACK_ABSENT, VECTOR_SS, STACK_ABSENT+1, "SS not present, EXT"
  BROKEN_EXCEPTION 0x54, TOO_FAR, VECTOR_TS, TOO_FAR+1, "DS beyond the GDT, EXT"
  BROKEN_EXCEPTION 0x58, DATA_ABSENT, VECTOR_NP, DATA_ABSENT+1, "FS not present, EXT"
  BROKEN_EXCEPTION 0x4C, CODE_SHORT, VECTOR_GP, 1, "EIP beyond the limit of CS, EXT"
  CASE "the error code of the first exception"
  RESTORE
  movl $note_error, task_11 + 0x20
  mov $DATA_ABSENT, %eax
6: mov %eax, %fs
after_np:
  clts
  EXPECT_EQ noted_error, $DATA_ABSENT, "on the stack of the new task"
  EXPECT_EQ noted_stack, $stack_b_top-4, "ESP"
  EXPECT_EQ noted_link, $6b, "EIP of the old task"
  movl $note_11, task_11 + 0x20
  CASE "#DF"
  .irp vector, 10, 12, 13
  SET_GATE (idt32 + \vector * 8), CODE32, $vectors32+16*\vector, 0x8E
  .endr
  SET_GATE (idt32 + VECTOR_NP * 8), SHORT, $0, 0x85
  RESTORE
  mov $DATA_ABSENT, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_DF, 0, "#TS in the delivery of #NP"
  SET_GATE (idt32 + VECTOR_NP * 8), TASK_A, $0, 0x85
  RESTORE
  movl $TOO_FAR, task_a + 0x54
  mov $DATA_ABSENT, %eax
  TRY
  mov %eax, %fs
  CAUGHT VECTOR_TS, TOO_FAR+1, "#TS after the switch is the new task's own", at=never
  FINISH
never: ud2
note_error:
  mov %esp, noted_stack
  pop noted_error
  mov task_state + 0x20, %eax
  mov %eax, noted_link
  movl $after_np, task_state + 0x20
  iret
.irp vector, 10, 11, 12, 13
note_\vector:
  movl $\vector, noted_vector
  movzwl task_\vector, %eax
  jmp note
.endr
note:
  pop noted_error
  mov %eax, noted_link
  mov saved_stack, %esp
  jmp *after
.section .bss
.balign 16
task_a: .skip 0x70
task_10: .skip 0x70
task_11: .skip 0x70
task_12: .skip 0x70
task_13: .skip 0x70
stack_a: .skip 4096
stack_a_top:
stack_b: .skip 4096
stack_b_top:
noted_error: .skip 4
noted_stack: .skip 4
noted_link: .skip 4
noted_vector: .skip 4
after: .skip 4
saved_stack: .skip 4
