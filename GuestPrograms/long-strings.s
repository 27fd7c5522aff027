# Tests: string instructions of 64-bit code, alone and repeated, at every width: results, registers and flags, backwards, FS and
# GS, 67h, counts of 0 and of more than memory, several pages, overlap through one address and through two, faults half-way, code.
# Specification: SDM 2B "MOVS", "STOS", "LODS", SDM 2A "CMPS", SDM 2B "SCAS", "REP".
# Expected:
#   STOS
#   LODS
#   MOVS
#   SCAS
#   CMPS
#   backwards
#   FS and GS
#   32-bit addresses
#   REP STOS
#   REP MOVS
#   overlap
#   faults
#   a count beyond memory
#   code
#   STOS
#   LODS
#   MOVS
#   SCAS
#   CMPS
#   backwards
#   FS and GS
#   32-bit addresses
#   REP STOS
#   REP MOVS
#   overlap
#   faults
#   a count beyond memory
#   code
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set STATUS, 0x8D5
.macro ABSENT page
  movl $0, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
.macro MAP page, frame, rights=P+W+U
  movl $FRAME + 0x1000 * \frame + \rights, WINDOW_PT + 8 * \page
  invlpg 0x1000 * \page(%rbx)
.endm
# All arithmetic flags set, and a look at whether they still are.
.macro SET_FLAGS
  pushq $STATUS + 2
  popfq
.endm
.macro EXPECT_FLAGS value, name
  pushfq
  pop flags_seen
  andq $STATUS, flags_seen
  EXPECT_EQ flags_seen, $\value, "\name"
.endm
.bss
.balign 8
flags_seen: .skip 8
.text
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  mov $2, %r15d                  # everything twice: with and without what the first round has left behind
again:
  cld
  CASE "STOS"
  movabs $0x1122334455667788, %rax
  mov %rax, %r14
.irp width, b, w, l, q
  movq $0, FRAME + 0x100
  lea 0x100(%rbx), %rdi
  SET_FLAGS
  stos\width
  EXPECT_FLAGS STATUS, "STOS\width keeps the flags"
  EXPECT_EQ %rax, %r14, "STOS\width keeps RAX"
  sub %rbx, %rdi
  .ifc \width, b
    EXPECT_EQ %rdi, $0x101, "RDI"
    EXPECT_EQ FRAME+0x100, $0x88, "the byte"
  .endif
  .ifc \width, w
    EXPECT_EQ %rdi, $0x102, "RDI"
    EXPECT_EQ FRAME+0x100, $0x7788, "the word"
  .endif
  .ifc \width, l
    EXPECT_EQ %rdi, $0x104, "RDI"
    EXPECT_EQ FRAME+0x100, $0x55667788, "the doubleword"
  .endif
  .ifc \width, q
    EXPECT_EQ %rdi, $0x108, "RDI"
    EXPECT_EQ FRAME+0x100, %r14, "the quadword"
  .endif
.endr
  CASE "LODS"
  movabs $0x99AABBCCDDEEFF00, %rcx
  mov %rcx, FRAME + 0x200
  lea 0x200(%rbx), %rsi
  mov %r14, %rax
  SET_FLAGS
  lodsb
  EXPECT_FLAGS STATUS, "LODSB keeps the flags"
  movabs $0x1122334455667700, %rdx
  EXPECT_EQ %rax, %rdx, "LODSB"
  lea 0x200(%rbx), %rsi
  lodsw
  movabs $0x112233445566FF00, %rdx
  EXPECT_EQ %rax, %rdx, "LODSW"
  lea 0x200(%rbx), %rsi
  lodsl
  mov $0xDDEEFF00, %edx
  EXPECT_EQ %rax, %rdx, "LODSL"
  lea 0x200(%rbx), %rsi
  lodsq
  EXPECT_EQ %rax, %rcx, "LODSQ"
  sub %rbx, %rsi
  EXPECT_EQ %rsi, $0x208, "RSI"
  CASE "MOVS"
