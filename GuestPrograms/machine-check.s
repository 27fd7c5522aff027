# Tests: what there is of the machine-check architecture: CPUID, CR4.MCE, the registers that IA32_MCG_CAP announces, and vector 18 by
# INT. No event of this machine raises #MC (Docs/interpreter.md says why).
# Specification: SDM 3B §15.3, §15.10.1; SDM 4 table 2-2; SDM 3A §6.15 "Interrupt 18".
# Expected:
#   CPUID and CR4
#   global registers
#   banks
#   vector 18
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set MCG_CAP, 0x179
.set MCG_STATUS, 0x17A
.set MCG_CTL, 0x17B
PROGRAM
  ENTER_LONG
  CASE "CPUID and CR4"
  mov $1, %eax
  xor %ecx, %ecx
  cpuid
  and $0x4080, %edx
  EXPECT_EQ %rdx, $0x4080, "MCE and MCA"
  mov %cr4, %rax
  or $0x40, %eax
  TRY
  mov %rax, %cr4
  CAUGHT NONE, 0, "CR4.MCE"
  CASE "global registers"
  TRY
  READ_MSR MCG_CAP
  CAUGHT NONE, 0, "IA32_MCG_CAP"
  mov %rax, %r12
  TRY
  READ_MSR MCG_STATUS
  CAUGHT NONE, 0, "IA32_MCG_STATUS"
  EXPECT_EQ %rax, $0, "no machine check is in progress"
  WRITE_MSR MCG_STATUS, $4
  READ_MSR MCG_STATUS
  EXPECT_EQ %rax, $4, "MCIP can be set"
  WRITE_MSR MCG_STATUS, $0
  TRY
  mov $MCG_CTL, %ecx
  rdmsr
77: movq $0, resume_at
  xor %eax, %eax
  cmpq $NONE, seen_vector
  sete %al
  bt $8, %r12
  setc %cl
  movzbl %cl, %ecx
  EXPECT_EQ %rax, %rcx, "IA32_MCG_CTL exists if MCG_CTL_P says so"
  CASE "banks"
  movzbl %r12b, %r13d
  mov $0x401, %ebx               # IA32_MC0_STATUS
1: test %r13d, %r13d
  jz 2f
  TRY
  mov %ebx, %ecx
  rdmsr
  CAUGHT NONE, 0, "the status of a bank"
  add $4, %ebx
  dec %r13d
  jmp 1b
2: CASE "vector 18"
  mov %rsp, %r12
  TRY
  int $18
7: CAUGHT 18, 0, "INT 18", at=7b
  EXPECT_EQ seen_rsp, %r12, "RSP in the frame"
  FINISH
