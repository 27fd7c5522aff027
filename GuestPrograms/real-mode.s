# Tests: real mode: segment arithmetic, wrap at 64 KiB and the A20 gap, 16-bit addressing, the interrupt vector table,
# INT and IRET, far calls, limit faults (#GP, #SS), what real mode does not know (#UD), and unreal mode.
# Specification: SDM 3B §20.1, §20.2, SDM 3A §9.9.
# Expected:
#   segments
#   addressing
#   interrupts
#   faults
#   unreal mode
#   pass
.include "program.inc"
.include "protected.inc"
.include "real.inc"
PROGRAM
  INIT_REAL
  SET_DESCRIPTOR SLOT0, $0, 0xFFFFF, 0x93, 8       # 4 GiB, for unreal mode
  movw $int_handler, 0x60 * 4
  movw $0, 0x60 * 4 + 2
  movl $0xCAFE1234, 0x200000
  CASE "segments"
  REAL_CALL real_segments
  EXPECT_EQ r_value, $0x5AA5, "segment * 16 + offset"
  EXPECT_EQ r_high, $0x77, "FFFF:0010 is 1 MiB"
  EXPECT_EQ r_cs, $0x800, "CS after a far jump"
  EXPECT_EQ r_ip, $real_far-0x8000, "IP after a far jump"
  CASE "addressing"
  REAL_CALL real_addressing
  EXPECT_EQ r_lea, $0x0005, "BX+SI wraps at 64 KiB"
  EXPECT_EQ r_lea32, $0x12345, "32-bit addressing computes 32 bits"
  EXPECT_EQ r_wrapped, $0x44332211, "the byte at offset 5"
  CASE "interrupts"
  REAL_CALL real_interrupt
  EXPECT_EQ r_int_flags, $0, "IF and TF in the handler"
  EXPECT_EQ r_int_pushed, $0x0202, "FLAGS on the stack"
  EXPECT_EQ r_int_sp, $-6, "three words on the stack"
  EXPECT_EQ r_int_after, $0x0202, "FLAGS after IRET"
  CASE "faults"
  movw $0, real_count
  REAL_CALL real_faults
  EXPECT_EVENT 0, VECTOR_GP, real_fault_0, "word at FFFF"
  EXPECT_EVENT 1, VECTOR_GP, real_fault_1, "32-bit address beyond the limit"
  EXPECT_EVENT 2, VECTOR_SS, real_fault_2, "stack word at FFFF"
  EXPECT_EVENT 3, VECTOR_UD, real_fault_3, "LLDT"
  EXPECT_EVENT 4, VECTOR_UD, real_fault_4, "LAR"
  EXPECT_EVENT 5, VECTOR_UD, real_fault_5, "ARPL"
  EXPECT_EVENT 6, VECTOR_DE, real_fault_6, "DIV by 0"
  EXPECT_EVENT 7, VECTOR_BP, real_fault_7+1, "INT3"
  EXPECT_EVENT 8, VECTOR_BR, real_fault_8, "BOUND"
  EXPECT_EVENT 9, VECTOR_GP, real_fault_9, "a vector beyond the IDT's limit"
  EXPECT_EVENT 10, VECTOR_GP, real_fault_10, "REP MOVSW across the segment's end"
  EXPECT_EQ r_rep_cx, $2, "CX of the interrupted REP MOVSW"
  EXPECT_EVENT 11, VECTOR_UD, real_fault_11, "SYSEXIT or LTR"
  CASE "unreal mode"
  movw $0, real_count
  REAL_CALL real_unreal
  EXPECT_EQ r_unreal, $0xCAFE1234, "a limit of 4 GiB outlives protected mode"
  EXPECT_EQ r_unreal_base, $0xCAFE1234, "a load in real mode changes the base alone"
  FINISH
