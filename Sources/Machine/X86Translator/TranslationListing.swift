internal import HostCode
internal import SystemCalls
public import X86

/// One block of guest code and the host code made for it, without a guest that runs it.
public struct TranslationListing: Sendable {
    /// A guest instruction and its code.
    public struct Part: Sendable {
        /// From the block's first byte, in guest code.
        public let guest: Range<Int>
        /// From the block's first byte, in host code.
        public let host: Range<Int>
    }

    /// The linear address of the first guest instruction.
    public let guestAddress: UInt64
    public let guestBytes: [UInt8]
    /// The host instructions' distance from the first byte of all code; shared code lies before them.
    public let hostAddress: UInt64
    public let hostBytes: [UInt8]
    public let parts: [Part]
    /// What lies behind the instructions: jumps out of the block, and calls for addresses that the TLB does not hold.
    public let exits: Range<Int>
    /// The places in shared code that blocks call and jump to.
    public let sharedCode: [(name: String, address: UInt64)]

    private static func makePages() throws(TranslatorError) -> HostMapping {
        do throws(SystemCallError) { return try HostMapping(anonymous: 8192) } catch { throw .system(error) }
    }

    /// Translates the block that starts at `address`, whose bytes `code` starts with, as the kernel's or a program's by the address,
    /// for a guest that may use all of `model`.
    public init(_ code: [UInt8], at address: UInt64, model: CPUModel) throws(TranslatorError) {
        guard HostRequirements.areMet else { throw .hostLacks(HostRequirements.missing) }
        let store: TranslationStore
        // A page of guest code, and as much again to read behind its end.
        let page = try Self.makePages()
        do throws(HostCodeError) { store = try TranslationStore(byteCount: 1 << 20) } catch { throw .code(error) }
        let start = Int(address & 0xFFF)
        // No instruction: the block ends where the code does.
        page.base.initializeMemory(as: UInt8.self, repeating: 0x06, count: 4096)
        code.prefix(4096 - start).withUnsafeBytes { bytes in
            (page.base + start).copyMemory(
                from: bytes.baseAddress ?? UnsafeRawPointer(page.base),
                byteCount: bytes.count
            )
        }
        var emitter = Emitter(base: store.code.writableBase, offset: 0)
        let stubs = Stubs(&emitter, usesAVX: HostRequirements.features.contains(.avx))
        store.firstOffset = (emitter.offset + 63) & ~63
        store.used = store.firstOffset
        let environment = BlockTranslator.Environment(
            model: model,
            hostFeatures: HostRequirements.features,
            recordsInstructions: true,
            stubs: stubs
        )
        environment.signature = .everything
        let view = store.view(address & ~0xFFF, page.base, address >> 63 == 0 ? 0 : 1)
        var translator = BlockTranslator(environment, store, rip: address, view: view)
        let record = store.blocks[translator.translate()]

        let first = Int(record.start)
        var parts: [Part] = []
        for (index, instruction) in store.instructionStarts.enumerated() {
            let next = index + 1 < store.instructionStarts.count ? store.instructionStarts[index + 1] : nil
            let guestEnd = min(Int(next?.guestOffset ?? record.byteCount), code.count)
            let hostEnd = Int(next?.offset ?? record.bodyEnd)
            // The last attempt may have found no whole instruction.
            guard guestEnd > Int(instruction.guestOffset) else { continue }
            parts.append(
                Part(
                    guest: Int(instruction.guestOffset)..<guestEnd,
                    host: Int(instruction.offset) - first..<hostEnd - first
                )
            )
        }
        guestAddress = address
        guestBytes = Array(code.prefix(Int(record.byteCount)))
        hostAddress = UInt64(first)
        hostBytes = Array(
            UnsafeRawBufferPointer(start: store.code.writableBase + first, count: Int(record.end) - first)
        )
        self.parts = parts
        exits = Int(record.bodyEnd) - first..<Int(record.end) - first
        sharedCode = stubs.parts.map { ($0.name, UInt64($0.offset)) }
    }
}

extension CodeSignature {
    /// Nothing is forbidden.
    fileprivate static var everything: CodeSignature {
        var signature = CodeSignature()
        signature.usesSSE = true
        signature.usesAVX = true
        signature.hasSystemCalls = true
        signature.hasBaseInstructions = true
        return signature
    }
}
