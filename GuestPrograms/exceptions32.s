# Tests: every exception that 32-bit code can raise, with its error code and return address.
# Specification: SDM 3A §6.15.
# Expected:
#   #DE
#   #BP, #OF
#   #BR
#   #UD
#   #NM
#   #GP
#   #MF
#   #XM
#   #AC
#   privileged instructions in ring 3
#   pass
.include "program.inc"
.include "protected.inc"
PROGRAM
  CASE "#DE"
  xor %edx, %edx
  mov $1, %eax
  xor %ecx, %ecx
  TRY
  div %ecx
  CAUGHT VECTOR_DE, 0, "DIV by 0"
  mov $2, %edx
  mov $2, %ecx
  TRY
  div %ecx
  CAUGHT VECTOR_DE, 0, "quotient too large"
  EXPECT_EQ %edx, $2, "EDX stays"
  mov $0x80000000, %eax
  cltd
  mov $-1, %ecx
  TRY
  idiv %ecx
  CAUGHT VECTOR_DE, 0, "IDIV overflow"
  mov $0x8000, %eax
  mov $0xFF, %ecx
  TRY
  idiv %cl
  CAUGHT VECTOR_DE, 0, "IDIV of bytes"
  TRY
  aam $0
  CAUGHT VECTOR_DE, 0, "AAM 0"
  CASE "#BP, #OF"
  TRY
  int3
  CAUGHT VECTOR_BP, 0, "INT3", at=76b+1
  TRY
  mov $0x7F, %al
  inc %al
