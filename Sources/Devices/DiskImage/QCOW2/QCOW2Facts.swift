/// What the header of a qcow2 image tells a user.
public struct QCOW2Facts: Sendable {
    public let version: UInt32
    public let clusterByteCount: Int
    public let refcountBits: Int
    public let compression: ClusterCompression
    public let isLazy: Bool
    public let isDirty: Bool
    public let isCorrupt: Bool
    public let hasExtendedL2: Bool
    public let backingPath: String?
    public let backingFormat: String?
    public let dataFilePath: String?
    public let isDataFileRaw: Bool
}

extension QCOW2Image {
    public var facts: QCOW2Facts {
        let header = metadata.withLock { self.header }
        return QCOW2Facts(
            version: header.version,
            clusterByteCount: header.clusterByteCount,
            refcountBits: header.refcountBits,
            compression: header.compression,
            isLazy: header.isLazy,
            isDirty: header.isDirty,
            isCorrupt: header.isCorrupt,
            hasExtendedL2: header.hasExtendedL2,
            backingPath: header.backingPath,
            backingFormat: header.backingFormat,
            dataFilePath: header.dataFilePath,
            isDataFileRaw: header.autoclear & QCOW2Header.rawExternalData != 0
        )
    }
}