.irp width, b, w, l, q
  movq $0, FRAME + 0x3100
  lea 0x200(%rbx), %rsi
  lea 0x3100(%rbx), %rdi
  SET_FLAGS
  movs\width
  EXPECT_FLAGS STATUS, "MOVS\width keeps the flags"
  sub %rbx, %rdi
  sub %rbx, %rsi
  lea 0x2F00(%rsi), %rdx
  EXPECT_EQ %rdi, %rdx, "both indexes after MOVS\width"
  .ifc \width, b
    EXPECT_EQ %rsi, $0x201, "RSI"
    EXPECT_EQ FRAME+0x3100, $0, "the byte"
  .endif
  .ifc \width, w
    EXPECT_EQ %rsi, $0x202, "RSI"
    EXPECT_EQ FRAME+0x3100, $0xFF00, "the word"
  .endif
  .ifc \width, l
    EXPECT_EQ %rsi, $0x204, "RSI"
    EXPECT_EQ FRAME+0x3100, %r12, "the doubleword"
  .endif
  .ifc \width, q
    EXPECT_EQ %rsi, $0x208, "RSI"
    EXPECT_EQ FRAME+0x3100, %rcx, "the quadword"
  .endif
  mov $0xDDEEFF00, %r12d
.endr
  CASE "SCAS"
.irp width, b, w, l, q
  lea 0x200(%rbx), %rdi
  mov FRAME + 0x200, %rax
  xor %edx, %edx
  scas\width
  EXPECT_FLAGS 0x44, "SCAS\width finds it"
  lea 0x200(%rbx), %rdi
  dec %rax
  scas\width
  sete %dl
  EXPECT_EQ %rdx, $0, "SCAS\width does not find it"
.endr
  lea 0x200(%rbx), %rdi
  mov $0x10, %eax
  scasw
  EXPECT_FLAGS 0x01, "0x0010 less 0xFF00"
  CASE "CMPS"
  mov %rcx, FRAME + 0x3100
.irp width, b, w, l, q
  lea 0x200(%rbx), %rsi
  lea 0x3100(%rbx), %rdi
  cmps\width
  EXPECT_FLAGS 0x44, "CMPS\width of what is equal"
  sub %rsi, %rdi
  EXPECT_EQ %rdi, $0x2F00, "both indexes"