6: into
  CAUGHT VECTOR_OF, 0, "INTO", at=6b+1
  CASE "#BR"
  mov $10, %eax
  TRY
  bound %eax, bounds
  CAUGHT NONE, 0, "the upper bound"
  mov $11, %eax
  TRY
  bound %eax, bounds
  CAUGHT VECTOR_BR, 0, "beyond the upper bound"
  mov $-6, %eax
  TRY
  bound %eax, bounds
  CAUGHT VECTOR_BR, 0, "below the lower bound"
  CASE "#UD"
  TRY
  ud2
  CAUGHT VECTOR_UD, 0, "UD2"
  TRY
  .byte 0x0F, 0xB9, 0xC0
  CAUGHT VECTOR_UD, 0, "UD1"
  TRY
  .byte 0x0F, 0xFF, 0xC0
  CAUGHT VECTOR_UD, 0, "UD0"
  TRY
  .byte 0xF0, 0x01, 0xC0      # lock add %eax, %eax
  CAUGHT VECTOR_UD, 0, "LOCK with a register destination"
  TRY
  .byte 0xF0, 0x8B, 0x00      # lock mov (%eax), %eax
  CAUGHT VECTOR_UD, 0, "LOCK MOV"
  TRY
  .byte 0xF0, 0x90
  CAUGHT VECTOR_UD, 0, "LOCK NOP"
  TRY
  .byte 0xF0, 0x39, 0x05
  .long scratch
  CAUGHT VECTOR_UD, 0, "LOCK CMP"
  TRY
  lock incl scratch
  CAUGHT NONE, 0, "LOCK INC of memory"
  TRY
  lock xchg %eax, scratch
  CAUGHT NONE, 0, "LOCK XCHG of memory"
  TRY
  .byte 0x0F, 0xC7, 0xC8      # cmpxchg8b %eax
  CAUGHT VECTOR_UD, 0, "CMPXCHG8B with a register"
  TRY
  .byte 0x0F, 0x20, 0xC8      # mov %cr1, %eax
  CAUGHT VECTOR_UD, 0, "MOV from CR1"
  TRY
  .byte 0x0F, 0x22, 0xE8      # mov %eax, %cr5
  CAUGHT VECTOR_UD, 0, "MOV to CR5"
  TRY
  .byte 0x0F, 0x07
  CAUGHT VECTOR_UD, 0, "SYSRET outside long mode"
  TRY
  .byte 0x0F, 0x01, 0xF8
  CAUGHT VECTOR_UD, 0, "SWAPGS outside long mode"
  TRY
  .byte 0x0F, 0x01, 0xD0
  CAUGHT VECTOR_UD, 0, "XGETBV without OSXSAVE"
  TRY
  movaps %xmm0, %xmm1
  CAUGHT VECTOR_UD, 0, "SSE without OSFXSR"
  CASE "#NM"
  mov %cr0, %eax
  or $CR0_TS | CR0_MP, %eax
  mov %eax, %cr0
  TRY
  fnop
  CAUGHT VECTOR_NM, 0, "x87 with TS"
  TRY
  fwait
  CAUGHT VECTOR_NM, 0, "FWAIT with TS and MP"
  TRY
  movd %mm0, %eax
  CAUGHT VECTOR_NM, 0, "MMX with TS"
  mov %cr4, %eax
  or $CR4_OSFXSR | CR4_OSXMMEXCPT, %eax
  mov %eax, %cr4
  TRY
  movaps %xmm0, %xmm1
  CAUGHT VECTOR_NM, 0, "SSE with TS"
  TRY
  fxsave save_area
  CAUGHT VECTOR_NM, 0, "FXSAVE with TS"
  mov %cr0, %eax
  and $~CR0_MP, %eax
  mov %eax, %cr0
  TRY
  fwait
  CAUGHT NONE, 0, "FWAIT with TS without MP"
  TRY
  clts
  fnop
  CAUGHT NONE, 0, "x87 after CLTS"
  mov %cr0, %eax
  or $CR0_EM, %eax
  mov %eax, %cr0
  TRY
  fnop
  CAUGHT VECTOR_NM, 0, "x87 with EM"
  TRY
  movaps %xmm0, %xmm1
  CAUGHT VECTOR_UD, 0, "SSE with EM"
  TRY
  movd %mm0, %eax
  CAUGHT VECTOR_UD, 0, "MMX with EM"
  mov %cr0, %eax
  and $~CR0_EM, %eax
  or $CR0_MP, %eax
  mov %eax, %cr0
  CASE "#GP"
  mov $0xDEADBEE0, %ecx
  TRY
  rdmsr
  CAUGHT VECTOR_GP, 0, "RDMSR of an unknown register"
  TRY
  wrmsr
  CAUGHT VECTOR_GP, 0, "WRMSR of an unknown register"
  TRY
  fxsave save_area + 8
  CAUGHT VECTOR_GP, 0, "FXSAVE off its alignment"
  TRY
  movaps save_area + 8, %xmm0
  CAUGHT VECTOR_GP, 0, "MOVAPS off its alignment"
  TRY
  .fill 14, 1, 0x66
  nop
  CAUGHT NONE, 0, "15 bytes are an instruction"
  TRY
  .fill 15, 1, 0x66
  nop
  CAUGHT VECTOR_GP, 0, "16 bytes are none"
  CASE "#MF"
  fninit
  fldcw unmasked
  fld1
  fldz
  fdivrp
  TRY
  fwait
  CAUGHT VECTOR_MF, 0, "FWAIT after an unmasked division by 0"
  TRY
  fld1
  CAUGHT VECTOR_MF, 0, "the next x87 instruction"
  TRY
  fnclex
  fwait
  CAUGHT NONE, 0, "after FNCLEX"
  fninit
  CASE "#XM"
  ldmxcsr sse_unmasked
  movss one, %xmm0
  xorps %xmm1, %xmm1
  TRY
  divss %xmm1, %xmm0
  CAUGHT VECTOR_XM, 0, "SSE division by 0"
  movss %xmm0, scratch
  EXPECT_EQ scratch, $0x3F800000, "the destination stays"
  mov %cr4, %eax
  and $~CR4_OSXMMEXCPT, %eax
  mov %eax, %cr4
  TRY
  divss %xmm1, %xmm0
  CAUGHT VECTOR_UD, 0, "SSE division by 0 without OSXMMEXCPT"
  TRY
  ldmxcsr sse_reserved
  CAUGHT VECTOR_GP, 0, "reserved bit of MXCSR"
  CASE "#AC"
  mov %cr0, %eax
  or $CR0_AM, %eax
  mov %eax, %cr0
  TRY
  ENTER_USER32 user_misaligned, 0x40002
  CAUGHT VECTOR_AC, 0, "read off its alignment in ring 3", at=user_misaligned
  TRY
  ENTER_USER32 user_misaligned_push, 0x40002
  CAUGHT VECTOR_AC, 0, "push off its alignment in ring 3", at=user_push
  TRY
  ENTER_USER32 user_misaligned
  CAUGHT LEAVE, 0, "without AC", at=user_misaligned_end
  push $0x40002
  popf
  TRY
  mov scratch + 1, %eax
  CAUGHT NONE, 0, "in ring 0"
  push $2
  popf
  CASE "privileged instructions in ring 3"
.irp instruction, hlt, clts, wbinvd, invd, rdmsr, wrmsr, cli, sti, "mov %cr0, %eax", "mov %eax, %cr3", "mov %dr0, %eax", "lmsw %ax", "invlpg scratch", "in $0x80, %al", "out %al, $0x80"
  TRY
  ENTER_USER32 8f
  jmp 9f
8: \instruction
9:
  CAUGHT VECTOR_GP, 0, "\instruction", at=8b
.endr
  FINISH
user_misaligned: mov scratch + 1, %eax
  int $LEAVE
user_misaligned_end:
user_misaligned_push:
  dec %esp
user_push: push %eax
.data
.balign 4
bounds: .long -5, 10
scratch: .quad 0, 0
unmasked: .word 0x037B
one: .float 1.0
sse_unmasked: .long 0x1D80
sse_reserved: .long 0x10000
.section .bss
.balign 16
save_area: .skip 528
