# Tests: what MOV SS and POP SS hold back for one instruction, and LSS does not: single steps, instruction breakpoints, interrupts, NMIs;
# faults of the next instruction come all the same.
# Specification: SDM 3A §6.8.3, SDM 3B §17.2.4, SDM 2B "MOV", "POP".
# Expected:
#   single steps
#   instruction breakpoints
#   faults
#   interrupts
#   NMIs
#   pass
.include "program.inc"
.include "protected.inc"
.set APIC, 0xFEE00000
.set IOAPIC, 0xFEC00000
.set WANTED, 200
# A run of `instruction` in TF: the first debug trap after it is at `stop`.
.macro STEP_OVER name, stop, instruction:vararg
  mov $DATA, %eax
  pushl $DATA
  pushl $FLAG_TF | 2
  TRY
  popf
  \instruction
4: nop
5: nop
  CAUGHT VECTOR_DB, 0, "\name", at=\stop
  pop %eax
.endm
.macro SEND_8254 mode
  movl $0x10 + 2 * 2, IOAPIC
  movl $\mode, IOAPIC + 0x10
.endm
# Interrupts of the 8254 until WANTED have come in a loop of `instruction` and others: none may come right after `instruction`.
.macro SAMPLE mode, name, pushes, instruction:vararg
  movl $0, seen_count
  movl $0, forbidden
  movl $\name\()_1, places
  movl $\name\()_2, places + 4
  movl $\name\()_3, places + 8
  movl $note_place, hook
  mov $DATA, %eax
  SEND_8254 \mode
  .if \mode == 0x51
  sti
  .endif
\name\()_0:
  .rept \pushes
  pushl $DATA
  .endr
  \instruction
\name\()_1: nop
  \instruction
\name\()_2: xchg %ax, %ax
  \instruction
\name\()_3: xchg %ax, %ax
  cmpl $WANTED, seen_count
  jb \name\()_0
  cli
  SEND_8254 0x10000
  movl $0, hook
  EXPECT_EQ forbidden, $0, "\name: between it and the next instruction"
.endm
PROGRAM
  movl $0x1FF, APIC + 0xF0
  CASE "single steps"
  STEP_OVER "NOP", 4b, nop
  STEP_OVER "MOV SS", 5b, mov %eax, %ss
  STEP_OVER "POP SS", 5b, pop %ss
  movw %ss, stack_pointer + 4
  mov %esp, stack_pointer
  pushl $FLAG_TF | 2
  TRY
  popf
  lss stack_pointer, %esp
4: nop
  CAUGHT VECTOR_DB, 0, "LSS", at=4b
  CASE "instruction breakpoints"
  mov $7f, %eax
  mov %eax, %dr0
  mov $0x402, %eax
  mov %eax, %dr7
  mov $DATA, %eax
  TRY
  mov %eax, %ss
7: nop
  nop
  CAUGHT NONE, 0, "after MOV SS"
  mov $7f, %eax
  mov %eax, %dr0
  pushl $DATA
  TRY
  pop %ss
7: nop
  nop
  CAUGHT NONE, 0, "after POP SS"
  mov $7f, %eax
  mov %eax, %dr0
  mov $DATA, %eax
  TRY
  mov %eax, %ss
  nop
7: nop
  CAUGHT VECTOR_DB, 0, "one instruction later", at=7b
  mov $0x400, %eax
  mov %eax, %dr7
  CASE "faults"
  mov $DATA, %eax
  TRY
  mov %eax, %ss
6: ud2
  CAUGHT VECTOR_UD, 0, "UD2 after MOV SS", at=6b
  CASE "interrupts"
  mov $0x34, %al                 # 8 kHz
  out %al, $0x43
  mov $150, %al
  out %al, $0x40
  xor %al, %al
  out %al, $0x40
  mov APIC + 0x20, %eax
  movl $0x11 + 2 * 2, IOAPIC
  mov %eax, IOAPIC + 0x10
  SAMPLE 0x51, MOV_SS, 0, mov %eax, %ss
  SAMPLE 0x51, POP_SS, 3, pop %ss
  CASE "NMIs"
  SAMPLE 0x400, MOV_SS_NMI, 0, mov %eax, %ss
  SAMPLE 0x400, POP_SS_NMI, 3, pop %ss
  FINISH
note_place:
  mov seen_rip, %eax
  .irp place, 0, 4, 8
  cmp places + \place, %eax
  je 1f
  .endr
  jmp 2f
1: incl forbidden
2: cmpl $VECTOR_NMI, seen_vector
  je 3f
  movl $0, APIC + 0xB0
3: ret
.section .bss
.balign 8
forbidden: .skip 4
places: .skip 12
stack_pointer: .skip 8
