# Tests: 4-level paging: 4 KiB, 2 MiB and 1 GiB pages, P, W, U and NX at every level, WP, reserved bits, the error code and
# CR2 of each #PF, accessed and dirty bits, and accesses across a page.
# Specification: SDM 3A §4.5, §4.6, §4.7, §4.8, §4.10.
# Expected:
#   present and writable
#   user and supervisor
#   NX
#   reserved bits
#   accessed and dirty bits
#   large pages
#   across pages
#   the TLB
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
# Sets 64-bit entry `index` of the window's page table.
.macro SET_ENTRY table, index, low, high=0
  movl $\low, \table + 8 * \index
  movl $\high, \table + 8 * \index + 4
  mov %cr3, %rax
  mov %rax, %cr3
.endm
.macro EXPECT_CR2 address, name
  mov $\address, %rax
  EXPECT_EQ seen_cr2, %rax, "\name", ": CR2"
.endm
PROGRAM
  ENTER_LONG
  mov $WINDOW, %rbx
  CASE "present and writable"
  movl $0x12345678, FRAME
  mov (%rbx), %eax
  EXPECT_EQ %rax, $0x12345678, "read through the window"
  SET_ENTRY WINDOW_PT, 1, 0
  TRY
  mov 0x1008(%rbx), %eax
  CAUGHT VECTOR_PF, 0, "read of a page that is not present"
  EXPECT_CR2 WINDOW+0x1008, "read of a page that is not present"
  TRY
  mov %eax, 0x1010(%rbx)
  CAUGHT VECTOR_PF, 2, "write of a page that is not present"
  SET_ENTRY WINDOW_PT, 1, FRAME+0x1000+P+U
  TRY
  mov %eax, 0x1010(%rbx)
  CAUGHT VECTOR_PF, 3, "write of a read-only page with WP"
  mov %cr0, %rax
  and $~CR0_WP, %eax
  mov %rax, %cr0
  TRY
  mov %eax, 0x1010(%rbx)
  CAUGHT NONE, 0, "write of a read-only page without WP"
  TRY
  ENTER_USER64 user_write_ro
  CAUGHT VECTOR_PF, 7, "write of a read-only page in ring 3 without WP", at=user_write_ro
  mov %cr0, %rax
  or $CR0_WP, %eax
  mov %rax, %cr0
  CASE "user and supervisor"
  SET_ENTRY WINDOW_PT, 2, FRAME+0x2000+P+W
  TRY
  ENTER_USER64 user_read_2
  CAUGHT VECTOR_PF, 5, "read of a supervisor page in ring 3", at=user_read_2
  TRY
  ENTER_USER64 user_write_2
  CAUGHT VECTOR_PF, 7, "write of a supervisor page in ring 3", at=user_write_2
  SET_ENTRY WINDOW_PT, 3, 0
  TRY
  ENTER_USER64 user_read_3
  CAUGHT VECTOR_PF, 4, "read of a page that is not present in ring 3", at=user_read_3
  SET_ENTRY WINDOW_PD, 0, WINDOW_PT+P+W
  TRY
  ENTER_USER64 user_read_0
  CAUGHT VECTOR_PF, 5, "U clear in the page directory", at=user_read_0
  SET_ENTRY WINDOW_PD, 0, WINDOW_PT+P+U
  TRY
  mov %eax, (%rbx)
  CAUGHT VECTOR_PF, 3, "W clear in the page directory"
  SET_ENTRY WINDOW_PD, 0, WINDOW_PT+P+W+U
  CASE "NX"
  movl $0xC3, FRAME + 0x4000
  SET_ENTRY WINDOW_PT, 4, FRAME+0x4000+P+W+U, 0x80000000
  TRY
  mov 0x4000(%rbx), %eax
  CAUGHT NONE, 0, "read of an NX page"
  mov $WINDOW+0x4000, %rcx
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "fetch from an NX page"
  EXPECT_EQ seen_rip, %rcx, "RIP of the fetch"
  EXPECT_CR2 WINDOW+0x4000, "fetch from an NX page"
  SET_ENTRY WINDOW_PT, 4, FRAME+0x4000+P+W+U
  TRY
  call *%rcx
  CAUGHT NONE, 0, "fetch from a page without NX"
  SET_ENTRY WINDOW_PD, 0, WINDOW_PT+P+W+U, 0x80000000
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_PF, 0x11, "NX in the page directory"
  SET_ENTRY WINDOW_PD, 0, WINDOW_PT+P+W+U
  SET_ENTRY WINDOW_PT, 4, 0
  TRY
  call *%rcx
  CAUGHT_ANYWHERE VECTOR_PF, 0x10, "fetch from a page that is not present"
  CASE "reserved bits"
  SET_ENTRY WINDOW_PT, 5, FRAME+0x5000+P+W+U, 0x00080000
  TRY
  mov 0x5000(%rbx), %eax
  CAUGHT VECTOR_PF, 9, "bit 51 of an entry"
  TRY
  mov %eax, 0x5000(%rbx)
  CAUGHT VECTOR_PF, 0xB, "a write with bit 51 of an entry"
  SET_ENTRY WINDOW_PD, 1, 0xA02000+P+W+U+PS
  TRY
  mov 0x200000(%rbx), %eax
  CAUGHT VECTOR_PF, 9, "bit 13 of a 2 MiB page"
  SET_ENTRY PML4, 2, WINDOW_PDPT+P+W+U+PS
  mov $WINDOW+0x8000000000, %rdx
  TRY
  mov (%rdx), %eax
  CAUGHT VECTOR_PF, 9, "PS in the PML4"
  mov $MSR_EFER, %ecx
  rdmsr
  and $~0x800, %eax
  wrmsr
  SET_ENTRY WINDOW_PT, 5, FRAME+0x5000+P+W+U, 0x80000000
  TRY
  mov 0x5000(%rbx), %eax
  CAUGHT VECTOR_PF, 9, "bit 63 without NXE"
  mov $MSR_EFER, %ecx
  rdmsr
  or $0x800, %eax
  wrmsr
  CASE "accessed and dirty bits"
  SET_ENTRY WINDOW_PT, 6, FRAME+0x6000+P+W+U
  mov 0x6000(%rbx), %eax
  mov WINDOW_PT + 48, %eax
  and $A|D, %eax
  EXPECT_EQ %rax, $A, "A after a read"
  mov %eax, 0x6000(%rbx)
  mov WINDOW_PT + 48, %eax
  and $A|D, %eax
  EXPECT_EQ %rax, $A|D, "D after a write"
  SET_ENTRY WINDOW_PT, 7, FRAME+0x7000+P+U
  TRY
  mov %eax, 0x7000(%rbx)
  CAUGHT VECTOR_PF, 3, "a write that faults"
  mov WINDOW_PT + 56, %eax
  and $D, %eax
  EXPECT_EQ %rax, $0, "D after a write that faults"
  mov WINDOW_PD, %eax
  and $A|D, %eax
  EXPECT_EQ %rax, $A, "A in the page directory"
  SET_ENTRY WINDOW_PT, 8, FRAME+0x8000+P+W+U
  mov $1, %eax
  xor %ecx, %ecx
  movl $5, FRAME + 0x8000
  lock cmpxchg %ecx, 0x8000(%rbx)
  mov WINDOW_PT + 64, %ecx
  and $D, %ecx
  EXPECT_EQ %rcx, $D, "D after a CMPXCHG that did not match"
  CASE "large pages"
  SET_ENTRY WINDOW_PD, 2, 0xA00000+P+W+U+PS
  movl $0x2A2A2A2A, 0xB23458
  mov 0x523458(%rbx), %eax
  EXPECT_EQ %rax, $0x2A2A2A2A, "read through a 2 MiB page"
  mov %eax, 0x400000(%rbx)
  mov WINDOW_PD + 16, %eax
  and $A|D, %eax
  EXPECT_EQ %rax, $A|D, "A and D of a 2 MiB page"
  mov $0x80000001, %eax
  cpuid
  bt $26, %edx
  jnc no_gigabyte
  SET_ENTRY WINDOW_PDPT, 1, 0+P+W+U+PS
  mov $WINDOW+0x40000000, %rdx
  movl $0x1B1B1B1B, FRAME + 0x9000
  mov FRAME+0x9000(%rdx), %eax
  EXPECT_EQ %rax, $0x1B1B1B1B, "read through a 1 GiB page"
  SET_ENTRY WINDOW_PDPT, 2, 0x20000000+P+W+U+PS
  mov $WINDOW+0x80000000, %rdx
  TRY
  mov (%rdx), %eax
  CAUGHT VECTOR_PF, 9, "bit 29 of a 1 GiB page"
