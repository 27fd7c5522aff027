internal import DiskImage
public import MachineState

// No request is under way: the device was drained.
extension VirtioBlock: Saveable {
    public var stateName: String { "virtio-blk" }
    public var stateVersion: UInt16 { 1 }

    /// What the guest has written is on stable storage when this returns, as the saved machine needs the disk as it is now.
    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        if !image.isReadOnly {
            do throws(DiskImageError) { try image.flush() } catch {
                throw .cannotSave("what the guest wrote cannot be brought to stable storage: \(error)")
            }
        }
        encoder.encode(image.byteCount)
        encoder.encode(image.isReadOnly)
        encoder.encode(identifier)
        encoder.encode(isWriteback)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        try decoder.expect(image.byteCount, "size of the disk")
        try decoder.expect(image.isReadOnly, "read-only")
        let saved = try decoder.decodeBytes(limit: identifier.count, "serial number")
        guard saved == identifier else {
            throw .differs(field: "serial number", saved: "\(saved)", here: "\(identifier)")
        }
        isWriteback = try decoder.decode(Bool.self, "write-back")
    }
}