.endr
  movq $1, FRAME + 0x3100
  lea 0x200(%rbx), %rsi
  lea 0x3100(%rbx), %rdi
  cmpsb
  EXPECT_FLAGS 0x95, "CMPSB of 0 and 1"
  CASE "backwards"
  mov %rcx, FRAME + 0x200
  movq $0, FRAME + 0x3100
  lea 0x204(%rbx), %rsi
  lea 0x3104(%rbx), %rdi
  std
  movsl
  lodsl
  cld
  mov $0xDDEEFF00, %edx
  EXPECT_EQ %rax, %rdx, "LODSL"
  mov FRAME + 0x3104, %eax
  mov $0x99AABBCC, %edx
  EXPECT_EQ %rax, %rdx, "MOVSL"
  sub %rbx, %rsi
  sub %rbx, %rdi
  EXPECT_EQ %rsi, $0x1FC, "RSI"
  EXPECT_EQ %rdi, $0x3100, "RDI"
  lea 0x3107(%rbx), %rdi
  mov $8, %ecx
  mov $0x5A, %eax
  std
  stosb
  rep stosb
  cld
  sub %rbx, %rdi
  EXPECT_EQ %rdi, $0x30FE, "RDI after REP STOSB"
  EXPECT_EQ %rcx, $0, "RCX"
  CASE "FS and GS"
  mov $0xC0000100, %ecx
  mov $0x200, %eax
  xor %edx, %edx
  wrmsr
  mov $0xC0000101, %ecx
  mov $0x800, %eax
  wrmsr
  movl $0x12345678, FRAME + 0x200
  movl $0x9ABCDEF0, FRAME + 0x800
  mov %rbx, %rsi
  fs lodsl
  EXPECT_EQ %rax, $0x12345678, "FS LODSL"
  mov %rbx, %rsi
  gs lodsl
  mov $0x9ABCDEF0, %edx
  EXPECT_EQ %rax, %rdx, "GS LODSL"
  mov %rbx, %rsi
  lea 0x3100(%rbx), %rdi
  fs movsl
  mov FRAME + 0x3100, %eax
  EXPECT_EQ %rax, $0x12345678, "FS MOVSL"
  mov %rbx, %rsi
  lea 0x3100(%rbx), %rdi
  mov $4, %ecx
  gs rep movsb
  mov FRAME + 0x3100, %eax
  EXPECT_EQ %rax, %rdx, "GS REP MOVSB"
  mov %rbx, %rsi
  lea 0x3100(%rbx), %rdi
  gs cmpsl
  EXPECT_FLAGS 0x44, "GS CMPSL"
  lea 0xE00(%rbx), %rsi                # 0x1000 by FS
  movb $0x77, FRAME + 0x1000
  lea 0x3100(%rbx), %rdi
  mov $0x200, %ecx
  fs rep movsb
  movzbl FRAME + 0x3100, %eax
  EXPECT_EQ %rax, $0x77, "the page is that of the linear address"
  xor %eax, %eax
  mov $0xC0000100, %ecx
  xor %edx, %edx
  wrmsr
  mov $0xC0000101, %ecx
  wrmsr
  CASE "32-bit addresses"
  movabs $0x1200000000000000 + FRAME + 0x200, %rsi
  movabs $0x3400000000000000 + FRAME + 0x3100, %rdi
  movl $0x11112222, FRAME + 0x200
  addr32 movsl
  EXPECT_EQ %rsi, $FRAME+0x204, "RSI"
  EXPECT_EQ %rdi, $FRAME+0x3104, "RDI"
  mov FRAME + 0x3100, %eax
  EXPECT_EQ %rax, $0x11112222, "the doubleword"
  movabs $0x3400000000000000 + FRAME + 0x3100, %rdi
  movabs $0x5600000000000002, %rcx
  addr32 rep stosl
  EXPECT_EQ %rcx, $0, "RCX"
  EXPECT_EQ %rdi, $FRAME+0x3108, "RDI"
  CASE "REP STOS"
.irp width, b, w, l, q
  lea 0x3F00(%rbx), %rdi
  mov $0, %eax
  mov $0x200 / 8, %ecx
  rep stosq
  mov %r14, %rax
  lea 0x3F01(%rbx), %rdi
  mov $5, %ecx
  SET_FLAGS
  rep stos\width
  EXPECT_FLAGS STATUS, "REP STOS\width keeps the flags"
  EXPECT_EQ %rcx, $0, "RCX"
  EXPECT_EQ %rax, %r14, "RAX"
  movzbl -1(%rdi), %edx
  .ifc \width, b
    EXPECT_EQ %rdx, $0x88, "the last byte"
  .endif
  .ifc \width, q
    EXPECT_EQ %rdx, $0x11, "the last byte"
  .endif
  movzbl (%rdi), %edx
  EXPECT_EQ %rdx, $0, "the next byte"
  sub %rbx, %rdi
  mov %rdi, %r13
  .ifc \width, w
    EXPECT_EQ %rdi, $0x3F0B, "RDI"
  .endif
  .ifc \width, l
    EXPECT_EQ %rdi, $0x3F15, "RDI"
  .endif
