/// How an attempt to decode ended.
@frozen
public enum DecodeStatus: UInt8, Sendable {
    /// The instruction is complete. It may still be ``Operation/undefined``: then it raises #UD, and its length is how far the
    /// CPU looks before it knows.
    case complete
    /// More bytes than were given are needed: the next page has to be fetched.
    case truncated
    /// More than 15 bytes: #GP(0).
    case tooLong
}

/// The code size that the CPU is in: CS.L and CS.D.
@frozen
public enum CodeSize: UInt8, Sendable {
    case bits16 = 2
    case bits32 = 4
    case bits64 = 8
}
