public import DeviceModel
public import GuestMemory
internal import Synchronization

/// fw_cfg: named data that the machine hands to firmware and guest (QEMU's documentation `docs/specs/fw_cfg`).
///
/// A selector register chooses an item; a data port reads it byte by byte, a DMA register copies it to guest memory.
public final class FirmwareConfiguration: Sendable {
    /// Every register and item.
    struct State {
        var selector: UInt16 = 0
        var offset = 0
        /// The DMA address as far as it was written: its high half.
        var addressHigh: UInt32 = 0
        var items: [UInt16: [UInt8]] = [:]
        var files: [(name: String, selector: UInt16, byteCount: Int)] = []

        /// The selected item's bytes, nil if there is none.
        var selected: [UInt8]? { items[selector & ~Selector.writeIntent] }
    }

    /// Well-known selectors.
    public enum Selector {
        public static let signature: UInt16 = 0x00
        public static let features: UInt16 = 0x01
        public static let ramByteCount: UInt16 = 0x03
        public static let cpuCount: UInt16 = 0x05
        public static let maximumCPUCount: UInt16 = 0x0F
        public static let directory: UInt16 = 0x19
        public static let firstFile: UInt16 = 0x20
        /// Bit 14, which names no item; bit 15 does: items of the architecture.
        static let writeIntent: UInt16 = 0x4000
    }

    private enum Control {
        static let error: UInt32 = 1
        static let read: UInt32 = 2
        static let skip: UInt32 = 4
        static let select: UInt32 = 8
        static let write: UInt32 = 16
    }

    let state = Mutex(State())
    private let memory: GuestMemory

    /// - Parameter memory: Where DMA goes.
    public init(memory: GuestMemory) {
        self.memory = memory
        set(Selector.signature, to: Array("QEMU".utf8))
        // Port interface and DMA.
        set(Selector.features, to: UInt32(3))
        state.withLock { $0.rebuildDirectory() }
    }

    /// To the state after power-on; the items stay.
    public func reset() {
        state.withLock { state in
            state.selector = 0
            state.offset = 0
            state.addressHigh = 0
        }
    }

    // MARK: Items

    public func set(_ selector: UInt16, to bytes: [UInt8]) {
        state.withLock { $0.items[selector & ~Selector.writeIntent] = bytes }
    }

