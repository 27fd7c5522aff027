# Tests: INS and OUTS in 64-bit mode: widths, direction, address size, segments, page faults half-way through REP (no element lost or
# repeated, registers as after the last whole element), and the I/O permission bitmap.
# Specification: SDM 2A "INS", SDM 2B "OUTS", "REP", SDM 3A §4.7, SDM 1 §19.5.2; fw_cfg gives the bytes "QEMU" one after another.
# Expected:
#   widths
#   direction
#   address size and segments
#   page faults in INS
#   page faults in OUTS
#   written by REP OUTSB
#   across two pages
#   nwod morf pu
#   the I/O permission bitmap
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set ENTRY, WINDOW_PT + 8 * 2      # of the window's third page
.set EDGE, WINDOW + 0x2000
.set SIGNATURE, 0x554D4551
.macro SELECT_SIGNATURE
  mov $0x510, %edx
  xor %eax, %eax
  out %ax, %dx
  inc %edx
.endm
.macro SET_ENTRY value
  movl $\value, ENTRY
  invlpg (%rbx)
.endm
.macro USER label
  TRY
  ENTER_USER64 \label
.endm
PROGRAM
  ENTER_LONG
  movabs $EDGE, %rbx
  CASE "widths"
  SELECT_SIGNATURE
  mov $buffer, %edi
  mov $4, %ecx
  TRY
  rep insb
  CAUGHT NONE, 0, "REP INSB"
  mov buffer, %r8d
  EXPECT_EQ %r8, $SIGNATURE, "the bytes"
  EXPECT_EQ %rcx, $0, "RCX"
  EXPECT_EQ %rdi, $buffer+4, "RDI"
  mov $0x80000000, %eax
  mov $0xCF8, %edx
  out %eax, %dx
  mov $0xCFC, %edx
  in %dx, %ax
  movzwl %ax, %r9d
  movq $-1, buffer
  mov $buffer, %edi
  insw
  movzwl buffer, %r8d
  EXPECT_EQ %r8, %r9, "INSW"
  EXPECT_EQ %rdi, $buffer+2, "RDI after INSW"
  in %dx, %eax
  mov %eax, %r9d
  insl
  mov buffer + 2, %r8d
  EXPECT_EQ %r8, %r9, "INSL"
  movzwl buffer + 6, %r8d
  EXPECT_EQ %r8, $0xFFFF, "what follows"
  movl $0x80000008, buffer
  mov $buffer, %esi
  mov $0xCF8, %edx
  outsl
  in %dx, %eax
  mov $0x80000008, %r9d
  EXPECT_EQ %rax, %r9, "OUTSL"
  EXPECT_EQ %rsi, $buffer+4, "RSI after OUTSL"
  SELECT_SIGNATURE
  movq $0, buffer
  mov $buffer, %edi
  xor %ecx, %ecx
  rep insb
  EXPECT_EQ buffer, $0, "REP INSB with RCX 0"
  EXPECT_EQ %rdi, $buffer, "its RDI"
  mov $0x1234, %ecx
  .byte 0xF2, 0x6C               # REPNE is REP
  EXPECT_EQ %rcx, $0, "RCX after REPNE INSB"
  mov buffer, %r8d
  EXPECT_EQ %r8, $SIGNATURE, "no byte was taken with RCX 0"
  CASE "direction"
  SELECT_SIGNATURE
  movq $0, buffer
  mov $buffer + 4, %edi
  mov $4, %ecx
  std
  rep insb
  cld
  mov buffer + 1, %r8d
  bswap %r8d
  EXPECT_EQ %r8, $SIGNATURE, "the bytes"
  EXPECT_EQ %rdi, $buffer, "RDI"
  movl $0x80000000, buffer + 4
  movl $0x80000008, buffer
  mov $buffer + 4, %esi
  mov $0xCF8, %edx
  mov $2, %ecx
  std
  rep outsl
  cld
  in %dx, %eax
  mov $0x80000008, %r9d
  EXPECT_EQ %rax, %r9, "REP OUTSL: the last one"
  EXPECT_EQ %rsi, $buffer-4, "RSI"
  CASE "address size and segments"
  SELECT_SIGNATURE
  movq $0, buffer
  mov $buffer, %edi
  bts $40, %rdi
  mov $1, %ecx
  bts $40, %rcx
  addr32 rep insb
  EXPECT_EQ %rcx, $0, "ECX counts, and RCX is cut to it"
  EXPECT_EQ %rdi, $buffer+1, "RDI is cut to EDI"
  EXPECT_EQ buffer, $0x51, "the byte"
  WRITE_MSR 0xC0000100, $0x10    # FS.base
  movq $0, buffer
  movq $0, buffer + 16
  mov $0x511, %edx
  mov $buffer, %edi
  .byte 0x64, 0x6C               # INSB with FS: ES all the same
  EXPECT_EQ buffer, $0x45, "INS takes no other segment"
  movl $0x80000004, buffer + 16
  mov $buffer, %esi
  mov $0xCF8, %edx
  .byte 0x64, 0x6F               # OUTSL by FS
  in %dx, %eax
  mov $0x80000004, %r9d
  EXPECT_EQ %rax, %r9, "OUTS takes FS"
  WRITE_MSR 0xC0000100, $0
  movabs $0x800000000000, %rsi
  TRY
  outsb
  CAUGHT VECTOR_GP, 0, "OUTS from an address that is not canonical"
  mov %rsi, %rdi
  TRY
  insb
  CAUGHT VECTOR_GP, 0, "INS to an address that is not canonical"
  CASE "page faults in INS"
  SELECT_SIGNATURE
  SET_ENTRY 0
  lea -2(%rbx), %rdi
  mov $4, %ecx
  TRY
