public import SystemCalls

extension GuestMemory {
    /// Gives the host back the whole pages of RAM in `byteCount` bytes from `address`; they read as zeros from then on.
    ///
    /// They leave every mapping of the memory file, engines' included, and engines are told as of a device's write. Pages that
    /// are no RAM, or read-only, are left as they are.
    ///
    /// - Returns: How many bytes were given back.
    @discardableResult
    public func discard(at address: GuestAddress, byteCount: UInt64) throws(SystemCallError) -> UInt64 {
        let page = UInt64(Self.pageByteCount)
        let (end, overflow) = address.rawValue.addingReportingOverflow(byteCount)
        guard !overflow, address.rawValue <= UInt64.max - page else { return 0 }
        var discarded: UInt64 = 0
        for region in regions where !region.isReadOnly {
            let first = max((address.rawValue + page - 1) & ~(page - 1), region.base.rawValue)
            let last = min(end & ~(page - 1), region.end)
            guard first < last else { continue }
            let offset = UInt64(region.fileOffset) + (first - region.base.rawValue)
            try punchHole(at: offset, byteCount: last - first)
            noteWrite(at: GuestAddress(first), byteCount: Int(last - first))
            discarded += last - first
        }
        return discarded
    }
}
