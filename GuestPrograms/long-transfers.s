# Tests: far transfers in long mode: to compatibility mode and back, 64-bit call gates with stack switch, RETF and IRET
# between modes, refusals, segment bases in both modes, SWAPGS and FSGSBASE.
# Specification: SDM 3A §5.8.3.1, §5.8.5.1, §3.4.4, SDM 2A "CALL", SDM 2B "SWAPGS", "WRFSBASE".
# Expected:
#   compatibility mode
#   far calls
#   refusals
#   FS and GS
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro FAR_64 opcode, pointer     # an indirect far transfer with a 32-bit offset
  .byte 0xFF, \opcode, 0x25
  .long \pointer
.endm
PROGRAM
  ENTER_LONG
  mov %rsp, %r12
  CASE "compatibility mode"
  pushq $CODE32
  pushq $7f
  lretq
USE32
7: mov $0x11223344, %ebx
  dec %ebx                       # 48 and up are INC and DEC here, not REX
  mov %cs, %eax
  movl %eax, seen_here
  TRY
  mov $0x1F8, %eax
6: mov %eax, %fs
  CAUGHT VECTOR_GP, 0x1F8, "a fault in compatibility mode", at=6b
  EXPECT_EQ seen_cs, $CODE32, "CS in its frame"
  TRY
  aam $0
  CAUGHT VECTOR_DE, 0, "AAM exists in compatibility mode"
  SET_DESCRIPTOR SLOT0, $base_here, 0xFFF, 0x93, 4
  mov $SLOT0, %eax
  mov %eax, %es
  mov %es:0, %ecx
  EXPECT_EQ %ecx, $0xB45E, "the base of ES"
  TRY
  mov %es:0x1000, %ecx
  CAUGHT VECTOR_GP, 0, "the limit of ES"
  ljmp $CODE64, $7f
USE64
7: EXPECT_EQ seen_here, $CODE32, "CS was the compatibility one"
  EXPECT_EQ %rbx, $0x11223343, "registers survive"
  mov $SLOT0, %eax
  mov %eax, %ds
  EXPECT_EQ base_here, $0xB45E, "64-bit mode ignores the base of DS"
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  CASE "far calls"
  mov %rsp, %rbx
  TRY
  FAR_64 0x1C, far_compat
  CAUGHT NONE, 0, "a far call to compatibility mode and back"
  mov %rsp, %rcx
  EXPECT_EQ %rcx, %rbx, "RSP"
  SET_GATE (gdt + SLOT2), CODE64, $inner_64, 0xEC, 0
  movq $0, gdt + SLOT3
  TRY
  FAR_64 0x1C, far_gate
  CAUGHT NONE, 0, "a call gate in ring 0"
  mov inner_rsp, %rcx
  sub %rbx, %rcx
  EXPECT_EQ %rcx, $-16, "two quadwords"
  TRY
  ENTER_USER64 user_gate
  CAUGHT LEAVE, 0, "a call gate from ring 3", at=user_gate_done
  EXPECT_EQ inner_rsp, $interrupt_stack_top-32, "four quadwords on the stack of ring 0"
  EXPECT_EQ inner_ss, $0, "SS is null"
  EXPECT_EQ seen_ss, $USER_DATA|3, "SS of ring 3 is back"
  CASE "refusals"
  SET_GATE (gdt + SLOT4), CODE32, $inner_64, 0xEC, 0
  movq $0, gdt + SLOT5
  TRY
  FAR_64 0x1C, far_gate_32
  CAUGHT VECTOR_GP, CODE32, "a gate to 32-bit code"
  movb $1, gdt + SLOT3 + 5
  TRY
  FAR_64 0x1C, far_gate
  CAUGHT VECTOR_GP, SLOT2, "a type in the upper half of a gate"
  movq $0, gdt + SLOT3
  movl $0x8000, gdt + SLOT3
  TRY
  FAR_64 0x1C, far_gate
  CAUGHT VECTOR_GP, 0, "a gate to an address that is not canonical"
  movq $0, gdt + SLOT3
  SET_DESCRIPTOR SLOT6, $0, 0xFFFFF, 0x9B, 0xE      # L and D
  TRY
  FAR_64 0x2C, far_both
  CAUGHT VECTOR_GP, SLOT6, "code with L and D"
  TRY
  FAR_64 0x2C, far_task
  CAUGHT VECTOR_GP, TASK, "a jump to a TSS"
  CASE "FS and GS"
  WRITE_MSR 0xC0000100, $base_here
  mov %fs:0, %ecx
  EXPECT_EQ %rcx, $0xB45E, "IA32_FS_BASE"
  WRITE_MSR 0xC0000101, $base_here
  WRITE_MSR 0xC0000102, $other_base
  mov %gs:0, %ecx
  EXPECT_EQ %rcx, $0xB45E, "IA32_GS_BASE"
  swapgs
  mov %gs:0, %ecx
  EXPECT_EQ %rcx, $0x07E4, "after SWAPGS"
  READ_MSR 0xC0000102
  EXPECT_EQ %rax, $base_here, "IA32_KERNEL_GS_BASE"
  xor %eax, %eax
  mov $DATA, %eax
  mov %eax, %gs
  READ_MSR 0xC0000101
  EXPECT_EQ %rax, $0, "a load of GS sets the base"
  TRY
  rdfsbase %rax
  CAUGHT VECTOR_UD, 0, "RDFSBASE without CR4.FSGSBASE"
  mov %cr4, %rax
  or $CR4_FSGSBASE, %eax
  mov %rax, %cr4
  rdfsbase %rax
  EXPECT_EQ %rax, $base_here, "RDFSBASE"
  mov $other_base, %eax
  wrgsbase %rax
  mov %gs:0, %ecx
  EXPECT_EQ %rcx, $0x07E4, "WRGSBASE"
  mov $0x800000000000, %rax
  TRY
  wrfsbase %rax
  CAUGHT VECTOR_GP, 0, "WRFSBASE of an address that is not canonical"
  TRY
  ENTER_USER64 user_swapgs
  CAUGHT VECTOR_GP, 0, "SWAPGS in ring 3", at=user_swapgs
  FINISH
inner_64:
  mov %rsp, inner_rsp
  mov %ss, %eax
  mov %rax, inner_ss
  lretq
user_gate:
  FAR_64 0x1C, far_gate
  int $LEAVE
user_gate_done:
user_swapgs: swapgs
USE32
compat_routine: lret
USE64
.data
.balign 8
base_here: .quad 0xB45E
other_base: .quad 0x07E4
far_compat: .long compat_routine
  .word CODE32
far_gate: .long 0
  .word SLOT2
far_gate_32: .long 0
  .word SLOT4
far_both: .long 0
  .word SLOT6
far_task: .long 0
  .word TASK
.section .bss
.balign 8
seen_here: .skip 8
inner_rsp: .skip 8
inner_ss: .skip 8