6: rep insb
  CAUGHT VECTOR_PF, 2, "REP INSB to a page that is absent", at=6b
  EXPECT_EQ seen_cr2, %rbx, "CR2"
  EXPECT_EQ %rcx, $2, "RCX"
  EXPECT_EQ %rdi, %rbx, "RDI"
  movzwl -2(%rbx), %r8d
  EXPECT_EQ %r8, $0x4551, "what was stored"
  SET_ENTRY FRAME+0x2000+P+W
  mov $0x511, %edx
  rep insb
  movzwl (%rbx), %r8d
  EXPECT_EQ %r8, $0x554D, "no byte was lost"
  SELECT_SIGNATURE
  SET_ENTRY FRAME+0x2000+P
  mov %rbx, %rdi
  TRY
  insb
  CAUGHT VECTOR_PF, 3, "INSB to a read-only page"
  EXPECT_EQ %rdi, %rbx, "RDI"
  in %dx, %al
  movzbl %al, %r8d
  EXPECT_EQ %r8, $0x51, "the byte was not taken"
  movw $0x6666, -2(%rbx)
  mov $0xCFC, %edx
  lea -1(%rbx), %rdi
  TRY
  insw
  CAUGHT VECTOR_PF, 3, "INSW across the edge of a read-only page"
  EXPECT_EQ seen_cr2, %rbx, "CR2 of INSW"
  movzwl -2(%rbx), %r8d
  EXPECT_EQ %r8, $0x6666, "no part of the word was stored"
  CASE "page faults in OUTS"
  SET_ENTRY FRAME+0x2000+P+W
  mov $text_outs, %esi
  lea -text_outs_split(%rbx), %rdi
  mov $text_outs_end - text_outs, %ecx
  rep movsb
  SET_ENTRY 0
  lea -text_outs_split(%rbx), %rsi
  mov $text_outs_end - text_outs, %ecx
  mov $0xE9, %edx
  TRY
6: rep outsb
  CAUGHT VECTOR_PF, 0, "REP OUTSB from a page that is absent", at=6b
  EXPECT_EQ seen_cr2, %rbx, "CR2"
  EXPECT_EQ %rcx, $text_outs_end-text_outs-text_outs_split, "RCX"
  EXPECT_EQ %rsi, %rbx, "RSI"
  SET_ENTRY FRAME+0x2000+P
  mov $0xE9, %edx
  rep outsb
  mov $text_reverse_end - 1, %esi
  mov $text_reverse_end - text_reverse, %ecx
  std
  rep outsb
  cld
  CASE "the I/O permission bitmap"
  SET_ENTRY FRAME+0x2000+P+W+U
  SET_DESCRIPTOR TASK, $task_state, 0x68+0x104, 0x89, 0
  mov $TASK, %eax
  ltr %ax
  mov $task_state + 0x68, %edi
  mov $0x104, %ecx
  mov $0xFF, %al
  rep stosb
  movb $0xFD, task_state + 0x68 + 0x511 / 8   # port 511 alone
  SELECT_SIGNATURE
  movq $0, buffer
  USER user_ins
  CAUGHT LEAVE, 0, "REP INSB from the allowed port", at=user_ins_end
  mov buffer, %r8d
  EXPECT_EQ %r8, $SIGNATURE, "the bytes"
  SELECT_SIGNATURE
  USER user_insw
  CAUGHT VECTOR_GP, 0, "INSW, whose second port is denied", at=user_insw_at
  mov $0x511, %edx
  in %dx, %al
  movzbl %al, %r8d
  EXPECT_EQ %r8, $0x51, "no byte was taken"
  USER user_outs
  CAUGHT VECTOR_GP, 0, "OUTSB to a denied port", at=user_outs_at
  SET_ENTRY 0
  USER user_outs_absent
  CAUGHT VECTOR_GP, 0, "the port is asked for before the memory", at=user_outs_absent_at
  USER user_ins_absent
  CAUGHT VECTOR_PF, 6, "INSB to an absent page in ring 3", at=user_ins_absent_at
  EXPECT_EQ seen_cr2, %rbx, "CR2"
  movb $0xFF, task_state + 0x68 + 0x511 / 8
  TRY
  ENTER_USER64 user_ins, 0x3002
  CAUGHT LEAVE, 0, "IOPL 3 needs no bitmap", at=user_ins_end
  FINISH
user_ins:
  mov $buffer, %edi
  mov $4, %ecx
  mov $0x511, %edx
  rep insb
  int $LEAVE
user_ins_end:
user_insw:
  mov $buffer, %edi
  mov $0x511, %edx
user_insw_at: insw
user_outs:
  mov $buffer, %esi
  mov $0xE9, %edx
user_outs_at: outsb
user_outs_absent:
  mov %rbx, %rsi
  mov $0xE9, %edx
user_outs_absent_at: outsb
user_ins_absent:
  mov %rbx, %rdi
  mov $0x511, %edx
user_ins_absent_at: insb
.section .rodata
text_outs: .ascii "written by REP OUTSB\nacross two pages\n"
text_outs_end:
.set text_outs_split, 13
text_reverse: .ascii "\nup from down"
text_reverse_end:
.section .bss
.balign 8
.skip 8
buffer: .skip 0x2000
