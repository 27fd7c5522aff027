# Tests: call gates of 32 and 16 bits, to the same and to a more privileged ring, with stack switch and parameter copy;
# far calls, jumps and returns; conforming code; the faults of each.
# Specification: SDM 3A §5.8.1 to 5.8.6, SDM 2A "CALL", "JMP", SDM 2B "RET".
# Expected:
#   far call and return in ring 0
#   a gate in the same ring
#   from ring 3 to ring 0
#   a 16-bit gate
#   refusals in ring 3
#   conforming code
#   pass
.include "program.inc"
.include "protected.inc"
.set INNER_TOP, interrupt_stack_top
PROGRAM
  SET_GATE (gdt + SLOT0), CODE32, $inner_two, 0xEC, 2     # to ring 0 with two parameters, from ring 3
  SET_GATE (gdt + SLOT1), CODE32, $same_ring, 0x8C, 2     # DPL 0
  SET_GATE (gdt + SLOT2), CODE32, $same_ring, 0x6C, 0     # DPL 3, not present
  SET_GATE (gdt + SLOT3), SLOT4, $inner_two, 0xEC, 0      # to a code segment that is not present
  SET_DESCRIPTOR SLOT4, $0, 0xFFFFF, 0x1B, 0xC
  SET_DESCRIPTOR SLOT5, $0, 0xFFFFF, 0x9F, 0xC            # conforming code of ring 0
  SET_GATE (gdt + SLOT6), DATA, $inner_two, 0xEC, 0       # to a data segment
  SET_GATE (gdt + SLOT7), 0, $inner_two, 0xEC, 0          # to null
  SET_GATE (gdt + SLOT8), CODE32, $inner_word, 0xE4, 1    # a 16-bit gate with one word
  CASE "far call and return in ring 0"
  mov %esp, %esi
  TRY
  lcall $CODE32, $near_by
  CAUGHT NONE, 0, "far call"
  mov %esp, %eax
  EXPECT_EQ %eax, %esi, "ESP after RETF"
  TRY
  lcall $DATA, $near_by
  CAUGHT VECTOR_GP, DATA, "far call to data"
  TRY
  ljmp $SLOT4, $near_by
  CAUGHT VECTOR_NP, SLOT4, "far jump to code that is not present"
  TRY
  ljmp $0, $near_by
  CAUGHT VECTOR_GP, 0, "far jump to null"
  TRY
  ljmp $0x1F8, $near_by
  CAUGHT VECTOR_GP, 0x1F8, "far jump beyond the GDT"
  TRY
  ljmp $USER_CODE32, $near_by
  CAUGHT VECTOR_GP, USER_CODE32, "far jump to code of ring 3"
  CASE "a gate in the same ring"
  mov %esp, %esi
  TRY
  lcall $SLOT1, $0
  CAUGHT NONE, 0, "call through a gate"
  EXPECT_EQ inner_cs, $CODE32, "CS"
  mov inner_esp, %eax
  sub %esi, %eax
  EXPECT_EQ %eax, $-8, "no parameters are copied without a stack switch"
  TRY
  ljmp $SLOT1, $0
