# Tests: BT BTS BTR BTC of memory with the index in a register, in 64-bit code: indexes on both sides of the base, every width,
# every kind of register for base and index, LOCK, FS, 67h, flags, faults at the address that the index gives.
# Specification: SDM 2A "BT", "Bit(BitBase, BitOffset)" in §3.1.1.9.
# Expected:
#   the bit that the index names
#   indexes of 32 and 16 bits are signed
#   registers
#   LOCK
#   segments and 32-bit addresses
#   faults
#   the bit that the index names
#   indexes of 32 and 16 bits are signed
#   registers
#   LOCK
#   segments and 32-bit addresses
#   faults
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set STATUS, 0x8D5
.macro MAP page, frame, rights=P+W+U
  movl $FRAME + 0x1000 * \frame + \rights, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
.macro EXPECT_FLAGS value, name
  pushfq
  pop flags_seen
  andq $STATUS, flags_seen
  EXPECT_EQ flags_seen, $\value, "\name"
.endm
# All flags but CF, or all: only CF may change.
.macro WITH_FLAGS value
  pushq $\value + 2
  popfq
.endm
.macro EXPECT_64 actual, value, name
  movabs $\value, %rbp
  EXPECT_EQ \actual, %rbp, "\name"
.endm
.bss
.balign 8
flags_seen: .skip 8
.text
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  mov $2, %r15d
again:
  mov $FRAME + 0x1000, %edi
  mov $0x400, %ecx
  xor %eax, %eax
  rep stosq
  CASE "the bit that the index names"
  lea 0x2000(%rbx), %rsi
  mov $0x4001, %rax                    # byte 0x800, bit 1
  WITH_FLAGS 0x8D4
  btsq %rax, (%rsi)
  EXPECT_FLAGS 0x8D4, "BTS of a clear bit"
  EXPECT_EQ FRAME+0x2800, $2, "the bit"
  WITH_FLAGS 0x8D4
  btq %rax, (%rsi)
  EXPECT_FLAGS 0x8D5, "BT of it"
  WITH_FLAGS 0
  btq %rax, (%rsi)
  EXPECT_FLAGS 1, "BT with other flags"
  WITH_FLAGS 0x8D5
  btrq %rax, (%rsi)
  EXPECT_FLAGS 0x8D5, "BTR of it"
  EXPECT_EQ FRAME+0x2800, $0, "the bit after BTR"
  btcq %rax, (%rsi)
  EXPECT_EQ FRAME+0x2800, $2, "the bit after BTC"
  btcq %rax, (%rsi)
  EXPECT_EQ FRAME+0x2800, $0, "the bit after BTC again"
  mov $-1, %rax
  btsq %rax, (%rsi)
  EXPECT_64 FRAME+0x1FF8, 0x8000000000000000, "bit -1"
  WITH_FLAGS 0x8D4
  btq %rax, (%rsi)
  EXPECT_FLAGS 0x8D5, "BT of bit -1"
  mov $-0x8000, %rax
  btsq %rax, (%rsi)
  EXPECT_EQ FRAME+0x1000, $1, "bit -0x8000"
  EXPECT_EQ %rax, $-0x8000, "the index stays"
  CASE "indexes of 32 and 16 bits are signed"
  movabs $0x12345678FFFFFFE0, %rax     # -32 in EAX
  btsl %eax, (%rsi)
  mov FRAME + 0x1FFC, %ecx
  mov $0x80000001, %edx
  EXPECT_EQ %rcx, %rdx, "bit -32 as a doubleword"
  btrl %eax, (%rsi)
  EXPECT_64 FRAME+0x1FF8, 0x8000000000000000, "and clear again"
  mov $0x5000FFEF, %eax                # -17 in AX
  btsw %ax, (%rsi)
  EXPECT_64 FRAME+0x1FF8, 0x8000800000000000, "bit -17 by words"
  btcw %ax, (%rsi)
  mov $33, %eax
  btsl %eax, (%rsi)
  EXPECT_64 FRAME+0x2000, 0x200000000, "bit 33"
  btl %eax, 4(%rsi)
  EXPECT_64 FRAME+0x2000, 0x200000000, "BT changes nothing"
  btrl %eax, (%rsi)
  movb $0xEE, FRAME + 0x2004
  mov $0x20, %eax
  btrl %eax, FRAME + 0x2000
  EXPECT_64 FRAME+0x2000, 0xEE00000000, "a clear bit stays clear"
  movq $0, FRAME + 0x2000
  CASE "registers"
  mov %rsp, %r14
  mov $0x45, %eax
  mov %rax, %r8
  mov %rax, %r9
  mov %rax, %r10
  mov %rax, %r11
  mov %rax, %r12
  mov %rax, %rcx
  mov %rax, %rbp
.irp register, rcx, rbp, r8, r9, r10, r11, r12, rax
  .ifnc \register, rax
    btsq %\register, (%rsi)
    btq %rax, (%rsi)
    setc %dl
    movzbl %dl, %edx
    EXPECT_EQ %rdx, $1, "BTS and \register"
    btrq %\register, 8(%rsi)
    btrq %\register, (%rsi)
    setc %dl
    EXPECT_EQ %rdx, $1, "BTR and \register"
    btq %\register, (%rsi)
    setc %dl
    EXPECT_EQ %rdx, $0, "BT and \register"
  .endif