.endr
  lea 0x3000(%rbx), %rdi
  mov $0x200, %ecx
  rep stosq
  EXPECT_EQ FRAME+0x3FF8, %r14, "a whole page"
  lea 0x3FF1(%rbx), %rdi
  mov $0x801, %ecx
  mov $0x4242424242424242, %rax
  rep stosl
  EXPECT_EQ FRAME+0x4FF8, %rax, "three pages"
  EXPECT_EQ FRAME+0x5FE8, %rax, "three pages to the end"
  sub %rbx, %rdi
  EXPECT_EQ %rdi, $0x5FF5, "RDI"
  xor %ecx, %ecx
  mov $0x8000000000000000, %rdi
  mov %rdi, %rdx
  TRY
  rep stosq
  CAUGHT NONE, 0, "a count of 0 at an address that is not canonical"
  EXPECT_EQ %rdi, %rdx, "RDI stays"
  CASE "REP MOVS"
  lea 0x3000(%rbx), %rdi
  mov $0x1000, %ecx
1: mov %cl, -1(%rdi,%rcx)
  loop 1b
.irp width, b, w, l, q
  lea 0x3003(%rbx), %rsi
  lea 0x6005(%rbx), %rdi
  mov $7, %ecx
  movq $0, FRAME + 0x6000
  SET_FLAGS
  rep movs\width
  EXPECT_FLAGS STATUS, "REP MOVS\width keeps the flags"
  EXPECT_EQ %rcx, $0, "RCX"
  movzbl -1(%rsi), %eax
  movzbl -1(%rdi), %edx
  EXPECT_EQ %rdx, %rax, "the last byte"
  sub %rsi, %rdi
  EXPECT_EQ %rdi, $0x3002, "both indexes"
  movzbl FRAME + 0x6004, %eax
  EXPECT_EQ %rax, $0, "what lies before"
.endr
  lea 0x3000(%rbx), %rsi
  lea 0x6000(%rbx), %rdi
  mov $0x200, %ecx
  rep movsq
  EXPECT_EQ FRAME+0x6FF8, FRAME+0x3FF8, "a whole page"
  lea 0x3000(%rbx), %rsi
  lea 0x6F01(%rbx), %rdi
  mov $0x1800, %ecx
  rep movsb
  EXPECT_EQ FRAME+0x7001, FRAME+0x3100, "across pages"
  sub %rbx, %rsi
  EXPECT_EQ %rsi, $0x4800, "RSI"
  CASE "overlap"
  lea 0x3000(%rbx), %rsi
  lea 0x3001(%rbx), %rdi
  movb $0xA5, FRAME + 0x3000
  mov $0x800, %ecx
  rep movsb
  movzbl FRAME + 0x3800, %eax
  EXPECT_EQ %rax, $0xA5, "one byte repeats"
  movl $0x33221100, FRAME + 0x3100
  lea 0x3100(%rbx), %rsi
  lea 0x3104(%rbx), %rdi
  mov $8, %ecx
  rep movsl
  mov FRAME + 0x3120, %eax
  EXPECT_EQ %rax, $0x33221100, "a doubleword repeats"
  MAP 7, 3
  movb $0x5B, FRAME + 0x3000
  lea 0x3000(%rbx), %rsi
  lea 0x7001(%rbx), %rdi
  mov $0x100, %ecx
  rep movsb
  movzbl FRAME + 0x3100, %eax
  EXPECT_EQ %rax, $0x5B, "one byte repeats through two addresses"
  MAP 7, 7
  CASE "faults"
  MAP 5, 5, P+U
  ABSENT 8
  mov $0x77, %eax
  lea 0x5100(%rbx), %rdi
  TRY
6: stosb
  CAUGHT VECTOR_PF, 3, "STOSB into a read-only page", at=6b
  EXPECT_EQ seen_cr2, %rdi, "CR2"
  lea 0x3100(%rbx), %rsi
  mov %rsi, %rdx
  lea 0x8100(%rbx), %rdi
  TRY
6: movsl
  CAUGHT VECTOR_PF, 2, "MOVSL into a page that is not present", at=6b
  EXPECT_EQ %rsi, %rdx, "RSI stays"
  EXPECT_EQ seen_cr2, %rdi, "CR2"
  mov %rdi, %rsi
  lea 0x5100(%rbx), %rdi
  TRY
