internal import CLinux

extension FileDescriptor {
    /// Makes `byteCount` bytes from `offset` read as zeros and gives their space back; the size stays (`fallocate(2)`).
    ///
    /// - Throws: `EOPNOTSUPP` where the file system cannot.
    public func punchHole(at offset: UInt64, byteCount: UInt64) throws(SystemCallError) {
        let result = clinux_punch_hole(rawValue, Int64(clamping: offset), Int64(clamping: byteCount))
        guard result >= 0 else { throw SystemCallError("fallocate", errno: -result) }
    }
}
