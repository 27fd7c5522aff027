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
        let next = (rip | 0xFFF) &+ 1
        if second != 0 {
            if isRelative {
                linear(HostRegisters.address, next)
                e.slot()
                e.loadTable(HostRegisters.scratch, TranslatorLayout.tlb(table, TLB.viewID))
            } else {
                e.loadState32(HostRegisters.scratch, TranslatorLayout.tlb(table, TLB.viewID) + TLB.slot(next) * 8)
            }
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
    /// The block for the instruction at `rip` of the view `number`, whose bytes start at `code` and go on in the next page.
    func translateStraddling(_ rip: UInt64, _ number: UInt32, _ code: UnsafePointer<UInt8>) -> UInt32 {
        let count = 4096 - Int(rip & 0xFFF)
        let second = self.view((rip | 0xFFF) &+ 1) ?? 0
        let page = store.views[Int(second)].hostPage
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 15) { bytes in
            for index in 0..<15 {
                let isSecond = index >= count && second != 0
                bytes[index] = index < count ? code[index] : isSecond ? page.load(fromByteOffset: index - count, as: UInt8.self) : 0
            }
            var translator = BlockTranslator(environment, store, rip: rip, view: number)
            translator.code = UnsafePointer(bytes.baseAddress.unsafelyUnwrapped)
            let made = translator.translateStraddling(second: second)
            let byteCount = Int(store.blocks[made].byteCount)
            interpreter.markCode(hostPage: store.views[Int(number)].hostPage, offset: Int(rip & 0xFFF), byteCount: count)
            if second != 0 { interpreter.markCode(hostPage: page, offset: 0, byteCount: max(byteCount - count, 1)) }
            return made
        }
    }

    /// How often another second page is met before the instruction is translated again.
    private static let patience: UInt32 = 64

    /// The second page of the straddling instruction at site `number` is not known to be the one it was translated from.
    ///
    /// - Returns: The offset of the code to go on with, which is `behind` if the page holds the same bytes; nil to let the
    ///   interpreter run the instruction.
    func proveSecondPage(_ number: UInt32, behind: Int) -> Int? {
        let site = store.sites[number]
        let expected = UInt32(bitPattern: site.amount)
        let rip = address(of: site.block)
        guard let second = view((rip | 0xFFF) &+ 1), !store.blocks[site.block].isDead else { return nil }
        if expected != 0, store.views[Int(second)].hostPage == store.views[Int(expected)].hostPage { return behind }
        // `resume` counts here.
        store.sites[number].resume &+= 1
        guard expected == 0 || site.resume >= Self.patience else { return nil }
        store.retire(site.block)
        forgetLinear()
        state.rip = rip
        return find(rip)
    }
}
