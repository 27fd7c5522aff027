# Tests: what MOV to CR0, CR3, CR4 and WRMSR refuse with #GP, LMSW, and the bits that stay.
# Specification: SDM 3A §2.5, SDM 2B "MOV—Move to/from Control Registers", SDM 2A "LMSW", SDM 4 chapter 2.
# Expected:
#   CR4
#   LMSW
#   EFER and other model-specific registers
#   CR0
#   pass
.include "program.inc"
.include "protected.inc"
PROGRAM
  CASE "CR4"
  TRY
  mov %cr4, %eax
  or $0x80000000, %eax
6: mov %eax, %cr4
  CAUGHT VECTOR_GP, 0, "reserved bit of CR4", at=6b
  TRY
  mov %cr4, %eax
  or $CR4_PCIDE, %eax
6: mov %eax, %cr4
  CAUGHT VECTOR_GP, 0, "PCIDE outside long mode", at=6b
  TRY
  mov %cr4, %eax
  or $CR4_PGE | CR4_PSE | CR4_TSD | CR4_DE | CR4_VME, %eax
  mov %eax, %cr4
  CAUGHT NONE, 0, "known bits of CR4"
  mov %cr4, %ebx
  EXPECT_EQ %ebx, %eax, "CR4 as written"
  CASE "LMSW"
  mov $CR0_PE | CR0_TS | CR0_MP, %eax
  lmsw %ax
  mov %cr0, %ebx
  and $0xF, %ebx
  EXPECT_EQ %ebx, $CR0_PE | CR0_TS | CR0_MP, "LMSW sets MP and TS"
  xor %eax, %eax
  lmsw %ax
  mov %cr0, %ebx
  and $0xF, %ebx
  EXPECT_EQ %ebx, $CR0_PE, "LMSW never clears PE"
  smsw %ebx
  and $0xF, %ebx
  EXPECT_EQ %ebx, $CR0_PE, "SMSW"
  mov $0xFFFF, %eax
  lmsw %ax
  clts
  mov %cr0, %ebx
  and $0x1F, %ebx
  EXPECT_EQ %ebx, $0x17, "CLTS clears TS alone, ET stays 1"
  xor %eax, %eax
  lmsw %ax
  CASE "EFER and other model-specific registers"
  mov $MSR_EFER, %ecx
  rdmsr
  or $2, %eax
  TRY
  wrmsr
  CAUGHT VECTOR_GP, 0, "reserved bit of EFER"
  mov $0x1B, %ecx
  rdmsr
  mov $-1, %edx
  TRY
  wrmsr
  CAUGHT VECTOR_GP, 0, "reserved bits of IA32_APIC_BASE"
  mov $0x277, %ecx
  mov $0x02020202, %eax
  mov %eax, %edx
  TRY
  wrmsr
  CAUGHT VECTOR_GP, 0, "reserved memory type in IA32_PAT"
  mov $0x10, %ecx
  rdmsr
  mov %eax, %esi
  mov %edx, %edi
  rdtsc
  sub %esi, %eax
  sbb %edi, %edx
  EXPECT_EQ %edx, $0, "RDTSC runs on from IA32_TIME_STAMP_COUNTER"
  mov $0x174, %ecx
  mov $0x1234, %eax
  xor %edx, %edx
  wrmsr
  xor %eax, %eax
  rdmsr
  EXPECT_EQ %eax, $0x1234, "IA32_SYSENTER_CS keeps its value"
  CASE "CR0"
  TRY
  mov %cr0, %eax
  and $~CR0_PE, %eax
  or $CR0_PG, %eax
6: mov %eax, %cr0
  CAUGHT VECTOR_GP, 0, "PG without PE", at=6b
  TRY
  mov %cr0, %eax
  or $CR0_NW, %eax
  and $~CR0_CD, %eax
6: mov %eax, %cr0
  CAUGHT VECTOR_GP, 0, "NW without CD", at=6b
  FINISH
