# Tests: virtual-8086 mode: entry by IRET, instructions that IOPL guards, faults to ring 0 with the four data segments on the
# stack, privileged and unknown instructions, the I/O map, 64 KiB limits, and INT redirected by VME.
# Specification: SDM 3B §20.2, §20.3, §20.4.
# Expected:
#   entry and exit
#   instructions that IOPL guards
#   refused instructions
#   ports
#   limits
#   CR4.VME
#   pass
.include "program.inc"
.include "protected.inc"
.set V_STACK, 0x7000
# Runs `label` (in .low) in virtual-8086 mode with all segments 0.
.macro ENTER_VIRTUAL label, flags=FLAG_VM|2
  push $0x1111          # GS
  push $0x2222          # FS
  push $0               # DS
  push $0               # ES
  push $0               # SS
  push $V_STACK
  push $\flags
  push $0
  push $\label
  iret
.endm
PROGRAM
  SET_DESCRIPTOR TASK, $task_state, 0x68+0x20+0x20, 0x89, 0
  movw $0x68 + 0x20, task_state + 102
  movb $0xFF, task_state + 0x68 + 0x40
  mov $TASK, %eax
  ltr %ax
  CASE "entry and exit"
  TRY
  ENTER_VIRTUAL v_leave, FLAG_VM|0x3002
  CAUGHT LEAVE, 0, "INT with IOPL 3", at=v_leave_int+2
  EXPECT_EQ seen_frame, $interrupt_stack_top-36, "a frame of nine doublewords"
  EXPECT_EQ interrupt_stack_top-4, $0x1111, "GS in the frame"
  EXPECT_EQ interrupt_stack_top-8, $0x2222, "FS in the frame"
  EXPECT_EQ interrupt_stack_top-20, $0, "SS in the frame"
  EXPECT_EQ seen_rsp, $V_STACK-2, "SP in the frame"
  mov seen_flags, %eax
  and $FLAG_VM|0x3000, %eax
  EXPECT_EQ %eax, $FLAG_VM|0x3000, "EFLAGS in the frame"
  movzwl v_value, %eax
  EXPECT_EQ %eax, $0x1111, "GS in virtual-8086 mode"
  EXPECT_EQ v_linear, $0x12345678, "segment * 16 + offset"
  CASE "instructions that IOPL guards"
.irp name, cli, sti, pushf, popf, int, iret
  TRY
  ENTER_VIRTUAL v_\name
  CAUGHT VECTOR_GP, 0, "\name with IOPL 0", at=v_\name
.endr
  TRY
  ENTER_VIRTUAL v_pushf, FLAG_VM|0x3002
  CAUGHT_ANYWHERE LEAVE, 0, "PUSHF with IOPL 3"
  movzwl v_flags, %eax
  EXPECT_EQ %eax, $0x3002, "FLAGS pushed"
  TRY
  ENTER_VIRTUAL v_int3
  CAUGHT VECTOR_GP, VECTOR_BP*8+2, "INT3 with a gate of DPL 0", at=v_int3
  movb $0xEE, idt32 + VECTOR_BP * 8 + 5
  TRY
  ENTER_VIRTUAL v_int3
  CAUGHT VECTOR_BP, 0, "INT3 is not guarded by IOPL", at=v_int3+1
  CASE "refused instructions"
.irp name, hlt, lgdt, mov_cr0, lmsw
  TRY
  ENTER_VIRTUAL v_\name, FLAG_VM|0x3002
  CAUGHT VECTOR_GP, 0, "\name", at=v_\name
.endr
.irp name, lldt, lar, arpl
  TRY
  ENTER_VIRTUAL v_\name, FLAG_VM|0x3002
  CAUGHT VECTOR_UD, 0, "\name", at=v_\name
