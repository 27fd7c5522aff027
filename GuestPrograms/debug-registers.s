# Tests: breakpoints on instructions, data (1, 2, 4 and 8 bytes) and I/O; general detect; single steps, also over REP; the
# shadows of MOV SS, POP SS and STI; RF; BD, BS and Bn of DR6; reserved bits; DR4 and DR5.
# Specification: SDM 3B §17.2, §17.3, SDM 3A §6.8.3.
# Expected:
#   reserved bits
#   instructions
#   data
#   I/O
#   general detect
#   single steps
#   a breakpoint in the shadow of MOV SS
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro CLEAR_DR6
  xor %eax, %eax
  mov %rax, %dr6
.endm
.macro EXPECT_DR6 value, name
  mov %dr6, %rax
  and $0xE00F, %eax
  EXPECT_EQ %rax, $\value, "\name", ": DR6"
.endm
.macro SET_DR7 value
  mov $\value, %eax
  mov %rax, %dr7
.endm
PROGRAM
  ENTER_LONG
  CASE "reserved bits"
  CLEAR_DR6
  mov %dr6, %rax
  mov $0xFFFF0FF0, %ecx
  EXPECT_EQ %rax, %rcx, "DR6 after a write of 0"
  SET_DR7 0
  mov %dr7, %rax
  EXPECT_EQ %rax, $0x400, "DR7 after a write of 0"
  mov $0x100000000, %rax
  TRY
  mov %rax, %dr6
  CAUGHT VECTOR_GP, 0, "bit 32 of DR6"
  TRY
  mov %rax, %dr7
  CAUGHT VECTOR_GP, 0, "bit 32 of DR7"
  TRY
  .byte 0x0F, 0x21, 0xE0         # mov %dr4, %rax
  CAUGHT NONE, 0, "DR4 without CR4.DE is DR6"
  mov $0xFFFF0FF0, %ecx
  EXPECT_EQ %rax, %rcx, "its value"
  mov %cr4, %rax
  or $CR4_DE, %eax
  mov %rax, %cr4
  TRY
  .byte 0x0F, 0x21, 0xE0
  CAUGHT VECTOR_UD, 0, "DR4 with CR4.DE"
  CASE "instructions"
  mov $7f, %eax
  mov %rax, %dr0
  SET_DR7 0x402
  CLEAR_DR6
  TRY
  nop
7: nop
  CAUGHT VECTOR_DB, 0, "an instruction breakpoint is a fault", at=7b
  EXPECT_DR6 1, "instruction"
  mov seen_flags, %rax
  and $FLAG_RF, %eax
  EXPECT_EQ %rax, $0, "RF in the frame of an instruction breakpoint"
  TRY
  ud2
  CAUGHT VECTOR_UD, 0, "another fault"
  mov seen_flags, %rax
  and $FLAG_RF, %eax
  EXPECT_EQ %rax, $FLAG_RF, "RF in the frame of another fault"
  mov $7f, %eax
  mov %rax, %dr0
  movq $0, counter
  movq $count_and_resume, hook
  nop
7: incq stepped
  movq $0, hook
  EXPECT_EQ counter, $1, "IRET with RF passes the breakpoint"
  EXPECT_EQ stepped, $1, "the instruction ran once"
  CASE "data"
  mov $variable, %eax
  mov %rax, %dr1
  SET_DR7 0x100408               # DR1, writes, 1 byte
  CLEAR_DR6
  TRY
  movb $1, variable
7: nop
  CAUGHT VECTOR_DB, 0, "a data breakpoint is a trap", at=7b
  EXPECT_DR6 2, "write of a byte"
  TRY
  movzbl variable, %eax
  movb $1, variable + 1
  CAUGHT NONE, 0, "reads and neighbours"
  SET_DR7 0x300408               # reads and writes
  TRY
  movzbl variable, %eax
7: nop
  CAUGHT VECTOR_DB, 0, "read of a byte", at=7b
  TRY
  mov variable - 3, %eax
7: nop
  CAUGHT VECTOR_DB, 0, "an access that overlaps", at=7b
  SET_DR7 0xD00408               # writes, 4 bytes
  TRY
  movb $1, variable + 3