6: movsl
  CAUGHT VECTOR_PF, 0, "both faults: the source's comes first", at=6b
  lea 0x3FF8(%rbx), %rsi
  lea 0x7FFC(%rbx), %rdi
  mov $5, %ecx
  MAP 4, 4
  TRY
6: rep movsl
  CAUGHT VECTOR_PF, 2, "REP MOVSL after its first element", at=6b
  EXPECT_EQ %rcx, $4, "RCX"
  sub %rbx, %rsi
  EXPECT_EQ %rsi, $0x3FFC, "RSI"
  lea 0x8000(%rbx), %rdx
  EXPECT_EQ %rdi, %rdx, "RDI"
  lea 0x7FFC(%rbx), %rsi
  lea 0x8000(%rbx), %rdi
  TRY
6: cmpsq
  CAUGHT VECTOR_PF, 0, "CMPSQ whose source crosses", at=6b
  EXPECT_EQ seen_cr2, %rdx, "CR2"
  mov $0x8000000000000000, %rdi
  TRY
6: stosb
  CAUGHT VECTOR_GP, 0, "STOSB at an address that is not canonical", at=6b
  mov $4, %ecx
  TRY
6: rep stosb
  CAUGHT VECTOR_GP, 0, "REP STOSB there", at=6b
  EXPECT_EQ %rcx, $4, "RCX"
  mov %rdi, %rsi
  TRY
6: lodsq
  CAUGHT VECTOR_GP, 0, "LODSQ there", at=6b
  MAP 5, 5
  CASE "a count beyond memory"
  lea 0x7FE0(%rbx), %rdi
  movabs $0x2000000000000001, %rcx
  mov $1, %eax
  TRY
6: rep stosq
  CAUGHT VECTOR_PF, 2, "2^61 + 1 quadwords", at=6b
  movabs $0x1FFFFFFFFFFFFFFD, %rdx
  EXPECT_EQ %rcx, %rdx, "RCX"
  lea 0x7FE0(%rbx), %rdi
  mov $-16, %rcx
  TRY
6: rep stosb
  CAUGHT VECTOR_PF, 2, "2^64 - 16 bytes", at=6b
  EXPECT_EQ %rcx, $-48, "RCX"
  lea 0x3F80(%rbx), %rsi
  lea 0x7FE0(%rbx), %rdi
  mov $-16, %rcx
  TRY
6: rep movsb
  CAUGHT VECTOR_PF, 2, "2^64 - 16 bytes to move", at=6b
  EXPECT_EQ %rcx, $-48, "RCX"
  MAP 8, 8
  CASE "code"
  movl $0x000001B8, FRAME + 0x9000      # mov $1, %eax; ret
  movw $0xC300, FRAME + 0x9004
  lea 0x9000(%rbx), %r12
  call *%r12
  EXPECT_EQ %rax, $1, "before"
  lea 0x9001(%rbx), %rdi
  mov $2, %eax
  stosb
  call *%r12
  EXPECT_EQ %rax, $2, "after STOSB"
  lea 0x9001(%rbx), %rdi
  mov $0x03, %eax
  mov $4, %ecx
  rep stosb
  call *%r12
  EXPECT_EQ %rax, $0x03030303, "after REP STOSB"
  lea 0x3001(%rbx), %rsi
  movl $4, (%rsi)
  lea 0x9001(%rbx), %rdi
  mov $4, %ecx
  rep movsb
  call *%r12
  EXPECT_EQ %rax, $4, "after REP MOVSB"
  lea 0x3001(%rbx), %rsi
  movl $5, (%rsi)
  lea 0x9001(%rbx), %rdi
  movsl
  call *%r12
  EXPECT_EQ %rax, $5, "after MOVSL"
  dec %r15d
  jnz again
  FINISH