.section .low, "awx"
USE16
real_segments:
  mov $0x1234, %ax
  mov %ax, %ds
  movw $0x5AA5, %ds:0x10
  mov $0x1235, %ax
  mov %ax, %ds
  mov %ds:0, %ax
  mov %ax, %ss:r_value
  in $0x92, %al
  or $2, %al
  and $0xFE, %al
  out %al, $0x92
  mov $0xFFFF, %ax
  mov %ax, %es
  movb %es:0x10, %al          # the byte at 1 MiB is kept
  movb $0x77, %es:0x10
  xor %bx, %bx
  mov %bx, %ds
  addr32 movb %ds:0x10, %bl
  movb %es:0x10, %bl
  movb %al, %es:0x10
  movzbl %bl, %ebx
  mov %ebx, r_high
  ljmp $0x800, $real_far - 0x8000
real_far:
  call 1f
1: pop %ax
  sub $1b - real_far, %ax
  mov %ax, r_ip
  mov %cs, %ax
  mov %ax, r_cs
  ljmp $0, $1f
1: ret
real_addressing:
  mov $0xFFFF, %bx
  mov $6, %si
  xor %eax, %eax
  lea (%bx, %si), %ax
  mov %eax, r_lea
  mov $0x12340, %ebx
  lea 5(%ebx), %eax
  mov %eax, r_lea32
  mov 5, %ecx
  movl $0x44332211, 5
  mov $0xFFF0, %bx
  mov $0x10, %di
  mov 5(%bx, %di), %eax
  mov %ecx, 5
  mov %eax, r_wrapped
  ret
real_interrupt:
  mov %sp, %si
  pushl $0x202
  popfl
  int $0x60
  pushf
  cli
  popw r_int_after
  ret
int_handler:
  pushf
  pop %ax
  and $0x300, %ax
  movzwl %ax, %eax
  mov %eax, r_int_flags
  mov %sp, %bp
  mov 4(%bp), %ax
  mov %ax, r_int_pushed
  mov %sp, %ax
  sub %si, %ax
  movswl %ax, %eax
  mov %eax, r_int_sp
  iret
real_faults:
  RTRY
real_fault_0: mov %ds:0xFFFF, %ax
  RCAUGHT
  RTRY
  mov $0x10000, %ebx
real_fault_1: mov (%ebx), %al
  RCAUGHT
  RTRY
  mov $0xFFFF, %bp
real_fault_2: mov (%bp), %ax
  RCAUGHT
  RTRY
real_fault_3: lldt %ax
  RCAUGHT
  RTRY
real_fault_4: lar %ax, %bx
  RCAUGHT
  RTRY
real_fault_5: .byte 0x63, 0xC0
  RCAUGHT
  RTRY
  xor %cx, %cx
real_fault_6: div %cx
  RCAUGHT
  RTRY
real_fault_7: int3
  RCAUGHT
  RTRY
  mov $20, %ax
real_fault_8: bound %ax, r_bounds
  RCAUGHT
  lidtl r_short_idt
  RTRY
real_fault_9: int $0x60
  RCAUGHT
  lidtl real_idt_register
  RTRY
  mov $0xFFFB, %si
  mov $0x6000, %di
  mov $4, %cx
  cld
real_fault_10: rep movsw
  RCAUGHT
  movzwl %cx, %ecx
  mov %ecx, r_rep_cx
  RTRY
real_fault_11: ltr %ax
  RCAUGHT
  ret
real_unreal:
  mov %cr0, %eax
  or $CR0_PE, %al
  mov %eax, %cr0
  jmp 1f
1: mov $SLOT0, %bx
  mov %bx, %fs
  and $~CR0_PE, %al
  mov %eax, %cr0
  ljmp $0, $1f
1: mov $0x200000, %ebx
  mov %fs:(%ebx), %eax
  mov %eax, r_unreal
  mov $0x1000, %ax
  mov %ax, %fs
  mov $0x1F0000, %ebx
  mov %fs:(%ebx), %eax
  mov %eax, r_unreal_base
  xor %ax, %ax
  mov %ax, %fs
  ret
.balign 4
r_bounds: .word 0, 10
r_short_idt: .word 0x7F
  .long 0
.balign 4
r_value: .long 0
r_high: .long 0
r_cs: .long 0
r_ip: .long 0
r_lea: .long 0
r_lea32: .long 0
r_wrapped: .long 0
r_int_flags: .long 0
r_int_pushed: .long 0
r_int_sp: .long 0
r_int_after: .long 0
r_rep_cx: .long 0
r_unreal: .long 0
r_unreal_base: .long 0