.endr
  mov %rsi, %rcx
  mov %rsi, %r9
  mov %rsi, %r10
  mov %rsi, %r11
  mov $0x10, %r8d
.irp register, rcx, r9, r10, r11
  btsq %rax, (%\register)
  btq %rax, 0(%rsi)
  setc %dl
  EXPECT_EQ %rdx, $1, "BTS of (\register)"
  btrq %rax, -0x80(%\register,%r8,8)
  setc %dl
  EXPECT_EQ %rdx, $1, "BTR of (\register, r8)"
.endr
  mov $2, %r9d
  mov %rsi, %r10
  btsl %r9d, -4(%r10,%r9,2)
  EXPECT_EQ FRAME+0x2000, $4, "base, index and bit in registers that memory holds"
  mov $1, %r11d
  mov %rsi, %r9
  btsq %r11, (%r9,%r11,8)
  EXPECT_EQ FRAME+0x2008, $2, "and others"
  mov $0x400, %esp
  btsq %rsp, (%rsi)
  mov %r14, %rsp
  EXPECT_EQ FRAME+0x2080, $1, "the index in RSP"
  mov %rsp, %rax
  push %rsi
  mov $0x40, %ecx
  btsq %rcx, -8(%rax)
  pop %rax
  lea (%rax), %rcx
  EXPECT_EQ %rcx, %rsi, "RSI on the stack"
  CASE "LOCK"
  mov $0x7F, %eax
  mov %rax, %r10
  movq $0, FRAME + 0x2008
  WITH_FLAGS 0x8D5
  lock btsq %rax, (%rsi)
  EXPECT_FLAGS 0x8D4, "LOCK BTS"
  EXPECT_64 FRAME+0x2008, 0x8000000000000000, "LOCK BTS"
  WITH_FLAGS 0x8D4
  lock btcl %r10d, (%rsi)
  EXPECT_FLAGS 0x8D5, "LOCK BTC"
  EXPECT_EQ FRAME+0x2008, $0, "LOCK BTC"
  lock btsl %r10d, (%rsi)
  lock btrq %r10, (%rsi)
  setc %dl
  EXPECT_EQ %rdx, $1, "LOCK BTR"
  TRY
6: .byte 0xF0
  btq %rax, (%rsi)
  CAUGHT VECTOR_UD, 0, "LOCK BT", at=6b
  CASE "segments and 32-bit addresses"
  mov $0xC0000100, %ecx
  mov $0x2000, %eax
  xor %edx, %edx
  wrmsr
  mov $0x100, %eax
  movq $0, FRAME + 0x2020
  fs btsq %rax, (%rbx)
  EXPECT_EQ FRAME+0x2020, $1, "FS BTS"
  xor %eax, %eax
  wrmsr
  movabs $0x1200000000000000 + FRAME + 0x2000, %rdi
  mov $0x101, %eax
  btsq %rax, (%edi)
  EXPECT_EQ FRAME+0x2020, $3, "an address of 32 bits"
  xor %edx, %edx
  CASE "faults"
  movl $0, WINDOW_PT + 8 * 1
  invlpg 0x1000(%rbx)
  MAP 3, 3, P+U
  mov $-1, %rax
  TRY
6: btq %rax, (%rsi)
  CAUGHT VECTOR_PF, 0, "BT below its base", at=6b
  lea -8(%rsi), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  mov $0x8000, %eax
  TRY
6: btl %eax, (%rsi)
  CAUGHT NONE, 0, "BT in a read-only page"
  TRY
6: btsl %eax, (%rsi)
  CAUGHT VECTOR_PF, 3, "BTS in a read-only page", at=6b
  lea 0x1000(%rsi), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2 of BTS"
  TRY
6: lock btrl %eax, (%rsi)
  CAUGHT VECTOR_PF, 3, "LOCK BTR in a read-only page", at=6b
  movabs $0x7FFFFFFFFFFFFFFF, %rax
  mov %rsi, %rdi
  TRY
6: btq %rax, (%rdi)
  CAUGHT VECTOR_GP, 0, "an index that leads out of the canonical addresses", at=6b
  neg %rax
  TRY
6: btsq %rax, (%rdi)
  CAUGHT VECTOR_GP, 0, "a negative one", at=6b
  mov $0x8000 - 64, %eax
  TRY
6: btsq %rax, 4(%rsi)
  CAUGHT VECTOR_PF, 3, "across the edge to a read-only page", at=6b
  EXPECT_EQ seen_cr2, %rdx, "CR2 is that page's"
  MAP 1, 1
  MAP 3, 3
  TRY
6: btsq %rax, 4(%rsi)
  CAUGHT NONE, 0, "across pages"
  mov FRAME + 0x2FFC, %ecx
  EXPECT_EQ %rcx, $1, "the bit across pages"
  dec %r15d
  jnz again
  FINISH
