import Engine
import GuestMemory

extension Core {
    /// Reads `byteCount` bytes (1, 2 or 4) of the I/O port `port`.
    ///
    /// - Throws: ``Fault/exit`` until the machine has answered; the instruction is then run again.
    func portRead(_ port: UInt16, _ byteCount: Int) throws(Fault) -> UInt64 {
        let width = AccessWidth(rawValue: byteCount) ?? .byte
        return try services.answer(.portRead(port: port, width: width)) & width.mask
    }

    /// Writes the low `byteCount` bytes (1, 2 or 4) of `value` to the I/O port `port`, once the instruction is over.
    func portWrite(_ port: UInt16, _ value: UInt64, _ byteCount: Int) {
        let width = AccessWidth(rawValue: byteCount) ?? .byte
        services.post(.portWrite(port: port, value: value & width.mask, width: width))
        leaveBlock()
    }
}
