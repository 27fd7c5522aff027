import GuestMemory
import X86
import X86Decoder

// What comparing another engine's work with the interpreter's takes.
extension Interpreter {
    /// Hears of every page that is written to, see ``WriteJournal``.
    package var journal: WriteJournal? {
        get { services.journal }
        set { services.journal = newValue }
    }

    /// Follows registers that were put back to what they were: `translationsChanged` tells that a translation was forgotten since,
    /// so that the TLB may hold some that were not there yet.
    package func stateRestored(translationsChanged: Bool) {
        core.selectTLB()
        if translationsChanged { core.flushTLB() }
    }

    /// Interprets until ``CPUState/instructionCount`` is `end`, no events delivered.
    ///
    /// An unfinished round of a repeated string instruction counts as nothing.
    ///
    /// - Returns: false where an instruction faults or needs a device; its fault was then delivered, as always.
    package func interpretExactly(until end: UInt64) -> Bool { core.runExactly(until: end) }

    /// Whether the TLB still holds the page at `linear` for fetching, though the page tables say otherwise by now: an engine that
    /// walks and one that does not may differ, until the guest flushes it.
    package func isStale(fetchAt linear: UInt64) -> Bool {
        let entry = core.tlbEntry(linear, table: core.ruleTable)
        guard core.hits(entry, TLB.fetchTag, last: linear) else { return false }
        let host = entry.load(fromByteOffset: TLB.hostPage, as: UInt.self)
        return (try? core.walk(linear, .fetch, rules: core.ruleTable))?.host.map { UInt(bitPattern: $0) } != host
    }

    /// Whether a table of the TLB still lets the page at `linear` be read, though the page tables say otherwise by now.
    package func isStale(readAt linear: UInt64) -> Bool {
        (0..<TLB.checked).contains { table in
            let entry = core.tlbEntry(linear, table: table)
            guard core.hits(entry, TLB.readTag, last: linear) else { return false }
            let host = entry.load(fromByteOffset: TLB.hostPage, as: UInt.self)
            return (try? core.walk(linear, .read, rules: table))?.host.map { UInt(bitPattern: $0) } != host
        }
    }

    /// The guest-physical address of the byte of guest memory at `host`.
    package func physicalAddress(of host: UnsafeRawPointer) -> UInt64 {
        let offset = host - UnsafeRawPointer(services.memory.hostBase)
        let region = services.memory.regions.first { offset >= $0.fileOffset && offset < $0.fileOffset + $0.byteCount }
        guard let region else { return .max }
        return region.base.rawValue &+ UInt64(offset &- region.fileOffset)
    }

    /// Whether a repeated string instruction lies at `rip`, where it can be fetched.
    package func isRepeatedString(at rip: UInt64) -> Bool {
        guard let page = fetchPage(rip) else { return false }
        var instruction = DecodedInstruction()
        let offset = Int(rip & 0xFFF)
        // SAFETY: the page holds 4096 bytes, and the decoder looks at no more than it is told of.
        let code = UnsafePointer((page + offset).assumingMemoryBound(to: UInt8.self))
        let status = InstructionDecoder.decode(code, count: 4096 - offset, size: .bits64, into: &instruction)
        return status == .complete && instruction.isRepeatedString
    }
}

extension DecodedInstruction {
    fileprivate var isRepeatedString: Bool {
        switch operation {
        case .movs, .stos, .lods, .cmps, .scas, .ins, .outs:
            !prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual])
        default: false
        }
    }
}

extension Core {
    fileprivate func runExactly(until end: UInt64) -> Bool {
        let s = state
        let exceptions = services.counters.exceptions
        while s.instructionCount < end {
            if needsCarefulStep {
                step()
                if services.counters.exceptions != exceptions || services.neededRead != nil || services.hasPosted {
                    return false
                }
                continue
            }
            guard let block = try? block(at: s.rip) else { return false }
            let before = s.instructionCount
            let rip = s.rip
            _ = runBlock(block, count: min(block.count, Int(end &- before)))
            if services.counters.exceptions != exceptions || services.neededRead != nil || services.hasPosted {
                return false
            }
            let executed = Int(s.instructionCount &- before)
            let last = block.first + (executed - 1)
            if last.pointee.isRepeatedString {
                var start = rip
                for index in 0..<executed - 1 { start &+= UInt64(block.first[index].length) }
                if s.rip == start { s.instructionCount &-= 1 }
            }
        }
        return true
    }
}
