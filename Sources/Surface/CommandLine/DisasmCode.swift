internal import Glibc
import X86Decoder

/// A run of code bytes at an address.
struct CodeRegion {
    var name: String
    var address: UInt64
    var size: CodeSize
    var bytes: [UInt8]

    /// The executable sections of an ELF file (System V ABI, chapter 4); nil where a field points outside the file.
    static func sections(of file: [UInt8], bits: Int?) -> [CodeRegion]? {
        func read(_ offset: UInt64, _ count: UInt64) -> UInt64? {
            guard offset < UInt64(file.count), UInt64(file.count) - offset >= count else { return nil }
            var value: UInt64 = 0
            for index in 0..<Int(count) { value |= UInt64(file[Int(offset) + index]) << UInt64(index * 8) }
            return value
        }
        guard file.count > 0x34, file[5] == 1 else { return nil }
        let is64 = file[4] == 2
        guard let size = CodeSize(bits: bits ?? (is64 && read(18, 2) == 62 ? 64 : 32)),
            let table = is64 ? read(0x28, 8) : read(0x20, 4),
            let entrySize = read(is64 ? 0x3A : 0x2E, 2),
            let count = read(is64 ? 0x3C : 0x30, 2)
        else { return nil }
        var regions: [CodeRegion] = []
        for index in 0..<count {
            let entry = table.addingReportingOverflow(index * entrySize)
            guard !entry.overflow,
                let kind = read(entry.partialValue &+ 4, 4),
                let flags = is64 ? read(entry.partialValue &+ 8, 8) : read(entry.partialValue &+ 8, 4),
                let address = is64 ? read(entry.partialValue &+ 16, 8) : read(entry.partialValue &+ 12, 4),
                let offset = is64 ? read(entry.partialValue &+ 24, 8) : read(entry.partialValue &+ 16, 4),
                let byteCount = is64 ? read(entry.partialValue &+ 32, 8) : read(entry.partialValue &+ 20, 4)
            else { return nil }
            // PROGBITS with EXECINSTR.
            guard kind == 1, flags & 4 != 0, byteCount > 0 else { continue }
            guard offset <= UInt64(file.count), UInt64(file.count) - offset >= byteCount else { return nil }
            let bytes = Array(file[Int(offset)..<Int(offset + byteCount)])
            regions.append(CodeRegion(name: "section \(index)", address: address, size: size, bytes: bytes))
        }
        return regions
    }
}

/// Prints regions to standard output.
struct DisasmOutput {
    let format: Disasm.Format
    private var buffer: [UInt8] = []

    init(format: Disasm.Format) { self.format = format }

    mutating func print(_ region: CodeRegion) {
        if format == .text, !region.name.isEmpty { line("; \(region.name) at 0x\(String(region.address, radix: 16))") }
        var offset = 0
        var instruction = DecodedInstruction()
        while offset < region.bytes.count {
            let status = unsafe region.bytes.withUnsafeBufferPointer { bytes -> DecodeStatus in
                guard let base = bytes.baseAddress else { return .truncated }
                return unsafe InstructionDecoder.decode(
                    base + offset,
                    count: bytes.count - offset,
                    size: region.size,
                    into: &instruction
                )
            }
            let length = status == .complete ? max(Int(instruction.length), 1) : 1
            let address = region.address &+ UInt64(offset)
            let formatter = InstructionFormatter(address: address, size: region.size)
            let isKnown = status == .complete && instruction.operation != .undefined
            let hexadecimal = region.bytes[offset..<offset + length].map(Self.hexadecimal).joined()
            let text = isKnown ? formatter.text(instruction) : "(bad)"
            switch format {
            case .text:
                line("\(String(address, radix: 16))\t\(hexadecimal)\t\(text)")
            case .json:
                let mnemonic = isKnown ? formatter.mnemonic(instruction) : "(bad)"
                line(
                    "{\"address\":\(address),\"length\":\(length),\"bytes\":\"\(hexadecimal)\","
                        + "\"mnemonic\":\"\(mnemonic)\",\"text\":\"\(text)\"}"
                )
            }
            offset += length
        }
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
    }

    private mutating func line(_ text: String) {
        buffer += Array(text.utf8)
        buffer.append(10)
        if buffer.count > 1 << 16 { flush() }
    }

    mutating func flush() {
        var start = 0
        while start < buffer.count {
            let count = unsafe buffer[start...].withUnsafeBytes {
                unsafe write(STDOUT_FILENO, $0.baseAddress, $0.count)
            }
            guard count > 0 else { break }
            start += count
        }
        buffer.removeAll(keepingCapacity: true)
    }
}