after_gate_jump:
  CAUGHT NONE, 0, "jump through a gate"
  TRY
  lcall $SLOT2, $0
  CAUGHT VECTOR_NP, SLOT2, "gate that is not present"
  TRY
  lcall $SLOT6, $0
  CAUGHT VECTOR_GP, DATA, "gate to data"
  TRY
  lcall $SLOT7, $0
  CAUGHT VECTOR_GP, 0, "gate to null"
  CASE "from ring 3 to ring 0"
  TRY
  ENTER_USER32 user_calls
  CAUGHT LEAVE, 0, "back in ring 3", at=user_done
  EXPECT_EQ inner_cs, $CODE32, "CS of the callee"
  EXPECT_EQ inner_ss, $DATA, "SS from the TSS"
  EXPECT_EQ inner_esp, $INNER_TOP-24, "ESP from the TSS less six doublewords"
  EXPECT_EQ inner_frame, $user_returned, "return EIP"
  EXPECT_EQ inner_frame+4, $USER_CODE32|3, "return CS"
  EXPECT_EQ inner_frame+8, $0x22222222, "last parameter"
  EXPECT_EQ inner_frame+12, $0x11111111, "first parameter"
  EXPECT_EQ inner_frame+16, $user_stack_top-8, "outer ESP"
  EXPECT_EQ inner_frame+20, $USER_DATA|3, "outer SS"
  EXPECT_EQ user_esp, $user_stack_top, "ESP after RETF 8 in ring 3"
  EXPECT_EQ user_cs, $USER_CODE32|3, "CS after RETF in ring 3"
  EXPECT_EQ user_fs, $0, "FS of ring 0 is null after RETF to ring 3"
  EXPECT_EQ user_gs, $USER_DATA|3, "GS of ring 3 stays"
  CASE "a 16-bit gate"
  TRY
  ENTER_USER32 user_calls_word
  CAUGHT LEAVE, 0, "back in ring 3", at=user_word_done
  EXPECT_EQ inner_esp, $INNER_TOP-10, "ESP from the TSS less five words"
  EXPECT_EQ inner_parameter, $0x4321, "parameter"
  EXPECT_EQ inner_outer_sp, $0x6FFE, "outer SP"
  CASE "refusals in ring 3"
  TRY
  ENTER_USER32 user_calls_private
  CAUGHT VECTOR_GP, SLOT1, "gate of DPL 0", at=user_calls_private
  TRY
  ENTER_USER32 user_calls_kernel
  CAUGHT VECTOR_GP, CODE32, "far call to code of ring 0", at=user_calls_kernel
  TRY
  ENTER_USER32 user_calls_absent
  CAUGHT VECTOR_NP, SLOT4, "gate to code that is not present", at=user_calls_absent
  TRY
  ENTER_USER32 user_jumps_inward
  CAUGHT VECTOR_GP, CODE32, "jump through a gate to a more privileged ring", at=user_jumps_inward
  TRY
  ENTER_USER32 user_returns_inward
  CAUGHT VECTOR_GP, CODE32, "RETF to a more privileged ring", at=user_retf
  CASE "conforming code"
  TRY
  ENTER_USER32 user_calls_conforming
  CAUGHT LEAVE, 0, "conforming code of ring 0 from ring 3", at=user_conforming_done
  EXPECT_EQ inner_cs, $SLOT5|3, "CS keeps CPL 3"
  FINISH
near_by: lret
same_ring:
  mov %cs, %eax
  mov %eax, inner_cs
  mov %esp, inner_esp
  cmp %esp, %esi
  je after_gate_jump
  lret
inner_two:
  mov %cs, %eax
  mov %eax, inner_cs
  mov %ss, %eax
  mov %eax, inner_ss
  mov %esp, inner_esp
  mov $DATA, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %fs
  mov %esp, %esi
  mov $inner_frame, %edi
  mov $6, %ecx
  cld
  rep movsl
  mov $USER_DATA | 3, %eax
  mov %eax, %ds
  mov %eax, %es
  lret $8
user_calls:
  push $0x11111111
  push $0x22222222
  lcall $SLOT0, $0
user_returned:
  mov %cs, %eax
  mov %eax, user_cs
  mov %esp, user_esp
  xor %eax, %eax
  mov %fs, %ax
  mov %eax, user_fs
  mov %gs, %ax
  mov %eax, user_gs
  int $LEAVE
user_done:
user_calls_private: lcall $SLOT1, $0
user_calls_kernel: lcall $CODE32, $near_by
user_calls_absent: lcall $SLOT3, $0
user_jumps_inward: ljmp $SLOT0, $0
user_returns_inward:
  push $CODE32
  push $near_by
user_retf: lret
user_calls_conforming:
  lcall $SLOT5, $conforming
  int $LEAVE
user_conforming_done:
conforming:
  mov %cs, %eax
  mov %eax, inner_cs
  lret
.section .low, "awx"
inner_word:
  mov %esp, inner_esp
  movzwl 4(%esp), %eax
  mov %eax, inner_parameter
  movzwl 6(%esp), %eax
  mov %eax, inner_outer_sp
  data16 lret $2
user_calls_word:                    # low, as a 16-bit return address reaches no further
  mov $0x7000, %esp
  pushw $0x4321
  lcall $SLOT8, $0
  int $LEAVE
user_word_done:
.section .bss
inner_cs: .skip 4
inner_ss: .skip 4
inner_esp: .skip 4
inner_frame: .skip 24
user_cs: .skip 4
user_esp: .skip 4
user_fs: .skip 4
user_gs: .skip 4
inner_parameter: .skip 4
inner_outer_sp: .skip 4
