# Tests: a fault in the delivery of #DF shuts the processor down.
# Specification: SDM 3A §6.15 "Interrupt 8".
# End: shutdown
# Expected:
#   an IDT without room
.include "program.inc"
.include "protected.inc"
PROGRAM
  CASE "an IDT without room"
  lidt no_idt
  ud2
  CASE "still running"
  FINISH
.data
no_idt: .word 0
  .long 0
