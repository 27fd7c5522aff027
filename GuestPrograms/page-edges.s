# Tests: instruction fetch and string instructions that meet a page fault: an instruction whose tail is not present, one that
# ends with its page, REP MOVS and STOS half-way, backwards, CMPS, PUSHA-like pushes, and restart after the page came.
# Specification: SDM 3A §6.15 "Interrupt 14", SDM 2B "REP".
# Expected:
#   fetch
#   REP STOS
#   REP MOVS backwards
#   an element across pages
#   REP MOVSB that overlaps
#   REPE CMPS and REPNE SCAS
#   read and write of one operand
#   the stack
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.macro ABSENT page
  movl $0, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
.macro PRESENT page
  movl $FRAME + 0x1000 * \page + P + W + U, WINDOW_PT + 8 * \page
.endm
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  CASE "fetch"
  ABSENT 1
  movb $0xC3, FRAME + 0xFFF
  lea 0xFFF(%rbx), %rcx
  TRY
  call *%rcx
  CAUGHT NONE, 0, "an instruction that ends with its page"
  movb $0x90, FRAME + 0xFFF
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_PF, 0x10, "the next page is not present"
  lea 0x1000(%rbx), %rdx
  EXPECT_EQ seen_rip, %rdx, "RIP is the next page's"
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  movw $0x00B8, FRAME + 0xFFE
  lea 0xFFE(%rbx), %rcx
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_PF, 0x10, "an instruction across the edge"
  EXPECT_EQ seen_rip, %rcx, "RIP is the instruction's"
  EXPECT_EQ seen_cr2, %rdx, "CR2 is the second page"
  movw $0x0B0F, FRAME + 0xFFE
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_UD, 0, "UD2 at the end of a page"
  CASE "REP STOS"
  lea 0xFF0(%rbx), %rdi
  mov $8, %ecx
  mov $-1, %rax
  TRY
6: rep stosq
  CAUGHT VECTOR_PF, 2, "into a page that is not present", at=6b
  EXPECT_EQ %rcx, $6, "RCX"
  lea 0x1000(%rbx), %rdx
  EXPECT_EQ %rdi, %rdx, "RDI"
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  PRESENT 1
  rep stosq
  EXPECT_EQ %rcx, $0, "RCX after the restart"
  mov FRAME + 0x1028, %rax
  EXPECT_EQ %rax, $-1, "the last quadword"
  ABSENT 1
  CASE "REP MOVS backwards"
  std
  lea 0x2008(%rbx), %rsi
  lea 0x3008(%rbx), %rdi
  mov $4, %ecx
  TRY
6: rep movsq
  CAUGHT VECTOR_PF, 0, "from a page that is not present", at=6b
  cld
  EXPECT_EQ %rcx, $2, "RCX"
  lea 0x1FF8(%rbx), %rdx
  EXPECT_EQ %rsi, %rdx, "RSI"
  lea 0x2FF8(%rbx), %rdx
  EXPECT_EQ %rdi, %rdx, "RDI"
  CASE "an element across pages"
  lea 0xFFC(%rbx), %rsi
  lea 0x4000(%rbx), %rdi
  mov $1, %ecx
  movq $0, FRAME + 0x4000
  TRY
6: rep movsq
  CAUGHT VECTOR_PF, 0, "half of it not present", at=6b
  EXPECT_EQ %rcx, $1, "RCX"
  EXPECT_EQ FRAME+0x4000, $0, "nothing is written"
  CASE "REP MOVSB that overlaps"
  movb $0x5A, FRAME + 0x4000
  lea 0x4000(%rbx), %rsi
  lea 0x4001(%rbx), %rdi
  mov $63, %ecx
  rep movsb
  movzbl FRAME + 0x403F, %eax
  EXPECT_EQ %rax, $0x5A, "one byte repeats"
  CASE "REPE CMPS and REPNE SCAS"
  lea 0xFF8(%rbx), %rsi
  lea 0x5FF8(%rbx), %rdi
  mov (%rsi), %rax
  mov %rax, (%rdi)
  mov $16, %ecx
  TRY
6: repe cmpsb
  CAUGHT VECTOR_PF, 0, "CMPS into a page that is not present", at=6b
  EXPECT_EQ %rcx, $8, "RCX"
  xor %ecx, %ecx
  TRY
  mov $WINDOW + 0x1000, %rsi
  rep lodsb
  CAUGHT NONE, 0, "RCX of 0 touches nothing"
  CASE "read and write of one operand"
  movl $FRAME+0x2000+P+U, WINDOW_PT + 8 * 2
  invlpg 0x2000(%rbx)
  movl $7, FRAME + 0x2000
  TRY
  incl 0x2000(%rbx)
  CAUGHT VECTOR_PF, 3, "INC of a read-only page is a write"
  TRY
  btsl $0, 0x2000(%rbx)
  CAUGHT VECTOR_PF, 3, "BTS that changes nothing"
  mov $7, %eax
  TRY
  xchg %eax, 0x2000(%rbx)
  CAUGHT VECTOR_PF, 3, "XCHG"
  EXPECT_EQ %rax, $7, "EAX stays"
  CASE "the stack"
  ABSENT 1
  lea 0x2000(%rbx), %rcx
  movb $1, idt64 + VECTOR_PF * 16 + 4
  TRY
  mov %rcx, %rsp
  mov $2f, %eax
6: call *%rax
2:
  CAUGHT VECTOR_PF, 2, "CALL onto a page that is not present", at=6b
  EXPECT_EQ seen_rsp, %rcx, "RSP stays"
  TRY
  lea 0x1004(%rbx), %rsp
6: push %rax
  CAUGHT VECTOR_PF, 2, "PUSH across pages", at=6b
  PRESENT 2
  invlpg 0x2000(%rbx)
  TRY
  lea 0x3000(%rbx), %rsp
  mov %rsp, %rbp
6: enter $0x1800, $0
  CAUGHT VECTOR_PF, 2, "ENTER whose new stack is not writable", at=6b
  lea 0x3000(%rbx), %rcx
  EXPECT_EQ seen_rsp, %rcx, "RSP after ENTER"
  FINISH
