public import MachineState
internal import Synchronization

extension FirmwareConfiguration: Saveable {
    private static let itemByteLimit = 16 << 20
    private static let itemLimit: UInt32 = 4096

    public var stateName: String { "fw_cfg" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        let now = state.withLock { $0 }
        encoder.encode(now.selector)
        encoder.encode(UInt64(now.offset))
        encoder.encode(now.addressHigh)
        encoder.encode(UInt32(now.items.count))
        for item in now.items.sorted(by: { $0.key < $1.key }) {
            encoder.encode(item.key)
            encoder.encode(item.value)
        }
        encoder.encode(UInt32(now.files.count))
        for file in now.files {
            encoder.encode(file.name)
            encoder.encode(file.selector)
            encoder.encode(UInt64(file.byteCount))
        }
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        var new = State()
        new.selector = try decoder.decode(UInt16.self, "selector")
        new.offset = Int(try decoder.decode(in: 0...UInt64(Int.max >> 1), "offset"))
        new.addressHigh = try decoder.decode(UInt32.self, "DMA address")
        for _ in 0..<(try decoder.decode(in: 0...Self.itemLimit, "number of items")) {
            let selector = try decoder.decode(UInt16.self, "selector of an item")
            new.items[selector] = try decoder.decodeBytes(limit: Self.itemByteLimit, "item \(selector)")
        }
        for _ in 0..<(try decoder.decode(in: 0...Self.itemLimit, "number of files")) {
            let name = try decoder.decodeString("name of a file")
            let selector = try decoder.decode(UInt16.self, "selector of a file")
            let byteCount = try decoder.decode(in: 0...UInt64(Self.itemByteLimit), "size of a file")
            new.files.append((name, selector, Int(byteCount)))
        }
        let loaded = new
        state.withLock { $0 = loaded }
    }
}
