# Tests: process-context identifiers: entries outlive CR3 with bit 63, INVPCID of all four types, and the refusals.
# Specification: SDM 3A §4.10.1, §4.10.4.1, SDM 2A "INVPCID".
# Expected:
#   CR4.PCIDE
#   MOV to CR3
#   INVPCID type 0
#   INVPCID type 1
#   INVPCID types 2 and 3
#   refusals
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set ENTRY, WINDOW_PT + 8 * 1
.macro REMAP frame, extra=0
  movl $FRAME + \frame + P + W + U + \extra, ENTRY
.endm
.macro SET_PCID number, keep=0
  mov $PML4 + \number, %eax
  .if \keep
    bts $63, %rax
  .endif
  mov %rax, %cr3
.endm
# Whether the page still shows what it showed before the table changed is up to the CPU; that it shows the new frame is not.
.macro SHOWS value, name
  mov 0x1000(%rbx), %eax
  EXPECT_EQ %rax, $\value, "\name"
.endm
.macro INVALIDATE type, pcid, address=0
  movq $\pcid, descriptor
  mov $\address, %rax
  mov %rax, descriptor + 8
  mov $\type, %eax
  invpcid descriptor, %rax
.endm
PROGRAM
  REQUIRE_CPUID 1, ecx, 17, "PCID"
  REQUIRE_CPUID 7, ebx, 10, "INVPCID"
  ENTER_LONG
  mov $WINDOW, %rbx
  movl $0x11, FRAME + 0x1000
  movl $0x22, FRAME + 0x2000
  CASE "CR4.PCIDE"
  mov $PML4 + PWT, %eax
  mov %rax, %cr3
  mov %cr4, %rax
  or $CR4_PCIDE, %eax
  mov $PML4 + 5, %ecx
  mov %rcx, %cr3
  TRY
  mov %rax, %cr4
  CAUGHT VECTOR_GP, 0, "PCIDE while CR3 has bits 11:0"
  mov $PML4, %ecx
  mov %rcx, %cr3
  TRY
  mov %rax, %cr4
  CAUGHT NONE, 0, "PCIDE"
  mov %cr0, %rax
  btr $31, %rax
  TRY
  mov %rax, %cr0
  CAUGHT VECTOR_GP, 0, "PG cleared in 64-bit mode"
  SET_PCID 7, 1
  mov %cr3, %rax
  EXPECT_EQ %rax, $PML4+7, "bit 63 of CR3 is not kept"
  CASE "MOV to CR3"
  SHOWS 0x11, "PCID 7"
  SET_PCID 8
  SHOWS 0x11, "PCID 8"
  REMAP 0x2000
  SET_PCID 8
  SHOWS 0x22, "PCID 8 after MOV to CR3 without bit 63"
  SET_PCID 7
  SHOWS 0x22, "PCID 7 after MOV to CR3 without bit 63"
  CASE "INVPCID type 0"
  REMAP 0x1000
  INVALIDATE 0, 7, WINDOW+0x1000
  SHOWS 0x11, "the address in this PCID"
  SET_PCID 8, 1
  REMAP 0x2000
  INVALIDATE 0, 7, WINDOW+0x1000
  SET_PCID 7, 1
  SHOWS 0x22, "the address in another PCID"
  CASE "INVPCID type 1"
  REMAP 0x1000
  INVALIDATE 1, 7
  SHOWS 0x11, "this PCID"
  SET_PCID 9, 1
  REMAP 0x2000
  INVALIDATE 1, 7
  SET_PCID 7, 1
  SHOWS 0x22, "another PCID"
  CASE "INVPCID types 2 and 3"
  mov %cr4, %rax
  or $CR4_PGE, %eax
  mov %rax, %cr4
  REMAP 0x1000, G
  INVALIDATE 2, 0
  SHOWS 0x11, "type 2"
  REMAP 0x2000, G
  INVALIDATE 2, 0
  SHOWS 0x22, "type 2 forgets global pages"
  REMAP 0x1000
  INVALIDATE 2, 0
  SHOWS 0x11, "type 2 again"
  REMAP 0x2000
  INVALIDATE 3, 0
  SHOWS 0x22, "type 3"
  CASE "refusals"
  movq $0, descriptor
  mov $4, %eax
  TRY
  invpcid descriptor, %rax
  CAUGHT VECTOR_GP, 0, "type 4"
  movq $0x1000, descriptor
  mov $1, %eax
  TRY
  invpcid descriptor, %rax
  CAUGHT VECTOR_GP, 0, "reserved bits of the descriptor"
  movq $1, descriptor
  mov $0x800000000000, %rax
  mov %rax, descriptor + 8
  mov $0, %eax
  TRY
  invpcid descriptor, %rax
  CAUGHT VECTOR_GP, 0, "type 0 with an address that is not canonical"
  TRY
  ENTER_USER64 user_invpcid
  CAUGHT VECTOR_GP, 0, "ring 3", at=user_invpcid
  SET_PCID 0
  mov %cr4, %rax
  and $~CR4_PCIDE, %eax
  TRY
  mov %rax, %cr4
  CAUGHT NONE, 0, "PCIDE cleared"
  bts $63, %rcx
  mov $PML4, %eax
  bts $63, %rax
  TRY
  mov %rax, %cr3
  CAUGHT VECTOR_GP, 0, "bit 63 of CR3 without PCIDE"
  FINISH
user_invpcid: invpcid descriptor, %rax
.section .bss
.balign 16
descriptor: .skip 16
