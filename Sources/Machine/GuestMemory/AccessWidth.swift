/// How many bytes one port or memory-mapped access moves.
public enum AccessWidth: Int, Sendable {
    case byte = 1
    case word = 2
    case dword = 4
    case qword = 8

    /// A value with every bit of this width set.
    public var mask: UInt64 { self == .qword ? .max : (1 << UInt64(rawValue * 8)) - 1 }
}
