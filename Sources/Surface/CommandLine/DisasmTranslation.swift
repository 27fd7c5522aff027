import ArgumentParser
internal import X86
import X86Decoder
internal import X86Translator

extension Disasm {
    /// Prints the block at `--address`.
    func printTranslation(of regions: [CodeRegion]) throws {
        guard format == .text else { throw ValidationError("--translated prints text only") }
        guard let model = CPUModel.named(cpu) else { throw ValidationError("there is no CPU model '\(cpu)'") }
        var start = regions.first?.address ?? 0
        if let address {
            guard let number = Self.number(address) else { throw ValidationError("--address \(address) is not a number") }
            // Code without a base of its own lies where its block is said to start.
            let isPlaced = base != "0" || regions.contains { !$0.name.isEmpty }
            if !isPlaced, hex != nil, let region = regions.first {
                return try show(region.bytes, at: number, size: region.size, model: model)
            }
            start = number
        }
        let found = regions.first { start >= $0.address && start - $0.address < UInt64($0.bytes.count) }
        guard let region = found else {
            throw CommandFailure("there is no code at address 0x\(String(start, radix: 16))")
        }
        try show(Array(region.bytes[Int(start - region.address)...]), at: start, size: region.size, model: model)
    }

    private func show(_ code: [UInt8], at address: UInt64, size: CodeSize, model: CPUModel) throws(CommandFailure) {
        guard size == .bits64 else { throw CommandFailure("only 64-bit code is translated") }
        do throws(TranslatorError) {
            let listing = try TranslationListing(code, at: address, model: model)
            Console.write(TranslationText(listing).lines.joined(separator: "\n") + "\n", to: 1)
        } catch {
            throw CommandFailure(error)
        }
    }
}

/// A listing as text: each guest instruction with a line number of its own, and the host's instructions below it.
struct TranslationText {
    private(set) var lines: [String] = []
    private let listing: TranslationListing

    init(_ listing: TranslationListing) {
        self.listing = listing
        let count = "\(listing.parts.count) instructions, \(listing.guestBytes.count) bytes"
        lines.append("; guest block at 0x\(String(listing.guestAddress, radix: 16)): \(count)")
        lines.append("; host code: \(listing.hostBytes.count) bytes")
        for part in listing.parts {
            lines += Self.decode(listing.guestBytes, part.guest, base: listing.guestAddress).map { "\($0.address)\t\($0.text)" }
            lines += host(part.host)
        }
        lines.append("exits:")
        lines += host(listing.exits)
    }

    private func host(_ range: Range<Int>) -> [String] {
        Self.decode(listing.hostBytes, range, base: listing.hostAddress).map { line in
            let target = listing.sharedCode.first { line.text.hasSuffix(" 0x" + String($0.address, radix: 16)) }
            let isBranch = line.text.hasPrefix("call") || line.text.hasPrefix("jmp")
            return "\t\(line.address)\t\(line.text)" + (isBranch ? target.map { "\t; \($0.name)" } ?? "" : "")
        }
    }

    private static func decode(_ bytes: [UInt8], _ range: Range<Int>, base: UInt64) -> [(address: String, text: String)] {
        var lines: [(address: String, text: String)] = []
        var offset = range.lowerBound
        while offset < range.upperBound {
            var instruction = DecodedInstruction()
            let status = unsafe bytes.withUnsafeBufferPointer { buffer -> DecodeStatus in
                guard let start = buffer.baseAddress else { return .truncated }
                let count = range.upperBound - offset
                return unsafe InstructionDecoder.decode(start + offset, count: count, size: .bits64, into: &instruction)
            }
            let address = base &+ UInt64(offset)
            let isKnown = status == .complete && instruction.operation != .undefined
            let text = isKnown ? InstructionFormatter(address: address, size: .bits64).text(instruction) : "(bad)"
            lines.append((String(address, radix: 16), text))
            offset += isKnown ? max(1, Int(instruction.length)) : 1
        }
        return lines
    }
}
