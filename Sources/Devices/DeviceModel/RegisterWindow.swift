public import GuestMemory

/// One of several ranges that a device answers in, as a ``BusDevice`` of its own.
public final class RegisterWindow: BusDevice {
    private let readRegister: @Sendable (UInt64, AccessWidth) -> UInt64
    private let writeRegister: @Sendable (UInt64, UInt64, AccessWidth) -> Void

    /// - Parameters:
    ///   - read: Given the offset in the window and the width.
    ///   - write: Given the value, the offset in the window and the width.
    public init(
        read: @escaping @Sendable (UInt64, AccessWidth) -> UInt64,
        write: @escaping @Sendable (UInt64, UInt64, AccessWidth) -> Void
    ) {
        readRegister = read
        writeRegister = write
    }

    /// A window of byte registers: wider accesses are split into bytes, lowest address first, as an 8-bit ISA card sees them.
    public convenience init(
        readByte: @escaping @Sendable (UInt64) -> UInt8,
        writeByte: @escaping @Sendable (UInt8, UInt64) -> Void
    ) {
        self.init(
            read: { offset, width in ByteAccess.read(at: offset, width: width, readByte) },
            write: { value, offset, width in ByteAccess.write(value, at: offset, width: width, writeByte) }
        )
    }

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 { readRegister(offset, width) }
    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) { writeRegister(value, offset, width) }
}

/// Splits accesses to registers of eight bits.
public enum ByteAccess {
    public static func read(at offset: UInt64, width: AccessWidth, _ readByte: (UInt64) -> UInt8) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<UInt64(width.rawValue) { value |= UInt64(readByte(offset &+ index)) << (8 * index) }
        return value
    }

    public static func write(
        _ value: UInt64,
        at offset: UInt64,
        width: AccessWidth,
        _ writeByte: (UInt8, UInt64) -> Void
    ) {
        for index in 0..<UInt64(width.rawValue) {
            writeByte(UInt8(truncatingIfNeeded: value >> (8 * index)), offset &+ index)
        }
    }
}
