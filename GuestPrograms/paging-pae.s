# Tests: PAE paging outside long mode: the four PDPTEs that MOV to CR3 loads and checks, 2 MiB pages, NX, reserved bits.
# Specification: SDM 3A §4.4.
# Expected:
#   4 KiB pages
#   NX
#   reserved bits
#   PDPTEs are loaded by MOV to CR3 alone
#   2 MiB pages
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
.set PAE_PDPT, 0x40A000
.set PAE_WINDOW, 0x40000000
.macro SET_ENTRY table, index, low, high=0
  movl $\low, \table + 8 * \index
  movl $\high, \table + 8 * \index + 4
  mov %cr3, %eax
  mov %eax, %cr3
.endm
PROGRAM
  BUILD_TABLES (P|W|U), (P|W|U)
  mov $PAE_PDPT, %edi
  mov $8, %ecx
  xor %eax, %eax
  rep stosl
  movl $PD0 + P, PAE_PDPT
  movl $WINDOW_PD + P, PAE_PDPT + 8
  mov %cr4, %eax
  or $CR4_PAE, %eax
  mov %eax, %cr4
  mov $MSR_EFER, %ecx
  rdmsr
  or $0x800, %eax
  wrmsr
  mov $PAE_PDPT, %eax
  mov %eax, %cr3
  mov %cr0, %eax
  or $CR0_PG | CR0_WP, %eax
  mov %eax, %cr0
  mov $PAE_WINDOW, %ebx
  CASE "4 KiB pages"
  movl $0x1234, FRAME
  mov (%ebx), %ecx
  EXPECT_EQ %ecx, $0x1234, "read through the window"
  SET_ENTRY WINDOW_PT, 1, FRAME+0x1000+P+U
  TRY
  mov %eax, 0x1000(%ebx)
  CAUGHT VECTOR_PF, 3, "write of a read-only page"
  TRY
  mov 0x40000000(%ebx), %eax
  CAUGHT VECTOR_PF, 0, "a PDPTE that is not present"
  EXPECT_EQ seen_cr2, $0x80000000, "CR2"
  CASE "NX"
  movb $0xC3, FRAME + 0x2000
  SET_ENTRY WINDOW_PT, 2, FRAME+0x2000+P+W+U, 0x80000000
  lea 0x2000(%ebx), %ecx
  TRY
  call *%ecx
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "fetch from an NX page"
  TRY
  mov 0x2000(%ebx), %eax
  CAUGHT NONE, 0, "read of an NX page"
  CASE "reserved bits"
  SET_ENTRY WINDOW_PT, 3, FRAME+0x3000+P+W+U, 0x40000000
  TRY
  mov 0x3000(%ebx), %eax
  CAUGHT VECTOR_PF, 9, "bit 62 of an entry"
  movl $PD0 + P + W, PAE_PDPT + 16
  mov $PAE_PDPT, %eax
  TRY
  mov %eax, %cr3
  CAUGHT VECTOR_GP, 0, "bit 1 of a PDPTE"
  movl $0, PAE_PDPT + 16
  CASE "PDPTEs are loaded by MOV to CR3 alone"
  movl $0, PAE_PDPT + 8
  invlpg (%ebx)
  TRY
  mov (%ebx), %eax
  CAUGHT NONE, 0, "a PDPTE changed in memory"
  mov $PAE_PDPT, %eax
  mov %eax, %cr3
  TRY
  mov (%ebx), %eax
  CAUGHT VECTOR_PF, 0, "after MOV to CR3"
  CASE "2 MiB pages"
  movl $WINDOW_PD + P, PAE_PDPT + 8
  SET_ENTRY WINDOW_PD, 1, FRAME+P+W+U+PS
  movl $0x2222, FRAME + 0x123458
  mov 0x323458(%ebx), %ecx
  EXPECT_EQ %ecx, $0x2222, "read through a 2 MiB page"
  mov %ecx, 0x323458(%ebx)
  mov WINDOW_PD + 8, %ecx
  and $A|D, %ecx
  EXPECT_EQ %ecx, $A|D, "A and D of a 2 MiB page"
  FINISH
