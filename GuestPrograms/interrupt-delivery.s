# Tests: the 8254 through the 8259s and through the I/O APIC, the local APIC's timer, self IPIs and priorities, HLT, and the
# shadow of STI.
# Specification: SDM 3A §10.4 to 10.8, §6.8.1; 8259A and 8254 data sheets.
# Expected:
#   8254 through the 8259s
#   8254 through the I/O APIC
#   the local APIC's timer
#   self IPIs and priority
#   the shadow of STI
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set APIC, 0xFEE00000
.set IOAPIC, 0xFEC00000
.macro OUT8 port, value
  mov $\value, %al
  out %al, $\port
.endm
.macro WAIT_FOR_INTERRUPT
  movq $0, seen_count
  movq $acknowledge, hook
8: sti
  hlt
  cli
  cmpq $0, seen_count
  je 8b
  movq $0, hook
.endm
PROGRAM
  ENTER_LONG
  mov $APIC, %r15d
  mov $IOAPIC, %r14d
  CASE "8254 through the 8259s"
  OUT8 0x20, 0x11
  OUT8 0x21, 0x20
  OUT8 0x21, 0x04
  OUT8 0x21, 0x01
  OUT8 0xA0, 0x11
  OUT8 0xA1, 0x28
  OUT8 0xA1, 0x02
  OUT8 0xA1, 0x01
  OUT8 0x21, 0xFE
  OUT8 0xA1, 0xFF
  OUT8 0x43, 0x34
  OUT8 0x40, 0x00
  OUT8 0x40, 0x10
  WAIT_FOR_INTERRUPT
  EXPECT_EQ seen_vector, $0x20, "vector"
  OUT8 0x21, 0xFF
  CASE "8254 through the I/O APIC"
  movl $0x1FF, 0xF0(%r15)
  movl $0x10 + 2 * 2, (%r14)
  movl $0x41, 0x10(%r14)
  movl $0x11 + 2 * 2, (%r14)
  movl $0, 0x10(%r14)
  WAIT_FOR_INTERRUPT
  EXPECT_EQ seen_vector, $0x41, "vector"
  movl $0x10 + 2 * 2, (%r14)
  movl $0x10041, 0x10(%r14)
  CASE "the local APIC's timer"
  movl $0xB, 0x3E0(%r15)
  movl $0x42, 0x320(%r15)
  movl $100000, 0x380(%r15)
  WAIT_FOR_INTERRUPT
  EXPECT_EQ seen_vector, $0x42, "vector"
  mov 0x390(%r15), %ecx
  EXPECT_EQ %rcx, $0, "a one-shot timer stands at 0"
  CASE "self IPIs and priority"
  movq $0, seen_count
  movq $acknowledge, hook
  movl $0x40051, 0x300(%r15)
  movl $0x40061, 0x300(%r15)
  mov 0x220(%r15), %ecx
  EXPECT_EQ %rcx, $0x20000, "IRR of 51"
  mov $5, %eax
  mov %rax, %cr8
  sti
  nop
  nop
  cli
  EXPECT_EQ seen_count, $1, "CR8 holds back priority 5"
  EXPECT_EQ seen_vector, $0x61, "vector"
  mov 0x80(%r15), %ecx
  EXPECT_EQ %rcx, $0x50, "TPR is CR8"
  xor %eax, %eax
  mov %rax, %cr8
  sti
  nop
  cli
  EXPECT_EQ seen_vector, $0x51, "vector after CR8 is 0"
  CASE "the shadow of STI"
  movl $0x40051, 0x300(%r15)
  mov $1, %ecx
  sti
6: xor %ecx, %ecx
7: nop
  cli
  EXPECT_EQ seen_rip, $7b, "the interrupt comes after the next instruction"
  movl $0x40051, 0x300(%r15)
  movq $0, seen_count
  sti
  cli
  EXPECT_EQ seen_count, $0, "STI and CLI let nothing in"
  sti
  nop
  cli
  EXPECT_EQ seen_count, $1, "it comes later"
  FINISH
acknowledge:
  movl $0, 0xB0(%r15)
  mov $0x20, %al
  out %al, $0x20
  ret
