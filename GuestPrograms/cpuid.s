# Tests: CPUID against the CPU: features that are absent fault, those that are present work; MONITOR and MWAIT; RDTSCP and RDPID.
# Specification: SDM 2A "CPUID", SDM 2B "MONITOR", "MWAIT", "RDTSCP".
# Expected:
#   leaves
#   MONITOR and MWAIT
#   features and instructions
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
# Expects the instruction that `code` encodes to be #UD where the feature bit is 0, and to run where it is 1.
.macro GOES_WITH leaf, register, bit, name, code:vararg
  mov $\leaf, %eax
  xor %ecx, %ecx
  cpuid
  mov $NONE, %ebp
  mov $VECTOR_UD, %edi
  bt $\bit, %\register
  cmovnc %edi, %ebp
  mov $scratch, %edi
  TRY
  .byte \code
  CAUGHT_ANYWHERE_IN %rbp, "\name"
.endm
.macro CAUGHT_ANYWHERE_IN vector, name
77: movq $0, resume_at
  EXPECT_EQ seen_vector, \vector, "\name"
.endm
PROGRAM
  ENTER_LONG
  CASE "leaves"
  xor %eax, %eax
  cpuid
  mov %ebx, %esi
  mov %edx, %edi
  mov %ecx, %ebp
  mov $0x80000000, %eax
  cpuid
  mov %eax, %ecx
  shr $31, %ecx
  EXPECT_EQ %rcx, $1, "extended leaves"
  mov $1, %eax
  cpuid
  mov %edx, %ecx
  and $0x2000, %ecx
  EXPECT_EQ %rcx, $0x2000, "PGE"
  mov $0x80000001, %eax
  cpuid
  mov %edx, %ecx
  and $0x20100000, %ecx
  EXPECT_EQ %rcx, $0x20100000, "long mode and NX"
  mov $0x80000008, %eax
  cpuid
  movzbl %ah, %ecx
  EXPECT_EQ %rcx, $48, "linear address bits"
  mov $0xFFFFFFFF00000000, %rax
  xor %ecx, %ecx
  cpuid
  mov %rbx, %rcx
  shr $32, %rcx
  EXPECT_EQ %rcx, $0, "upper halves are cleared"
  CASE "MONITOR and MWAIT"
  mov $1, %eax
  cpuid
  bt $3, %ecx
  jc 1f
  TRY
  monitor
  CAUGHT VECTOR_UD, 0, "MONITOR without the feature"
  TRY
  mwait
  CAUGHT VECTOR_UD, 0, "MWAIT without the feature"
  jmp 2f
1: mov $scratch, %eax
  mov $1, %ecx
  TRY
  monitor
  CAUGHT VECTOR_GP, 0, "MONITOR with an extension"
  mov $2, %ecx
  TRY
  mwait
  CAUGHT VECTOR_GP, 0, "MWAIT with an extension"
  TRY
  ENTER_USER64 user_monitor
  CAUGHT VECTOR_UD, 0, "MONITOR in ring 3", at=user_monitor
2:
  CASE "features and instructions"
  GOES_WITH 1, ecx, 23, "POPCNT", 0xF3, 0x0F, 0xB8, 0xC0
  GOES_WITH 1, ecx, 22, "MOVBE", 0x0F, 0x38, 0xF0, 0x07
  GOES_WITH 1, ecx, 30, "RDRAND", 0x0F, 0xC7, 0xF0
  GOES_WITH 7, ebx, 18, "RDSEED", 0x0F, 0xC7, 0xF8
  GOES_WITH 7, ebx, 19, "ADCX", 0x66, 0x0F, 0x38, 0xF6, 0xC0
  GOES_WITH 7, ebx, 29, "SHA1MSG1", 0x0F, 0x38, 0xC9, 0xC0
  GOES_WITH 1, ecx, 25, "AESENC", 0x66, 0x0F, 0x38, 0xDC, 0xC0
  GOES_WITH 1, ecx, 1, "PCLMULQDQ", 0x66, 0x0F, 0x3A, 0x44, 0xC0, 0x00
  GOES_WITH 1, ecx, 20, "CRC32", 0xF2, 0x0F, 0x38, 0xF0, 0xC0
  GOES_WITH 7, ebx, 23, "CLFLUSHOPT", 0x66, 0x0F, 0xAE, 0x3F
  GOES_WITH 7, ebx, 24, "CLWB", 0x66, 0x0F, 0xAE, 0x37
  GOES_WITH 0x80000001, edx, 27, "RDTSCP", 0x0F, 0x01, 0xF9
  GOES_WITH 7, ecx, 22, "RDPID", 0xF3, 0x0F, 0xC7, 0xF8
  GOES_WITH 7, ecx, 8, "GF2P8MULB", 0x66, 0x0F, 0x38, 0xCF, 0xC0
  GOES_WITH 7, edx, 14, "SERIALIZE", 0x0F, 0x01, 0xE8
  FINISH
user_monitor: monitor
.section .bss
.balign 64
scratch: .skip 64
