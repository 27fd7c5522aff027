/// Why an instruction did not complete: an exception of the guest's, or the need to leave the engine first.
@frozen
public struct Fault: Error, Hashable, Sendable, BitwiseCopyable {
    @frozen
    public enum Kind: UInt8, Sendable {
        /// An exception without error code.
        case exception
        /// An exception that pushes ``errorCode``.
        case exceptionWithCode
        /// A device read is needed: ``Core`` has recorded it, and the instruction is run again once it is answered.
        case exit
    }

    public var kind: Kind
    public var vector: UInt8
    public var errorCode: UInt32
    /// CR2, for page faults.
    public var address: UInt64

    init(kind: Kind, vector: UInt8, errorCode: UInt32 = 0, address: UInt64 = 0) {
        self.kind = kind
        self.vector = vector
        self.errorCode = errorCode
        self.address = address
    }

    static func exception(_ vector: UInt8) -> Fault { Fault(kind: .exception, vector: vector) }
    static func exception(_ vector: UInt8, code: UInt32) -> Fault {
        Fault(kind: .exceptionWithCode, vector: vector, errorCode: code)
    }
    static func pageFault(_ address: UInt64, code: UInt32) -> Fault {
        Fault(kind: .exceptionWithCode, vector: 14, errorCode: code, address: address)
    }
    /// #GP(`code`).
    static func generalProtection(_ code: UInt32 = 0) -> Fault { .exception(13, code: code) }
    /// #SS(`code`).
    static func stack(_ code: UInt32 = 0) -> Fault { .exception(12, code: code) }
    static var invalidOpcode: Fault { .exception(6) }
    static var deviceNotAvailable: Fault { .exception(7) }
    static var divideError: Fault { .exception(0) }
    static var exit: Fault { Fault(kind: .exit, vector: 0) }
}