    /// A little-endian number of the type's width.
    public func set(_ selector: UInt16, to value: some FixedWidthInteger) {
        let bytes = (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        set(selector, to: bytes)
    }

    /// Adds a file, or replaces one of the same name.
    ///
    /// Names are cut to 55 bytes.
    public func add(file name: String, _ bytes: [UInt8]) {
        state.withLock { state in
            let selector: UInt16
            if let index = state.files.firstIndex(where: { $0.name == name }) {
                selector = state.files[index].selector
                state.files[index].byteCount = bytes.count
            } else {
                selector = Selector.firstFile &+ UInt16(truncatingIfNeeded: state.files.count)
                state.files.append((name, selector, bytes.count))
            }
            state.items[selector] = bytes
            state.rebuildDirectory()
        }
    }

    // MARK: Ports

    /// Two ports: 0x510.
    ///
    /// A word at the first selects, a byte at the second reads on.
    public var ports: any BusDevice {
        RegisterWindow(
            read: { [self] offset, width in
                guard offset == 1 else { return 0 }
                return state.withLock { state in
                    ByteAccess.read(at: 0, width: width) { _ in state.readByte() }
                }
            },
            write: { [self] value, offset, _ in
                guard offset == 0 else { return }
                state.withLock { $0.select(UInt16(truncatingIfNeeded: value)) }
            }
        )
    }

    /// Eight ports: 0x514.
    ///
    /// The big-endian address of a control structure; writing the low half starts it.
    public var dmaPorts: any BusDevice {
        RegisterWindow(
            read: { offset, width in
                // "QEMU CFG", big-endian.
                let signature: UInt64 = 0x5145_4D55_2043_4647
                return ByteAccess.read(at: offset, width: width) { offset in
                    offset < 8 ? UInt8(truncatingIfNeeded: signature >> (56 - 8 * offset)) : 0
                }
            },
            write: { [self] value, offset, width in
                switch (offset, width) {
                case (0, .dword): state.withLock { $0.addressHigh = UInt32(truncatingIfNeeded: value).byteSwapped }
                case (4, .dword):
                    let high = state.withLock { state -> UInt32 in
                        defer { state.addressHigh = 0 }
                        return state.addressHigh
                    }
                    run(at: UInt64(high) << 32 | UInt64(UInt32(truncatingIfNeeded: value).byteSwapped))
                case (0, .qword): run(at: value.byteSwapped)
                default: break
                }
            }
        )
    }

    /// Carries out the control structure at `address`: control, length (32 bits each) and address (64), big-endian.
    private func run(at address: UInt64) {
        do throws(GuestMemoryError) {
            let base = GuestAddress(address)
            let control = UInt32(bigEndian: try memory.load(UInt32.self, at: base))
            let length = UInt32(bigEndian: try load(UInt32.self, address, 4))
            let target = UInt64(bigEndian: try load(UInt64.self, address, 8))
            let outcome = transfer(control, Int(length), target)
            try memory.store(outcome.bigEndian, at: base)
        } catch {
            // The structure is not in RAM: there is nowhere to report that.
        }
    }

    private func load<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        _ address: UInt64,
        _ offset: UInt64
    ) throws(GuestMemoryError) -> T {
        guard let place = GuestAddress(address).advanced(by: offset) else {
            throw .notRAM(address: GuestAddress(address), byteCount: T.bitWidth / 8)
        }
        return try memory.load(type, at: place)
    }

    /// The control field after the transfer: 0, or the error bit.
    private func transfer(_ control: UInt32, _ length: Int, _ target: UInt64) -> UInt32 {
        let (item, offset) = state.withLock { state -> ([UInt8], Int) in
            if control & Control.select != 0 { state.select(UInt16(truncatingIfNeeded: control >> 16)) }
            let item = state.selected ?? []
            let offset = min(state.offset, item.count)
            if control & (Control.read | Control.skip) != 0 {
                state.offset = state.offset.addingReportingOverflow(length).partialValue & Int.max
            }
            return (item, offset)
        }
        // Items are read-only.
        if control & Control.read == 0 { return control & Control.write != 0 ? Control.error : 0 }
        do throws(GuestMemoryError) {
            let available = min(length, item.count - offset)
            try memory.copyIn(item[offset..<offset + available], at: GuestAddress(target))
            // Past the item's end the guest reads zeros.
            if available < length {
                guard let rest = GuestAddress(target).advanced(by: UInt64(available)) else { return Control.error }
                try memory.copyIn(repeatElement(0, count: length - available), at: rest)
            }
            return 0
        } catch {
            return Control.error
        }
    }
}

extension FirmwareConfiguration.State {
    mutating func select(_ selector: UInt16) {
        self.selector = selector
        offset = 0
    }

    mutating func readByte() -> UInt8 {
        guard let item = selected, offset < item.count else { return 0 }
        defer { offset += 1 }
        return item[offset]
    }

    /// The file directory: a count, then size, selector, two reserved bytes and 56 bytes of name each; big-endian.
    mutating func rebuildDirectory() {
        func bigEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
        var bytes = bigEndian(UInt32(truncatingIfNeeded: files.count))
        for file in files.sorted(by: { $0.name < $1.name }) {
            bytes += bigEndian(UInt32(truncatingIfNeeded: file.byteCount))
            bytes += bigEndian(UInt32(file.selector) << 16)
            let name = Array(file.name.utf8.prefix(55))
            bytes += name + [UInt8](repeating: 0, count: 56 - name.count)
        }
        items[FirmwareConfiguration.Selector.directory] = bytes
    }
}
