internal import DeviceModel
internal import GuestMemory
public import MachineState
internal import Synchronization

// The registers of one function, with its MSI-X vectors and its interrupt pin; a function saves and loads them with its own state.
extension PCIConfiguration {
    public func save(into encoder: inout StateEncoder) {
        encoder.encodeFixed(space.withLock { $0.contents })
        encoder.encode(pin.isAsserted)
        if let msi { encoder.encode(UInt8(msi.pendingBits)) }
        msix?.save(into: &encoder)
    }

    /// Maps the ranges where they were, and sends nothing.
    ///
    /// - Throws: Also where the saved function is another one than this.
    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let bytes = try decoder.decodeFixed(PCIConfigurationSpace.byteCount, "configuration space")
        let isAsserted = try decoder.decode(Bool.self, "interrupt pin")
        let isPending = try msi == nil ? false : decoder.decode(Bool.self, "pending bit of MSI")
        try msix?.load(from: &decoder)
        let place = space.withLock { $0.load(bytes) }
        if let place {
            let (saved, here) = (bytes[place], space.withLock { $0.contents[place] })
            throw .differs(
                field: "configuration space at 0x\(String(place, radix: 16))",
                saved: "\(saved)",
                here: "\(here)"
            )
        }
        msi?.setPending(isPending)
        registersChanged()
        pin.set(isAsserted)
    }
}

extension PCIConfigurationSpace {
    var contents: [UInt8] { bytes }

    /// Takes over the bits that writes can change.
    ///
    /// - Returns: The offset of the first byte that has other fixed bits; nothing is changed then.
    mutating func load(_ saved: [UInt8]) -> Int? {
        for offset in bytes.indices {
            let changeable = writeMasks[offset] | clearMasks[offset]
            guard (saved[offset] ^ bytes[offset]) & ~changeable == 0 else { return offset }
        }
        bytes = saved
        return nil
    }
}

extension MSIX {
    func save(into encoder: inout StateEncoder) {
        state.withLock { state in
            encoder.encodeFixed(state.table)
            for isPending in state.pending { encoder.encode(isPending) }
        }
    }

    /// Whether vectors are enabled and masked is told by the configuration space.
    func load(from decoder: inout StateDecoder) throws(StateFault) {
        var table = try decoder.decodeFixed(vectorCount * 16, "MSI-X table")
        for index in table.indices { table[index] &= Self.tableMask(UInt64(index)) }
        var pending: [Bool] = []
        for vector in 0..<vectorCount {
            pending.append(try decoder.decode(Bool.self, "pending bit of vector \(vector)"))
        }
        let (loadedTable, loadedPending) = (table, pending)
        state.withLock { state in
            state.table = loadedTable
            state.pending = loadedPending
        }
    }
}
