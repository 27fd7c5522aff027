# Tests: that no address leads out of the guest: wild pointers over the whole 64-bit range in every form of access, accesses that
# cross into an absent page, bit strings with huge indexes, 32-bit addresses, stack pointers anywhere, jumps into the middle of
# instructions.
# Specification: SDM 1 §3.3.7.1, SDM 2A "BT", SDM 3A §6.15.
# Expected:
#   wild pointers
#   the stack anywhere
#   branches anywhere
#   32-bit addresses
#   accesses across pages
#   the middle of instructions
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"

# `code` touches the address in RBX; R13 is the vector that has to come.
.macro FORM name, code
  TRY
  \code
77: movq $0, resume_at
  EXPECT_EQ seen_vector, %r13, "\name"
.endm
# The same with RSP at the address; R14 is the vector.
.macro STACK_FORM name, code
  TRY
  mov %rbx, %rsp
  \code
77: movq $0, resume_at
  mov %r12, %rsp
  EXPECT_EQ seen_vector, %r14, "\name"
.endm

PROGRAM
  ENTER_LONG
  mov %cr4, %rax
  or $CR4_OSXSAVE, %rax
  mov %rax, %cr4
  xor %ecx, %ecx
  xor %edx, %edx
  mov $7, %eax
  xsetbv
  movb $1, idt64 + VECTOR_SS * 16 + 4
  movb $1, idt64 + VECTOR_GP * 16 + 4
  movb $1, idt64 + VECTOR_PF * 16 + 4
  mov %rsp, %r12
  movq $0x5A5A5A5A, FRAME + 0x3000

  CASE "wild pointers"
  mov $addresses, %r15
next_address:
  mov (%r15), %rbx
  mov 8(%r15), %r13
  mov 16(%r15), %r14
  xor %edx, %edx
  xor %eax, %eax
  FORM "MOV reads", "mov (%rbx), %rax"
  FORM "MOV writes", "mov %rax, (%rbx)"
  FORM "MOV writes a byte", "movb $1, (%rbx)"
  FORM "MOV of AH", "mov %ah, (%rbx)"
  FORM "a base and an index", "mov (%rdx, %rbx), %eax"
  FORM "a displacement", "lea -0x1230(%rbx), %rcx; mov 0x1230(%rcx), %eax"
  FORM "a scaled index", "mov %rbx, %rcx; sar $3, %rcx; mov (%rdx, %rcx, 8), %rax"
  FORM "R9 and R10 as address", "mov %rbx, %r9; xor %r10d, %r10d; mov (%r9, %r10, 2), %r11"
  FORM "an addition", "addl $1, (%rbx)"
  FORM "XCHG", "xchg %rax, (%rbx)"
  FORM "LOCK XADD", "lock xadd %rax, (%rbx)"
  FORM "CMPXCHG8B", "cmpxchg8b (%rbx)"
  FORM "LOCK CMPXCHG16B", "lock cmpxchg16b (%rbx)"
  FORM "SHLD", "shld $3, %rax, (%rbx)"
  FORM "DIV", "mov $1, %eax; divl (%rbx)"
  FORM "a bit string read", "mov $FRAME, %edx; mov %rbx, %rcx; sub %rdx, %rcx; shl $3, %rcx; bt %rcx, (%rdx)"
  FORM "a bit string written", "mov $FRAME, %edx; mov %rbx, %rcx; sub %rdx, %rcx; shl $3, %rcx; lock btc %rcx, (%rdx)"
  xor %edx, %edx
  FORM "MOVUPS reads", "movups (%rbx), %xmm0"
  FORM "MOVAPS writes", "movaps %xmm0, (%rbx)"
  FORM "MOVNTI", "movnti %rax, (%rbx)"
  FORM "VMOVDQU reads 32 bytes", "vmovdqu (%rbx), %ymm0"
  FORM "VMOVDQU writes 32 bytes", "vmovdqu %ymm0, (%rbx)"
  FORM "a packed operand", "paddb (%rbx), %xmm0"
  FORM "MASKMOVDQU", "pcmpeqb %xmm1, %xmm1; mov %rbx, %rdi; maskmovdqu %xmm1, %xmm0"
  FORM "VMASKMOVPS", "vpcmpeqb %ymm1, %ymm1, %ymm1; vmaskmovps (%rbx), %ymm1, %ymm2"
  FORM "VPGATHERDD", "vpcmpeqb %ymm1, %ymm1, %ymm1; vpxor %ymm3, %ymm3, %ymm3; vpgatherdd %ymm1, (%rbx, %ymm3), %ymm2"
  FORM "VPGATHERQQ by index", "vpcmpeqb %ymm1, %ymm1, %ymm1; vmovq %rbx, %xmm3; vpbroadcastq %xmm3, %ymm3; vpgatherqq %ymm1, (%rdx, %ymm3), %ymm2"
  FORM "LDMXCSR", "ldmxcsr (%rbx)"
  FORM "STMXCSR", "stmxcsr (%rbx)"
  FORM "FXSAVE", "fxsave (%rbx)"
  FORM "FXRSTOR", "fxrstor (%rbx)"
  FORM "FLD of ten bytes", "fldt (%rbx)"
  FORM "FNSTENV", "fnstenv (%rbx)"
  fninit
  FORM "SGDT", "sgdt (%rbx)"
  FORM "MOVSB from there", "mov %rbx, %rsi; mov $FRAME, %edi; movsb"
  FORM "REP MOVSQ to there", "mov $FRAME, %esi; mov %rbx, %rdi; mov $1000, %ecx; rep movsq"
  FORM "REP STOSB", "mov %rbx, %rdi; mov $-1, %rcx; rep stosb"
  FORM "REPE CMPSB", "mov %rbx, %rsi; mov $FRAME, %edi; mov $9, %ecx; repe cmpsb"
  FORM "REPNE SCASW", "mov %rbx, %rdi; mov $9, %ecx; repne scasw"
  FORM "LODSL", "mov %rbx, %rsi; lodsl"
  FORM "XLAT", "xor %eax, %eax; xlat"
  FORM "PUSH of memory", "pushq (%rbx)"
  mov %r12, %rsp
  FORM "POP to memory", "push %rax; popq (%rbx)"
  mov %r12, %rsp
  FORM "CALL by memory", "call *(%rbx)"
  FORM "JMP by memory", "jmp *(%rbx)"
  mov $7, %eax
  xor %edx, %edx
  FORM "XSAVE of everything", "xsave (%rbx)"
  mov $4, %eax
  FORM "XSAVE of the upper halves", "xsave (%rbx)"
  mov $7, %eax
  FORM "XRSTOR", "xrstor (%rbx)"
  xchg %r13, %r14
  FORM "RBP", "mov %rbx, %rbp; mov (%rbp), %rax"
  FORM "RBP with an index", "mov %rbx, %rbp; xor %edx, %edx; mov %eax, (%rbp, %rdx, 4)"
  xchg %r13, %r14
  FORM "PREFETCH and NOP", "prefetcht0 (%rbx); nopl (%rbx); mov (%rbx), %al"
  add $24, %r15
  cmp $addresses_end, %r15
  jb next_address

  CASE "the stack anywhere"
  mov $addresses, %r15
