# Tests: a second processor: INIT and SIPI start it in real mode at the page of the vector, it answers by an IPI, and locked
# additions by both are all counted.
# Specification: SDM 3A §8.4.4, §10.6.
# Processors: 2
# Expected:
#   INIT and SIPI
#   an IPI from the second processor
#   locked additions by both
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set APIC, 0xFEE00000
PROGRAM
  mov $start_2, %esi
  mov $0x7000, %edi
  mov $start_2_end, %ecx
  sub %esi, %ecx
  rep movsb
  ENTER_LONG
  mov $APIC, %r15d
  movl $0x1FF, 0xF0(%r15)
  CASE "INIT and SIPI"
  movl $0xC4500, 0x300(%r15)
  mov $100000, %ecx
1: pause
  loop 1b
  movl $0xC4607, 0x300(%r15)
1: pause
  cmpl $0, real_cs
  je 1b
  EXPECT_EQ real_cs, $0x700, "CS"
  EXPECT_EQ real_ip, $0, "IP of the first instruction"
  CASE "an IPI from the second processor"
  movq $acknowledge, hook
  sti
1: hlt
  cmpq $0, seen_count
  je 1b
  cli
  EXPECT_EQ seen_vector, $0x55, "vector"
  CASE "locked additions by both"
  movl $1, go
  mov $10000, %ecx
1: lock incl total
  loop 1b
1: pause
  cmpl $0, done_2
  je 1b
  EXPECT_EQ total, $20000, "total"
  EXPECT_EQ identity_2, $1, "APIC id of the second processor"
  FINISH
acknowledge:
  movl $0, 0xB0(%r15)
  ret
.section .bss
.balign 8
real_cs: .skip 8
real_ip: .skip 8
go: .skip 8
total: .skip 8
done_2: .skip 8
identity_2: .skip 8
stack_2_bottom: .skip 1024
stack_2_top:
.text
USE16
start_2:
  mov %cs, %ax
  mov %ax, %ds
  call 1f
1: pop %bx
  movzwl %ax, %edx
  sub $1b - start_2, %bx
  movzwl %bx, %ebx
  lgdtl start_2_gdt - start_2
  mov %cr0, %eax
  or $CR0_PE, %al
  mov %eax, %cr0
  ljmpl $CODE32, $protected_2
start_2_gdt: .word GDT_LIMIT
  .long gdt
start_2_end:
USE32
protected_2:
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $stack_2_top, %esp
  mov %ebx, real_ip
  mov %edx, real_cs
  movl $0x1FF, APIC + 0xF0
  movl $0, APIC + 0x310
  movl $0x4055, APIC + 0x300
1: pause
  cmpl $0, go
  je 1b
  mov $10000, %ecx
1: lock incl total
  loop 1b
  mov APIC + 0x20, %eax
  shr $24, %eax
  mov %eax, identity_2
  movl $1, done_2
2: cli
  hlt
  jmp 2b