7: nop
  CAUGHT VECTOR_DB, 0, "the last of 4 bytes", at=7b
  TRY
  movb $1, variable + 4
  CAUGHT NONE, 0, "beyond 4 bytes"
  SET_DR7 0x900408               # writes, 8 bytes
  TRY
  movb $1, variable + 7
7: nop
  CAUGHT VECTOR_DB, 0, "the last of 8 bytes", at=7b
  TRY
  push variable
  pop variable
7: nop
  CAUGHT VECTOR_DB, 0, "POP to memory", at=7b
  SET_DR7 0x500408               # writes, 2 bytes
  mov $variable - 4, %edi
  mov $8, %ecx
  xor %eax, %eax
  CLEAR_DR6
  TRY
6: rep stosb
  CAUGHT VECTOR_DB, 0, "REP STOSB stops after the iteration", at=6b
  EXPECT_EQ %rcx, $3, "RCX"
  mov $7f, %eax
  mov %rax, %dr3
  SET_DR7 0x480
  movq $0, counter
  movq $count_and_resume, hook
  mov $variable, %edi
  mov $8, %ecx
7: rep stosb
  movq $0, hook
  EXPECT_EQ counter, $1, "RF lasts for all iterations of REP STOSB"
  CASE "I/O"
  mov $0x80, %eax
  mov %rax, %dr2
  SET_DR7 0x2000420
  CLEAR_DR6
  TRY
  out %al, $0x80
7: nop
  CAUGHT VECTOR_DB, 0, "an I/O breakpoint", at=7b
  EXPECT_DR6 4, "I/O"
  TRY
  out %al, $0x84
  CAUGHT NONE, 0, "another port"
  CASE "general detect"
  CLEAR_DR6
  SET_DR7 0x2400
  TRY
  mov %dr0, %rax
  CAUGHT VECTOR_DB, 0, "a read of DR0", at=76b
  EXPECT_DR6 0x2000, "general detect"
  mov %dr7, %rax
  EXPECT_EQ %rax, $0x400, "GD is cleared"
  CASE "single steps"
  CLEAR_DR6
  TRY
  pushq $FLAG_TF | 2
  popfq
6: nop
7: nop
  CAUGHT VECTOR_DB, 0, "a step after the instruction after POPF", at=7b
  EXPECT_DR6 0x4000, "step"
  movq $0, counter
  movq $count_debug, hook
  mov $buffer, %edi
  mov $5, %ecx
  pushq $FLAG_TF | 2
  popfq
  rep stosb
  pushq $2
  popfq
  movq $0, hook
  EXPECT_EQ counter, $7, "REP steps once an iteration"
  movq $0, counter
  movq $count_debug, hook
  mov %ss, %eax
  pushq $FLAG_TF | 2
  popfq
  mov %eax, %ss                  # no trap after this one
  nop
  pushq $2
  popfq
  movq $0, hook
  EXPECT_EQ counter, $3, "MOV SS holds back one trap"
  TRY
  pushq $FLAG_TF | 2
  popfq
6: int $0x40
  CAUGHT 0x40, 0, "INT n with TF", at=6b+2
  mov seen_flags, %rax
  and $FLAG_TF, %eax
  EXPECT_EQ %rax, $FLAG_TF, "TF in the frame of INT n"
  CASE "a breakpoint in the shadow of MOV SS"
  mov $variable, %eax
  mov %rax, %dr1
  movw $DATA, variable
  SET_DR7 0x300408
  CLEAR_DR6
  TRY
  mov variable, %ss
6: nop
7: nop
  CAUGHT VECTOR_DB, 0, "the trap comes after the next instruction", at=7b
  EXPECT_DR6 2, "data in the shadow"
  SET_DR7 0
  FINISH
count_and_resume:
  orq $FLAG_RF, FRAME64_FLAGS(%rbp)
count_debug:
  incq counter
  ret
.section .bss
.balign 8
counter: .skip 8
stepped: .skip 8
.balign 16
.skip 8
variable: .skip 24
buffer: .skip 16
