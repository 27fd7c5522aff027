# Tests: OSXSAVE, XSETBV and XGETBV with their refusals, XSAVE and XRSTOR faults and init optimisation, AVX gated by XCR0.
# Specification: SDM 1 chapter 13, SDM 2C "XSAVE", "XRSTOR", "XSETBV".
# Expected:
#   without CR4.OSXSAVE
#   XSETBV
#   XSAVE and XRSTOR
#   CR0.TS
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro XCR0 value, high=0
  xor %ecx, %ecx
  mov $\high, %edx
  mov $\value, %eax
.endm
PROGRAM
  REQUIRE_CPUID 1, ecx, 26, "XSAVE"
  REQUIRE_CPUID 1, ecx, 28, "AVX"
  ENTER_LONG
  CASE "without CR4.OSXSAVE"
  mov $1, %eax
  cpuid
  bt $27, %ecx
  setc %cl
  movzbl %cl, %ecx
  EXPECT_EQ %rcx, $0, "CPUID.OSXSAVE"
  XCR0 1
  TRY
  xsetbv
  CAUGHT VECTOR_UD, 0, "XSETBV"
  TRY
  xsave area
  CAUGHT VECTOR_UD, 0, "XSAVE"
  TRY
  vmovaps %ymm0, %ymm1
  CAUGHT VECTOR_UD, 0, "AVX"
  mov %cr4, %rax
  or $CR4_OSXSAVE, %eax
  mov %rax, %cr4
  mov $1, %eax
  cpuid
  bt $27, %ecx
  setc %cl
  movzbl %cl, %ecx
  EXPECT_EQ %rcx, $1, "CPUID.OSXSAVE with CR4.OSXSAVE"
  CASE "XSETBV"
  xor %ecx, %ecx
  xgetbv
  EXPECT_EQ %rax, $1, "XCR0 at the start"
  TRY
  vmovaps %ymm0, %ymm1
  CAUGHT VECTOR_UD, 0, "AVX without XCR0.AVX"
.irp value, 0, 2, 5, 0x80000001
  XCR0 \value
  TRY
  xsetbv
  CAUGHT VECTOR_GP, 0, "XCR0 = \value"
.endr
  XCR0 1, 1
  TRY
  xsetbv
  CAUGHT VECTOR_GP, 0, "bit 32 of XCR0"
  XCR0 1
  mov $1, %ecx
  TRY
  xsetbv
  CAUGHT VECTOR_GP, 0, "XCR1"
  TRY
  ENTER_USER64 user_xsetbv
  CAUGHT VECTOR_GP, 0, "ring 3", at=user_xsetbv
  XCR0 7
  TRY
  xsetbv
  CAUGHT NONE, 0, "x87, SSE and AVX"
  TRY
  vmovaps %ymm0, %ymm1
  CAUGHT NONE, 0, "AVX"
  CASE "XSAVE and XRSTOR"
  mov $7, %eax
  xor %edx, %edx
  TRY
  xsave area + 8
  CAUGHT VECTOR_GP, 0, "XSAVE off its alignment"
  TRY
  xrstor area + 32
  CAUGHT VECTOR_GP, 0, "XRSTOR off its alignment"
  TRY
  .byte 0xF0, 0x0F, 0xAE, 0x24, 0x25      # lock xsave area
  .long area
  CAUGHT VECTOR_UD, 0, "LOCK XSAVE"
  vpcmpeqd %ymm3, %ymm3, %ymm3
  xsave area
  vzeroall
  xrstor area
  vextracti128 $1, %ymm3, %xmm4
  movq %xmm4, %rcx
  EXPECT_EQ %rcx, $-1, "the upper half of YMM3 is back"
  movq $3, area + 512
  xrstor area
  vextracti128 $1, %ymm3, %xmm4
  movq %xmm4, %rcx
  EXPECT_EQ %rcx, $0, "a clear bit in XSTATE_BV initialises"
  movq $8, area + 512
  TRY
  xrstor area
  CAUGHT VECTOR_GP, 0, "a bit of XSTATE_BV that XCR0 has not"
  movq $7, area + 512
  movq $1, area + 528
  TRY
  xrstor area
  CAUGHT VECTOR_GP, 0, "reserved bytes of the header"
  movq $0, area + 528
  movl $0x10000, area + 24
  TRY
  xrstor area
  CAUGHT VECTOR_GP, 0, "reserved bits of MXCSR"
  CASE "CR0.TS"
  mov %cr0, %rax
  or $CR0_TS, %eax
  mov %rax, %cr0
  TRY
  vmovaps %ymm0, %ymm1
  CAUGHT VECTOR_NM, 0, "AVX"
  TRY
  xsave area
  CAUGHT VECTOR_NM, 0, "XSAVE"
  TRY
  xorps %xmm0, %xmm0
  CAUGHT VECTOR_NM, 0, "SSE"
  FINISH
user_xsetbv: xsetbv
.section .bss
.balign 64
area: .skip 1024
