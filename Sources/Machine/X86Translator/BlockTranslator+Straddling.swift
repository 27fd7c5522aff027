import X86
import X86Decoder
import X86Interpreter

/// An instruction that straddles two pages is a block of its own, of the first page's view, which proves on entry that the
/// second page is still the one that it was translated from.
extension BlockTranslator {
    /// Whether the `count` bytes at `code`, which end a page, are only the beginning of an instruction.
    static func straddles(_ code: UnsafePointer<UInt8>, count: Int) -> Bool {
        var instruction = DecodedInstruction()
        return count < 15 && InstructionDecoder.decode(code, count: count, size: .bits64, into: &instruction) == .truncated
    }

    /// Translates the instruction whose 15 bytes are at ``code``; `second` is the view of the second page, 0 if it cannot be
    /// fetched now.
    mutating func translateStraddling(second: UInt32) -> UInt32 {
        let slot = Int((rip >> 12 &+ 1) & UInt64(TLB.entryCount - 1))
        if second != 0 {
            e.loadState32(HostRegisters.scratch, TranslatorLayout.tlb(table, TLB.viewID) + slot * 8)
            e.lea(HostRegisters.scratch, base: HostRegisters.scratch, 0 - Int(second))
            e.jumpIfZeroCount(over: 5)
        }
        e.call(environment.stubs.fallback)
        let site = addSite(.straddle, 0)
        store.sites[site].amount = Int32(bitPattern: second)
        guard second != 0 else {
            nextOffset = 4096 - Int(rip & 0xFFF)
            finish()
            return number
        }
        available = 15
        var isOpen = false
        if let next = peek() {
            take(next)
            available = nextOffset
            isOpen = instruction()
        } else {
            nextOffset = available
            leave()
        }
        if isOpen { jump(to: nextRIP) }
        finish()
        store.enter(number, alsoIn: second)
        return number
    }
}

extension Translator {
    /// The block for the instruction at `rip` of `view`, whose first `count` bytes are at `code`.
    func translateStraddling(_ rip: UInt64, _ number: UInt32, _ view: CodeView, _ code: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
        let next = (rip | 0xFFF) &+ 1
        let second = self.view(next) ?? 0
        let page = store.views[Int(second)].hostPage
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { bytes in
            for index in 0..<15 {
                let isSecond = index >= count && second != 0
                bytes[index] = index < count ? code[index] : isSecond ? page.load(fromByteOffset: index - count, as: UInt8.self) : 0
            }
            let start = UnsafePointer(bytes.baseAddress.unsafelyUnwrapped)
            var translator = BlockTranslator(environment, store, table: view.table, rip: rip, view: number, code: start)
            let made = translator.translateStraddling(second: second)
            interpreter.markCode(hostPage: view.hostPage, offset: Int(rip & 0xFFF), byteCount: count)
            if second != 0 {
                let rest = max(Int(store.blocks[made].byteCount) - count, 1)
                interpreter.markCode(hostPage: page, offset: 0, byteCount: rest)
            }
            return made
        }
    }

    /// How often another second page is met before the instruction is translated again.
    private static let patience: UInt32 = 64

    /// The second page of the straddling instruction at site `number` is not known to be the one it was translated from.
    ///
    /// - Returns: The offset of the code to go on with; nil to let the interpreter run the instruction.
    func proveSecondPage(_ number: UInt32) -> Int? {
        let site = store.sites[number]
        let record = store.blocks[site.block]
        let expected = UInt32(bitPattern: site.amount)
        let generation = store.generation
        guard let second = view((record.rip | 0xFFF) &+ 1), store.generation == generation, !record.isDead else { return nil }
        if second == expected { return Int(record.start) }
        // `resume` counts here.
        store.sites[number].resume &+= 1
        guard expected == 0 || site.resume >= Self.patience else { return nil }
        store.retire(site.block)
        forgetLinear()
        state.rip = record.rip
        return find(record.rip)
    }
}
