# Tests: SYSCALL and SYSRET from 64-bit and compatibility mode, IA32_FMASK, EFER.SCE, SYSENTER and SYSEXIT.
# Specification: SDM 3A §5.8.7, §5.8.8, SDM 2B "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT".
# Expected:
#   SYSCALL from 64-bit mode
#   SYSRET to compatibility mode
#   refusals
#   SYSENTER and SYSEXIT
#   pass
.include "program.inc"
.include "protected.inc"
.include "paging.inc"
PROGRAM
  ENTER_LONG
  WRITE_MSR 0xC0000081, $0, ((USER_CODE32|3)<<16)|CODE32      # STAR: ring 0 at 0x08, ring 3 at 0x20
  WRITE_MSR 0xC0000082, $kernel_64
  WRITE_MSR 0xC0000084, $FLAG_IF|0x400
  # SYSCALL takes SS = CS + 8, and its CS is the 64-bit one: a base of 0x08 names selectors 0x08 and 0x10.
  CASE "SYSCALL from 64-bit mode"
  TRY
  ENTER_USER64 user_syscall, 0x647
  CAUGHT LEAVE, 0, "back by SYSRET", at=user_syscall_done
  EXPECT_EQ k_cs, $CODE32, "CS"
  EXPECT_EQ k_ss, $DATA, "SS"
  EXPECT_EQ k_rcx, $user_syscall_return, "RCX is the return address"
  EXPECT_EQ k_r11, $0x647, "R11 is RFLAGS"
  EXPECT_EQ k_flags, $0x47, "RFLAGS under the mask"
  EXPECT_EQ k_rsp, $user_stack_top, "RSP is not changed"
  EXPECT_EQ seen_cs, $USER_CODE64|3, "CS after SYSRETQ"
  EXPECT_EQ seen_ss, $USER_DATA|3, "SS after SYSRETQ"
  EXPECT_EQ seen_flags, $0x647, "RFLAGS after SYSRETQ"
  CASE "SYSRET to compatibility mode"
  movl $1, to_compat
  TRY
  ENTER_USER64 user_syscall
  CAUGHT_ANYWHERE LEAVE, 0, "back by SYSRETL"
  EXPECT_EQ seen_cs, $USER_CODE32|3, "CS after SYSRETL"
  movl $0, to_compat
  CASE "refusals"
  TRY
  ENTER_USER64 user_sysret
  CAUGHT VECTOR_GP, 0, "SYSRET in ring 3", at=user_sysret
  movb $1, idt64 + VECTOR_GP * 16 + 4
  mov $0x800000000000, %rcx
  mov $2, %r11d
  TRY
  sysretq
  CAUGHT VECTOR_GP, 0, "SYSRETQ to an address that is not canonical"
  movb $0, idt64 + VECTOR_GP * 16 + 4
  mov $MSR_EFER, %ecx
  rdmsr
  and $~1, %eax
  wrmsr
  TRY
  ENTER_USER64 user_syscall
  CAUGHT VECTOR_UD, 0, "SYSCALL without SCE", at=user_syscall
  TRY
  sysretq
  CAUGHT VECTOR_UD, 0, "SYSRET without SCE"
  CASE "SYSENTER and SYSEXIT"
  WRITE_MSR 0x174, $0
  TRY
  ENTER_USER64 user_sysenter
  CAUGHT VECTOR_GP, 0, "SYSENTER without a selector", at=user_sysenter
  TRY
  rex.w sysexit
  CAUGHT VECTOR_GP, 0, "SYSEXIT without a selector"
  WRITE_MSR 0x174, $CODE32
  WRITE_MSR 0x175, $interrupt_stack_top
  WRITE_MSR 0x176, $kernel_sysenter
  TRY
  ENTER_USER64 user_sysenter, 0x202
  CAUGHT_ANYWHERE LEAVE, 0, "back by SYSEXIT"
  EXPECT_EQ k_cs, $CODE32, "CS"
  EXPECT_EQ k_ss, $DATA, "SS"
  EXPECT_EQ k_rsp, $interrupt_stack_top, "RSP"
  EXPECT_EQ k_flags, $2, "IF is cleared"
  EXPECT_EQ seen_cs, $CODE32+32+3, "CS after SYSEXITQ"
  EXPECT_EQ seen_ss, $CODE32+40+3, "SS after SYSEXITQ"
  EXPECT_EQ seen_rsp, $user_stack_top, "RSP after SYSEXITQ"
  TRY
  ENTER_USER64 user_sysexit
  CAUGHT VECTOR_GP, 0, "SYSEXIT in ring 3", at=user_sysexit
  FINISH
kernel_64:
  mov %rsp, k_rsp
  mov $interrupt_stack_top, %esp
  mov %rcx, k_rcx
  mov %r11, k_r11
  pushfq
  popq k_flags
  mov %cs, %eax
  mov %rax, k_cs
  mov %ss, %eax
  mov %rax, k_ss
  mov k_rsp, %rsp
  cmpl $0, to_compat
  jne 1f
  sysretq
1: mov $user_compat_return, %ecx
  sysretl
kernel_sysenter:
  mov %rsp, k_rsp
  pushfq
  popq k_flags
  mov %cs, %eax
  mov %rax, k_cs
  mov %ss, %eax
  mov %rax, k_ss
  mov $user_sysenter_return, %edx
  mov $user_stack_top, %ecx
  rex.w sysexit
user_syscall: syscall
user_syscall_return:
  int $LEAVE
user_syscall_done:
user_sysret: sysretq
user_sysenter: sysenter
user_sysenter_return: int $LEAVE
user_sysexit: rex.w sysexit
USE32
user_compat_return: int $LEAVE
.section .bss
to_compat: .skip 8
k_cs: .skip 8
k_ss: .skip 8
k_rcx: .skip 8
k_r11: .skip 8
k_rsp: .skip 8
k_flags: .skip 8
