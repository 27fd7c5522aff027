# Tests: instructions that straddle two pages, many times over: jumps, calls, immediates, memory operands; another second page, a
# changed one, an absent one, one that must not be executed; and operands that straddle two pages, next to each other or not.
# Specification: SDM 3A §4.10, §6.15 "Interrupt 14", §8.1.3.
# Expected:
#   an immediate
#   a jump
#   a call
#   a string instruction
#   pages that are not neighbours in memory
#   a change of either page
#   the second page is missing
#   two second pages by turns
#   reads of two pages
#   alignment
#   writes of two pages
#   faults on either side
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set NX, 0x80000000
.macro ABSENT page
  movl $0, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
.macro MAP page, frame, rights=P+W+U
  movl $FRAME + 0x1000 * \frame + \rights, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
.bss
.balign 16
sixteen: .skip 16
.text
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  CASE "an immediate"
  movl $0x000003B8, FRAME + 0xFFE     # mov $3, %eax; ret
  movw $0xC300, FRAME + 0x1002
  lea 0xFFE(%rbx), %r12
  xor %edx, %edx
  mov $1000, %ecx
1: call *%r12
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $3000, "a thousand times 3"
  CASE "a jump"
  # at 0x1FF8: add $2, %edx; dec %ecx; jnz 0x1FF8 (six bytes from 0x1FFD); ret
  movl $0xFF02C283, FRAME + 0x1FF8
  movl $0xF5850FC9, FRAME + 0x1FFC
  movl $0xC3FFFFFF, FRAME + 0x2000
  lea 0x1FF8(%rbx), %r12
  mov $1000, %ecx
  xor %edx, %edx
  call *%r12
  EXPECT_EQ %rdx, $2000, "a thousand times 2"
  CASE "a call"
  # at 0x2FFE: call 0x3010; ret. at 0x3010: inc %edx; ret
  movl $0x00000DE8, FRAME + 0x2FFE
  movw $0xC300, FRAME + 0x3002
  movl $0xC3C2FF, FRAME + 0x3010
  lea 0x2FFE(%rbx), %r12
  mov $1000, %ecx
  xor %edx, %edx
1: call *%r12
  loop 1b
  EXPECT_EQ %rdx, $1000, "a thousand calls"
  CASE "a string instruction"
  # at 0x3FFF: rep movsb; ret
  movb $0xF3, FRAME + 0x3FFF
  movw $0xC3A4, FRAME + 0x4000
  lea 0x3FFF(%rbx), %r12
  movl $0x12345678, FRAME + 0x5000
  mov $100, %edx
1: lea 0x5000(%rbx), %rsi
  lea 0x5010(%rbx), %rdi
  mov $4, %ecx
  call *%r12
  dec %edx
  jnz 1b
  mov FRAME + 0x5010, %eax
  EXPECT_EQ %rax, $0x12345678, "four bytes"
  CASE "pages that are not neighbours in memory"
  movl $0x000001B8, FRAME + 0x6FFE    # mov $0x...01, %eax; ret
  movw $0xC300, FRAME + 0x9002
  movw $0x5544, FRAME + 0x9000
  MAP 7, 9
  lea 0x6FFE(%rbx), %r12
  call *%r12
  mov $0x00554401, %edx
  EXPECT_EQ %rax, %rdx, "the second page is frame 9"
  CASE "a change of either page"
  mov $200, %ecx
  xor %edx, %edx
1: incb FRAME + 0x9000
  call *%r12
  movzbl %ah, %eax
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $30372, "the second page, 200 times"
  mov $200, %ecx
  xor %edx, %edx
1: incb FRAME + 0x6FFF
  call *%r12
  movzbl %al, %eax
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $20300, "the first page, 200 times"
  CASE "the second page is missing"
  ABSENT 7
  TRY
  call *%r12
  CAUGHT_ANYWHERE VECTOR_PF, 0x10, "absent"
  EXPECT_EQ seen_rip, %r12, "RIP is the instruction's"
  lea 0x7000(%rbx), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2 is the second page"
  MAP 7, 9
  movl $NX, WINDOW_PT + 8 * 7 + 4
  invlpg 0x7000(%rbx)
  TRY
  call *%r12
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "not to be executed"
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  movl $0, WINDOW_PT + 8 * 7 + 4
  invlpg 0x7000(%rbx)
  TRY
  call *%r12
  CAUGHT NONE, 0, "present again"
  # Not there when it is met first.
  movl $0x000007B8, FRAME + 0xAFFE
  movw $0xC300, FRAME + 0xB002
  movw $0, FRAME + 0xB000
  ABSENT 11
  lea 0xAFFE(%rbx), %r13
  mov $3, %ecx
1: TRY
  call *%r13
  CAUGHT_ANYWHERE VECTOR_PF, 0x10, "absent from the start"
  loop 1b
  MAP 11, 11
  call *%r13
  EXPECT_EQ %rax, $7, "there at last"
  mov $300, %ecx
