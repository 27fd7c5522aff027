# Tests: code that changes itself: ahead in the same block, in the same page, through a second linear address, an instruction
# that crosses pages, through a changed page table, by REP MOVSB, and 100 times over.
# Specification: SDM 3A §8.1.3, §11.6.
# Expected:
#   ahead in the same block
#   in the same page
#   a loop that changes itself
#   through a second address
#   an instruction across pages
#   another mapping
#   string instructions
#   a locked change
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  CASE "ahead in the same block"
  movb $0x22, 7f + 1
7: mov $0x11, %al
  movzbl %al, %eax
  EXPECT_EQ %rax, $0x22, "the next instruction"
  CASE "in the same page"
  call changed
  EXPECT_EQ %rax, $1, "before"
  movl $2, changed + 1
  call changed
  EXPECT_EQ %rax, $2, "after"
  CASE "a loop that changes itself"
  xor %edx, %edx
  mov $100, %ecx
1: incl changed + 1
  call changed
  add %eax, %edx
  loop 1b
  EXPECT_EQ %rdx, $5250, "the sum of 3 to 102"
  CASE "through a second address"
  movl $0x000001B8, FRAME          # mov $1, %eax; ret
  movw $0xC300, FRAME + 4
  call *%rbx
  EXPECT_EQ %rax, $1, "before"
  movb $7, FRAME + 1
  call *%rbx
  EXPECT_EQ %rax, $7, "after a write to the other address"
  movb $9, 1(%rbx)
  mov $FRAME, %ecx
  call *%rcx
  EXPECT_EQ %rax, $9, "and the other way round"
  CASE "an instruction across pages"
  lea 0x1FFE(%rbx), %rcx
  movl $0x000003B8, FRAME + 0x1FFE
  movw $0xC300, FRAME + 0x2002
  call *%rcx
  EXPECT_EQ %rax, $3, "before"
  movb $0xAA, FRAME + 0x2000
  call *%rcx
  EXPECT_EQ %rax, $0xAA03, "after a write to its second page"
  movb $4, FRAME + 0x1FFF
  call *%rcx
  EXPECT_EQ %rax, $0xAA04, "after a write to its first page"
  movw $0x0000, FRAME + 0x5000
  movw $0xC300, FRAME + 0x5002
  movl $FRAME+0x5000+P+W+U, WINDOW_PT + 8 * 2
  invlpg 0x2000(%rbx)
  call *%rcx
  EXPECT_EQ %rax, $4, "after its second page is another frame"
  CASE "another mapping"
  movl $0x000005B8, FRAME + 0x3000
  movw $0xC300, FRAME + 0x3004
  movl $0x000006B8, FRAME + 0x4000
  movw $0xC300, FRAME + 0x4004
  lea 0x3000(%rbx), %rcx
  call *%rcx
  EXPECT_EQ %rax, $5, "before"
  movl $FRAME+0x4000+P+W+U, WINDOW_PT + 8 * 3
  invlpg 0x3000(%rbx)
  call *%rcx
  EXPECT_EQ %rax, $6, "after"
  CASE "string instructions"
  mov $FRAME + 0x3000, %esi
  mov $FRAME + 0x4000, %edi
  mov $6, %ecx
  rep movsb
  lea 0x3000(%rbx), %rcx
  call *%rcx
  EXPECT_EQ %rax, $5, "code copied by REP MOVSB"
  CASE "a locked change"
  mov $0xB8, %eax
  lock xaddb %al, FRAME + 0x4001
  call *%rcx
  EXPECT_EQ %rax, $0xBD, "after LOCK XADD"
  FINISH
changed: mov $1, %eax
  ret
