internal import ByteCoding

/// A Linux program of a few dozen bytes that tells the host a number, for guests that have nothing but busybox.
///
/// `exit-status N` waits until what was written to its standard output has left the guest (`tcdrain`), and then, unless N
/// is 0, writes N to port 0xF4 (isa-debug-exit). It returns where there is no such port, and fails where the kernel
/// refuses `iopl(2)`. Debian's cloud kernels have no `/dev/port`, or the shell could do this.
enum ExitStatusProgram {
    private static let base: UInt64 = 0x40_0000
    private static let headByteCount = 120

    /// The executable: an ELF header, one program header and the code.
    static var bytes: [UInt8] {
        var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        for half: UInt16 in [2, 62] { file.append(littleEndian: half) }  // executable, x86-64
        file.append(littleEndian: UInt32(1))
        for word in [base + UInt64(headByteCount), 64, 0] { file.append(littleEndian: word) }
        file.append(littleEndian: UInt32(0))
        for half: UInt16 in [64, 56, 1, 0, 0, 0] { file.append(littleEndian: half) }
        let byteCount = UInt64(headByteCount + code.count)
        for word: UInt32 in [1, 5] { file.append(littleEndian: word) }  // loadable, readable and executable
        for word in [0, base, base, byteCount, byteCount, 4096] { file.append(littleEndian: word) }
        return file + code
    }

    private static var code: [UInt8] {
        var code: [UInt8] = []
        code += [0x31, 0xDB]  // xor ebx, ebx
        code += [0x83, 0x3C, 0x24, 0x02]  // cmp dword [rsp], 2
        code += [0x72, 0x1A]  // jb drain
        code += [0x48, 0x8B, 0x74, 0x24, 0x10]  // mov rsi, [rsp+16]
        code += [0x0F, 0xB6, 0x06]  // digit: movzx eax, byte [rsi]
        code += [0x83, 0xE8, 0x30]  // sub eax, '0'
        code += [0x83, 0xF8, 0x09]  // cmp eax, 9
        code += [0x77, 0x0A]  // ja drain
        code += [0x6B, 0xDB, 0x0A]  // imul ebx, ebx, 10
        code += [0x01, 0xC3]  // add ebx, eax
        code += [0x48, 0xFF, 0xC6]  // inc rsi
        code += [0xEB, 0xEB]  // jmp digit
        code += [0xB8, 0x10, 0, 0, 0]  // drain: mov eax, 16 (ioctl)
        code += [0xBF, 0x01, 0, 0, 0]  // mov edi, 1
        code += [0xBE, 0x09, 0x54, 0, 0]  // mov esi, TCSBRK
        code += [0xBA, 0x01, 0, 0, 0]  // mov edx, 1
        code += [0x0F, 0x05]  // syscall
        code += [0x84, 0xDB]  // test bl, bl
        code += [0x74, 0x14]  // jz done
        code += [0xB8, 0xAC, 0, 0, 0]  // mov eax, 172 (iopl)
        code += [0xBF, 0x03, 0, 0, 0]  // mov edi, 3
        code += [0x0F, 0x05]  // syscall
        code += [0x85, 0xC0]  // test eax, eax
        code += [0x75, 0x08]  // jnz failed
        code += [0x89, 0xD8]  // mov eax, ebx
        code += [0xE6, 0xF4]  // out 0xF4, al
        code += [0x31, 0xFF]  // done: xor edi, edi
        code += [0xEB, 0x05]  // jmp leave
        code += [0xBF, 0x01, 0, 0, 0]  // failed: mov edi, 1
        code += [0xB8, 0x3C, 0, 0, 0]  // leave: mov eax, 60 (exit)
        code += [0x0F, 0x05]  // syscall
        return code
    }
}