.endr
  CASE "ports"
  TRY
  ENTER_VIRTUAL v_in, FLAG_VM|0x3002
  CAUGHT LEAVE, 0, "allowed by the map", at=v_in+4
  movb $1, task_state + 0x88 + 0x10
  TRY
  ENTER_VIRTUAL v_in, FLAG_VM|0x3002
  CAUGHT VECTOR_GP, 0, "denied by the map, whatever IOPL is", at=v_in
  CASE "limits"
  TRY
  ENTER_VIRTUAL v_limit, FLAG_VM|0x3002
  CAUGHT VECTOR_GP, 0, "a word at FFFF", at=v_limit
  TRY
  ENTER_VIRTUAL v_stack_limit, FLAG_VM|0x3002
  CAUGHT VECTOR_SS, 0, "a stack word at FFFF", at=v_stack_limit_at
  CASE "CR4.VME"
  mov %cr4, %eax
  or $CR4_VME, %eax
  mov %eax, %cr4
  TRY
  ENTER_VIRTUAL v_cli_sti, FLAG_VM|0x80202
  CAUGHT VECTOR_GP, 0, "HLT at the end", at=v_cli_sti_end
  movzwl v_flags, %eax
  EXPECT_EQ %eax, $0x3002, "FLAGS with VIF clear show IF clear and IOPL 3"
  movzwl v_flags+2, %eax
  EXPECT_EQ %eax, $0x3202, "FLAGS with VIF set show IF set"
  mov seen_flags, %eax
  and $0x80200, %eax
  EXPECT_EQ %eax, $0x80200, "STI set VIF, IF stays"
  TRY
  ENTER_VIRTUAL v_sti, FLAG_VM|0x100202
  CAUGHT VECTOR_GP, 0, "STI with VIP", at=v_sti
  movw $v_handler, 0x60 * 4
  movw $0, 0x60 * 4 + 2
  TRY
  ENTER_VIRTUAL v_redirected, FLAG_VM|0x80202
  CAUGHT VECTOR_GP, 0, "after a redirected INT", at=v_redirected_end
  movzwl v_value, %eax
  EXPECT_EQ %eax, $0x6060, "the handler of the virtual machine ran"
  movzwl v_flags, %eax
  EXPECT_EQ %eax, $0x3202, "FLAGS on its stack: VIF as IF, IOPL 3"
  movzwl v_flags+2, %eax
  EXPECT_EQ %eax, $0x3002, "VIF is clear in the handler"
  FINISH
.section .low, "awx"
USE16
v_leave:
  mov %gs, %ax
  mov %ax, v_value
  mov $0x100, %ax
  mov %ax, %es
  movl $0x12345678, v_linear - 0
  mov $v_linear, %bx
  sub $0x1000, %bx
  movl %es:(%bx), %eax
  movl $0, v_linear
  movl %eax, v_linear
  push %ax
v_leave_int: int $LEAVE
v_cli: cli
v_sti: sti
v_popf: popf
v_int: int $LEAVE
v_iret: iret
v_pushf: pushf
  popw v_flags
  int $LEAVE
v_int3: int3
v_hlt: hlt
v_lgdt: lgdt 0
v_mov_cr0: mov %cr0, %eax
v_lmsw: lmsw %ax
v_lldt: lldt %ax
v_lar: lar %ax, %bx
v_arpl: .byte 0x63, 0xC0
v_in: in $0x80, %al
  int $LEAVE
v_limit: mov %ds:0xFFFF, %ax
v_stack_limit: mov $0xFFFF, %bp
v_stack_limit_at: mov (%bp), %ax
v_cli_sti:
  cli
  pushf
  popw v_flags
  sti
  pushf
  popw v_flags + 2
v_cli_sti_end: hlt
v_redirected:
  int $0x60
v_redirected_end: hlt
v_handler:
  movw $0x6060, v_value
  mov %sp, %bp
  mov 4(%bp), %ax
  mov %ax, v_flags
  pushf
  popw v_flags + 2
  iret
.balign 4
v_value: .long 0
v_linear: .long 0
v_flags: .long 0
