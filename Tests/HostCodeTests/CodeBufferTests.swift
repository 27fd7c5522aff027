import Glibc
import HostCode
import Testing
import X86

@Suite struct CodeBufferTests {
    @Test func `Generated code runs and sees its argument`() throws {
        let buffer = try CodeBuffer(byteCount: 4096)
        let code = try buffer.append { assembler in
            assembler.load64(.rax, HostMemory(.rdi, 0))
            assembler.move64(.r9, immediate: 0x1122_3344_5566_7788)
            assembler.store64(HostMemory(.rdi, 8), .r9)
            assembler.store64(HostMemory(.rdi, 16), .rax)
            assembler.ret()
        }
        var words: (UInt64, UInt64, UInt64) = (42, 0, 0)
        withUnsafeMutableBytes(of: &words) { bytes in
            if let base = bytes.baseAddress { code.call(base) }
        }
        #expect(words.1 == 0x1122_3344_5566_7788)
        #expect(words.2 == 42)
    }

    @Test func `Generated code runs without a memory file, and only from the mapping that cannot be written`() throws {
        let buffer = try CodeBuffer(byteCount: 8192, isAnonymous: true)
        let code = try buffer.append { assembler in
            assembler.move64(.r9, immediate: 77)
            assembler.store64(HostMemory(.rdi, 0), .r9)
            assembler.ret()
        }
        var word: UInt64 = 0
        withUnsafeMutableBytes(of: &word) { bytes in
            if let base = bytes.baseAddress { code.call(base) }
        }
        #expect(word == 77)
        #expect(protection(of: buffer.executableBase) == "r-xs")
        #expect(protection(of: buffer.writableBase) == "rw-s")
    }

    /// The rights to the mapping that holds `address`, as `/proc/self/maps` has them.
    private func protection(of address: UnsafeMutableRawPointer) -> String? {
        guard let file = fopen("/proc/self/maps", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 1024)
        while fgets(&line, 1024, file) != nil {
            let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
            let bounds = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            if bounds.count == 2, bounds[0]..<bounds[1] ~= UInt(bitPattern: address) { return String(words[1]) }
        }
        return nil
    }

    @Test func `A full buffer throws and stays as it was`() throws {
        let buffer = try CodeBuffer(byteCount: 4096)
        _ = try buffer.append { $0.ret() }
        let used = buffer.usedByteCount
        #expect(throws: HostCodeError.full(byteCount: 4096)) {
            try buffer.append { assembler in for _ in 0..<5000 { assembler.byte(0x90) } }
        }
        #expect(buffer.usedByteCount == used)
        buffer.reset()
        #expect(buffer.usedByteCount == 0)
    }

    @Test func `A forward jump lands where it is bound`() throws {
        let buffer = try CodeBuffer(byteCount: 4096)
        let code = try buffer.append { assembler in
            assembler.load32(.rcx, HostMemory(.rdi, 0))
            assembler.and32(.rcx, immediate: 1)
            let skip = assembler.jump(if: .notEqual)
            assembler.store32(HostMemory(.rdi, 4), immediate: 7)
            assembler.bind(skip)
            assembler.ret()
        }
        for (input, expected) in [(0 as UInt32, 7 as UInt32), (1, 0)] {
            var words: (UInt32, UInt32) = (input, 0)
            withUnsafeMutableBytes(of: &words) { bytes in
                if let base = bytes.baseAddress { code.call(base) }
            }
            #expect(words.1 == expected)
        }
    }

    @Test func `CPUID tells a vendor`() throws {
        let result = try #require(HostProcessor.cpuid(0, 0))
        #expect(result.eax >= 1)
        #expect(result.ebx != 0)
        #expect(HostProcessor.vectorFeatures.contains(.sse2))
    }
}