1: call *%r13
  loop 1b
  EXPECT_EQ %rax, $7, "and again"
  CASE "two second pages by turns"
  movw $0x2222, FRAME + 0xC000
  movw $0xC300, FRAME + 0xC002
  movw $0x1111, FRAME + 0x9000
  mov $300, %ecx
  xor %edx, %edx
1: MAP 7, 12
  call *%r12
  shr $8, %eax
  add %eax, %edx
  MAP 7, 9
  call *%r12
  shr $8, %eax
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $3932100, "300 times both"
  mov $300, %ecx
  xor %edx, %edx
  MAP 7, 12
1: call *%r12
  shr $8, %eax
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $2621400, "300 times the other"
  CASE "reads of two pages"
  mov $FRAME + 0x10000, %edi
  mov $0x4000, %ecx
1: mov %cl, -1(%rdi,%rcx)
  loop 1b
  MAP 0x11, 0x13                      # the second page of the operands is frame 0x13
  movq $0, FRAME + 0x13000
  movabs $0x8877665544332211, %rax
  mov %rax, FRAME + 0x13000
  movabs $0x100FFEEDDCCBBAA, %rax
  mov %rax, FRAME + 0x10FF8
  mov 0x10FFC(%rbx), %rax
  movabs $0x443322110100FFEE, %rdx
  EXPECT_EQ %rax, %rdx, "MOV"
  xor %eax, %eax
  add 0x10FFD(%rbx), %eax
  EXPECT_EQ %rax, $0x110100FF, "ADD"
  mov $0x2211, %eax
  cmp 0x10FFF(%rbx), %ax
  setb %cl
  movzbl %cl, %ecx
  EXPECT_EQ %rcx, $0, "CMP"
  movzwl 0x10FFF(%rbx), %r9d
  EXPECT_EQ %r9, $0x1101, "MOVZX"
  mov %rbx, %r9
  mov 0x10FFC(%r9), %r10
  EXPECT_EQ %r10, %rdx, "registers that memory holds"
  pushq 0x10FFC(%rbx)
  pop %rax
  EXPECT_EQ %rax, %rdx, "PUSH"
  movdqu 0x10FFC(%rbx), %xmm1
  movdqu %xmm1, sixteen
  EXPECT_EQ sixteen, %rdx, "MOVDQU"
  movzbl 0x10FFB(%rbx), %eax
  mov sixteen + 8, %rcx
  and $0xFFFFFFFF, %ecx
  mov $0x88776655, %eax
  EXPECT_EQ %rcx, %rax, "MOVDQU, the upper half"
  lea 0x10FFC(%rbx), %rsi
  lodsq
  EXPECT_EQ %rax, %rdx, "LODSQ"
  mov $0, %eax
  btq %rax, 0x10FFE(%rbx)
  setc %al
  EXPECT_EQ %rax, $0, "BT"
  mov %rsp, %rcx
  lea 0x10FFC(%rbx), %rsp
  pop %rax
  pop %rsi
  mov %rsp, %rdi
  mov %rcx, %rsp
  EXPECT_EQ %rax, %rdx, "POP"
  sub %rbx, %rdi
  EXPECT_EQ %rdi, $0x1100C, "RSP"
  CASE "alignment"
  TRY
6: movaps 0x10FF8(%rbx), %xmm0
  CAUGHT VECTOR_GP, 0, "MOVAPS across pages", at=6b
  TRY
6: paddd 0x10FF1(%rbx), %xmm0
  CAUGHT VECTOR_GP, 0, "PADDD across pages", at=6b
  CASE "writes of two pages"
  mov %rdx, 0x10FFB(%rbx)
  mov 0x10FFB(%rbx), %rax
  EXPECT_EQ %rax, %rdx, "MOV"
  incl 0x10FFE(%rbx)
  mov $1, %eax
  xadd %eax, 0x10FFE(%rbx)
  mov 0x10FFE(%rbx), %ecx
  inc %eax
  EXPECT_EQ %rcx, %rax, "XADD"
  lock addl $5, 0x10FFD(%rbx)
  CASE "faults on either side"
  ABSENT 0x11
  mov $0x77, %eax
  TRY
6: mov 0x10FFC(%rbx), %rax
  CAUGHT VECTOR_PF, 0, "the second page", at=6b
  EXPECT_EQ %rax, $0x77, "RAX stays"
  lea 0x11000(%rbx), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  ABSENT 0x10
  TRY
6: mov 0x10FFC(%rbx), %rax
  CAUGHT VECTOR_PF, 0, "both pages", at=6b
  lea 0x10FFC(%rbx), %rdx
  EXPECT_EQ seen_cr2, %rdx, "CR2 is the first"
  MAP 0x11, 0x11
  TRY
6: mov 0x10FFC(%rbx), %rax
  CAUGHT VECTOR_PF, 0, "the first page", at=6b
  FINISH