next_stack:
  mov (%r15), %rbx
  mov 16(%r15), %r14
  STACK_FORM "PUSH", "lea 8(%rsp), %rsp; push %rax"
  STACK_FORM "pushes one after another", "lea 32(%rsp), %rsp; push %rax; push %rcx; push $5; push %r9"
  STACK_FORM "POP", "pop %rax"
  STACK_FORM "pops one after another", "pop %rax; pop %r9; pop %rcx"
  STACK_FORM "PUSHF", "lea 8(%rsp), %rsp; pushfq"
  STACK_FORM "POPF", "popfq"
  STACK_FORM "CALL", "lea 8(%rsp), %rsp; call next_stack"
  STACK_FORM "RET", "ret"
  STACK_FORM "RET with a number", "ret $0x7FF8"
  STACK_FORM "IRETQ", "iretq"
  STACK_FORM "LEAVE", "mov %rsp, %rbp; leave"
  STACK_FORM "ENTER", "lea 8(%rsp), %rsp; enter $16, $0"
  # What does not use the stack does not mind it.
  TRY
  mov %rbx, %rsp
  mov %rbx, %r13
  mov $1, %eax
  xor %ecx, %ecx
  cpuid
  mov $FRAME, %edi
  mov $20, %ecx
  rep stosb
  fninit
  fld1
  fstpt FRAME
  mov $7, %eax
  cltd
  mov $2, %ecx
  div %ecx
  lea 8(%rsp), %rax
  sub %r13, %rax
  mov $3, %ecx
1: loop 1b
77: movq $0, resume_at
  mov %r12, %rsp
  EXPECT_EQ seen_vector, $NONE, "no use of the stack"
  EXPECT_EQ %rax, $8, "RSP is whatever it was"
  add $24, %r15
  cmp $addresses_end, %r15
  jb next_stack

  CASE "branches anywhere"
  mov $addresses, %r15
