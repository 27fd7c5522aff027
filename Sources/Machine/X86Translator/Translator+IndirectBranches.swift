import HostCode
import X86
import X86Interpreter

/// The hash of indirect branch targets, which generated code looks at first.
extension Translator {
    /// The tag of a slot without a target: no code is at -1.
    private static let emptyHashTag: UInt64 = 1

    func clearHash(_ table: Int, _ slot: Int) {
        (block + TranslatorLayout.hashTags(table) + slot * 8).storeBytes(of: Self.emptyHashTag, as: UInt64.self)
        let leave = UInt64(UInt(bitPattern: store.code.executableBase)) + UInt64(environment.stubs.dispatchExit)
        (block + TranslatorLayout.hashCode(table) + slot * 8).storeBytes(of: leave, as: UInt64.self)
    }

    /// Enters the code for `rip` into the hash of the current table.
    func remember(_ rip: UInt64, _ number: UInt32) {
        let table = interpreter.currentTable
        let slot = TranslatorLayout.hashSlot(rip)
        let tag = block + TranslatorLayout.hashTags(table) + slot * 8
        if tag.load(as: UInt64.self) == Self.emptyHashTag { usedHashSlots[table].append(UInt16(slot)) }
        tag.storeBytes(of: 0 &- rip, as: UInt64.self)
        let code = UInt64(UInt(bitPattern: store.code.executableBase)) + UInt64(entry(number, at: rip))
        (block + TranslatorLayout.hashCode(table) + slot * 8).storeBytes(of: code, as: UInt64.self)
    }
}
