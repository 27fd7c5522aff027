# Tests: 32-bit paging: 4 KiB and 4 MiB pages, U, W and WP, accessed and dirty bits, PSE off, and error codes.
# Specification: SDM 3A §4.3, §4.6, §4.7, §4.8.
# Expected:
#   present
#   accessed and dirty bits
#   protection
#   4 MiB pages
#   across pages
#   pass
.include "program.inc"
.include "protected.inc"
.set DIRECTORY, 0x400000
.set TABLE, 0x401000
.set FRAME, 0x800000
.set WINDOW, 0x40000000
.set P, 1
.set W, 2
.set U, 4
.set A, 0x20
.set D, 0x40
.set PS, 0x80
.macro SET_ENTRY table, index, value
  movl $\value, \table + 4 * \index
  mov %cr3, %eax
  mov %eax, %cr3
.endm
PROGRAM
  mov $DIRECTORY, %edi
  mov $0x800, %ecx
  xor %eax, %eax
  rep stosl
  mov $DIRECTORY, %edi
  mov $P|W|U|PS, %eax
  mov $16, %ecx
1: stosl
  add $0x400000, %eax
  loop 1b
  movl $TABLE+P+W+U, DIRECTORY + 4 * 0x100
  mov %cr4, %eax
  or $CR4_PSE, %eax
  mov %eax, %cr4
  mov $DIRECTORY, %eax
  mov %eax, %cr3
  mov %cr0, %eax
  or $CR0_PG | CR0_WP, %eax
  mov %eax, %cr0
  mov $WINDOW, %ebx
  CASE "present"
  TRY
  mov 8(%ebx), %eax
  CAUGHT VECTOR_PF, 0, "read of a page that is not present"
  EXPECT_EQ seen_cr2, $WINDOW+8, "CR2"
  TRY
  mov %eax, 8(%ebx)
  CAUGHT VECTOR_PF, 2, "write of a page that is not present"
  movl $0x1234, FRAME
  SET_ENTRY TABLE, 0, FRAME+P+W+U
  mov (%ebx), %ecx
  EXPECT_EQ %ecx, $0x1234, "read through the window"
  CASE "accessed and dirty bits"
  mov TABLE, %ecx
  and $A|D, %ecx
  EXPECT_EQ %ecx, $A, "A after a read"
  mov %eax, (%ebx)
  mov TABLE, %ecx
  and $A|D, %ecx
  EXPECT_EQ %ecx, $A|D, "D after a write"
  mov DIRECTORY + 0x400, %ecx
  and $A|D, %ecx
  EXPECT_EQ %ecx, $A, "A in the directory"
  CASE "protection"
  SET_ENTRY TABLE, 1, FRAME+0x1000+P+U
  TRY
  mov %eax, 0x1000(%ebx)
  CAUGHT VECTOR_PF, 3, "write of a read-only page with WP"
  TRY
  ENTER_USER32 user_write_1
  CAUGHT VECTOR_PF, 7, "in ring 3", at=user_write_1
  mov %cr0, %eax
  and $~CR0_WP, %eax
  mov %eax, %cr0
  TRY
  mov %eax, 0x1000(%ebx)
  CAUGHT NONE, 0, "write of a read-only page without WP"
  mov TABLE + 4, %ecx
  and $D, %ecx
  EXPECT_EQ %ecx, $D, "D after it"
  mov %cr0, %eax
  or $CR0_WP, %eax
  mov %eax, %cr0
  SET_ENTRY TABLE, 2, FRAME+0x2000+P+W
  TRY
  ENTER_USER32 user_read_2
  CAUGHT VECTOR_PF, 5, "read of a supervisor page in ring 3", at=user_read_2
  TRY
  mov 0x2000(%ebx), %eax
  CAUGHT NONE, 0, "in ring 0"
  SET_ENTRY DIRECTORY, 0x100, TABLE+P+W
  TRY
  ENTER_USER32 user_read_0
  CAUGHT VECTOR_PF, 5, "U clear in the directory", at=user_read_0
  SET_ENTRY DIRECTORY, 0x100, TABLE+P+W+U
  CASE "4 MiB pages"
  SET_ENTRY DIRECTORY, 0x101, FRAME+P+W+U+PS
  movl $0x4444, FRAME + 0x123458
  mov WINDOW + 0x523458, %ecx
  EXPECT_EQ %ecx, $0x4444, "read through a 4 MiB page"
  mov %ecx, WINDOW + 0x523458
  mov DIRECTORY + 0x404, %ecx
  and $A|D, %ecx
  EXPECT_EQ %ecx, $A|D, "A and D of a 4 MiB page"
  SET_ENTRY DIRECTORY, 0x102, FRAME+0x200000+P+W+U+PS
  TRY
  mov WINDOW + 0x800000, %eax
  CAUGHT VECTOR_PF, 9, "bit 21 of a 4 MiB page"
  CASE "across pages"
  SET_ENTRY TABLE, 5, FRAME+0x5000+P+W+U
  SET_ENTRY TABLE, 6, 0
  movl $0, FRAME + 0x5FFC
  TRY
  movl $-1, 0x5FFE(%ebx)
  CAUGHT VECTOR_PF, 2, "a write across into a page that is not present"
  EXPECT_EQ seen_cr2, $WINDOW+0x6000, "CR2 is the second page"
  EXPECT_EQ FRAME+0x5FFC, $0, "nothing is written"
  FINISH
user_write_1: mov %eax, 0x1000(%ebx)
user_read_2: mov 0x2000(%ebx), %eax
user_read_0: mov (%ebx), %eax