no_gigabyte:
  mov $WINDOW, %rbx
  CASE "across pages"
  SET_ENTRY WINDOW_PT, 10, FRAME+0xA000+P+W+U
  SET_ENTRY WINDOW_PT, 11, 0
  movq $0, FRAME + 0xAFF8
  mov $-1, %rax
  TRY
  mov %rax, 0xAFFC(%rbx)
  CAUGHT VECTOR_PF, 2, "a write across into a page that is not present"
  EXPECT_CR2 WINDOW+0xB000, "a write across into a page that is not present"
  EXPECT_EQ FRAME+0xAFF8, $0, "nothing of it is written"
  SET_ENTRY WINDOW_PT, 11, FRAME+0x3000+P+W+U
  mov $0x1122334455667788, %rax
  mov %rax, 0xAFFC(%rbx)
  mov 0xAFFC(%rbx), %rcx
  EXPECT_EQ %rcx, %rax, "a write across two frames"
  mov FRAME + 0x3000, %eax
  EXPECT_EQ %rax, $0x11223344, "its second half"
  CASE "the TLB"
  SET_ENTRY WINDOW_PT, 12, FRAME+0xC000+P+W+U
  movl $0xC0, FRAME + 0xC000
  movl $0xD0, FRAME + 0xD000
  mov 0xC000(%rbx), %eax
  movl $FRAME+0xD000+P+W+U, WINDOW_PT + 96
  invlpg 0xC800(%rbx)
  mov 0xC000(%rbx), %eax
  EXPECT_EQ %rax, $0xD0, "after INVLPG"
  movl $FRAME+0xC000+P+W+U+G, WINDOW_PT + 96
  mov %cr4, %rax
  or $CR4_PGE, %eax
  mov %rax, %cr4
  mov 0xC000(%rbx), %eax
  EXPECT_EQ %rax, $0xC0, "after CR4.PGE changes"
  movl $FRAME+0xD000+P+W+U, WINDOW_PT + 96
  mov %cr4, %rax
  and $~CR4_PGE, %eax
  mov %rax, %cr4
  mov 0xC000(%rbx), %eax
  EXPECT_EQ %rax, $0xD0, "a global page after CR4.PGE is cleared"
  movl $FRAME+0xC000+P+W+U, WINDOW_PT + 96
  mov %cr3, %rax
  mov %rax, %cr3
  mov 0xC000(%rbx), %eax
  EXPECT_EQ %rax, $0xC0, "after MOV to CR3"
  SET_ENTRY WINDOW_PT, 12, 0
  TRY
  mov 0xC000(%rbx), %eax
  CAUGHT VECTOR_PF, 0, "made not present"
  movl $FRAME+0xC000+P+W+U, WINDOW_PT + 96
  TRY
  mov 0xC000(%rbx), %eax
  CAUGHT NONE, 0, "an entry made present needs no flush"
  FINISH
user_write_ro: mov %eax, 0x1010(%rbx)
user_read_2: mov 0x2000(%rbx), %eax
user_write_2: mov %eax, 0x2000(%rbx)
user_read_3: mov 0x3000(%rbx), %eax
user_read_0: mov (%rbx), %eax