next_branch:
  mov (%r15), %rbx
  mov 8(%r15), %r13
  FORM "JMP", "jmp *%rbx"
  FORM "CALL", "call *%rbx"
  FORM "RET", "push %rbx; ret"
  mov %r12, %rsp
  FORM "a jump taken twice", "mov $2, %ecx; 1: mov $1b, %rax; dec %ecx; cmovz %rbx, %rax; jmp *%rax"
  add $24, %r15
  cmp $addresses_end, %r15
  jb next_branch

  CASE "32-bit addresses"
  mov $0xFFFFFFFF00000000 + FRAME + 0x3000, %rbx
  mov $NONE, %r13
  FORM "a base", "mov (%ebx), %rax"
  EXPECT_EQ %rax, $0x5A5A5A5A, "what it reads"
  mov $0xFFFFFFFF, %ecx
  FORM "a sum that wraps", "mov 1(%ebx, %ecx), %rax"
  EXPECT_EQ %rax, $0x5A5A5A5A, "what the sum reads"
  mov $FRAME, %edi
  bts $63, %rdi
  mov $0x100000002, %rcx
  FORM "REP STOSL", "addr32 rep stosl"
  EXPECT_EQ %rcx, $0, "RCX"
  mov $0x123400000000 + FRAME + 0x3000, %rsi
  FORM "LODSQ", "addr32 lodsq"
  EXPECT_EQ %rax, $0x5A5A5A5A, "what LODSQ reads"

  CASE "accesses across pages"
  movl $0, WINDOW_PT + 8 * 1
  mov $WINDOW, %rbx
  invlpg 0x1000(%rbx)
  mov $VECTOR_PF, %r13
  mov $0x11223344, %eax
  .irp edge, 1, 2, 3, 5, 7
  movq $0, FRAME + 0xFF8
  FORM "a write", "mov %rax, 0x1000 - \edge(%rbx)"
  FORM "an exchange", "xchg %rax, 0x1000 - \edge(%rbx)"
  FORM "a vector", "vmovdqu %ymm0, 0x1000 - \edge(%rbx)"
  FORM "an addition", "addq $1, 0x1000 - \edge(%rbx)"
  FORM "a push", "lea 0x1008 - \edge(%rbx), %rsp; push %rax"
  mov %r12, %rsp
  EXPECT_EQ FRAME+0xFF8, $0, "nothing is written"
  lea 0x1000(%rbx), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  .endr
  .irp size, 0x200, 0x240, 0x280, 0x300
  mov $7, %eax
  xor %edx, %edx
  FORM "XSAVE", "xsave (0x1000 - \size) & ~63(%rbx)"
  .endr
  FORM "FXSAVE", "fxsave 0xE10(%rbx)"
  FORM "a bit string", "mov $8 * 0x1000, %ecx; bts %rcx, (%rbx)"
  FORM "a negative bit string", "lea 0x2000(%rbx), %rdx; mov $-1, %rcx; btr %rcx, (%rdx)"

  CASE "the middle of instructions"
  mov $3, %r14d
again:
  # MOV EAX, 0xC3C0FF48; from its second byte INC RAX, RET.
  mov $10, %eax
  mov $overlapped + 1, %rcx
  call *%rcx
  EXPECT_EQ %rax, $11, "INC inside MOV"
  call overlapped
  mov $0xC3C0FF48, %ecx
  EXPECT_EQ %rax, %rcx, "the MOV itself"
  # JMP to its own second byte, from where it is INC EAX.
  mov $20, %eax
  .byte 0xEB, 0xFF, 0xC0
  EXPECT_EQ %rax, $21, "a jump into itself"
  dec %r14d
  jnz again
  FINISH

overlapped:
  .byte 0xB8, 0x48, 0xFF, 0xC0, 0xC3
  ret

.section .rodata
.balign 8
# Address, vector of data and branches, vector of the stack.
addresses:
.irp address, 0x100000000, 0x555555554000, 0x7F0000000000, 0x7FFFF7DD0000, 0x7FFFFFFFE000, 0x7FFFFFFFF000, 0xFFFF800000000000
  .quad \address, VECTOR_PF, VECTOR_PF
.endr
.irp address, 0xFFFF888000000000, 0xFFFFFFFF80000000, 0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFFFC0
  .quad \address, VECTOR_PF, VECTOR_PF
.endr
.irp address, 0x800000000000, 0x1000000000000, 0x123456789ABCDC0, 0xFFF000000000000, 0xFFFF7FFFFFFFFFC0, 0xF000000000000000
  .quad \address, VECTOR_GP, VECTOR_SS
.endr
addresses_end:
