/// The registers of one function: a type 0 header and what follows it, 4 KiB (PCI 3.0 §6.1; PCIe 4.0 §7.2.2).
///
///      00 vendor, device    04 command, status    08 revision, class     0C line, latency, type, BIST
///      10 … 24 base address registers             2C subsystem           34 capabilities
///      3C interrupt line, pin                     40 … capabilities      100 … extended (none: reads 0)
///
/// A plain value: each byte has the bits that writes change and the bits that writing 1 clears. Offsets past the end
/// read as all ones and ignore writes.
public struct PCIConfigurationSpace: Sendable {
    public static let byteCount = 4096

    /// Offsets of the registers that other parts look at.
    enum Register {
        static let command = 0x04
        static let status = 0x06
        static let capabilities = 0x34
        static let interruptLine = 0x3C
        static let interruptPin = 0x3D
    }
    /// Bits of the command register (PCI 3.0 §6.2.2).
    enum Command {
        static let portDecode: UInt16 = 1 << 0
        static let memoryDecode: UInt16 = 1 << 1
        static let busMaster: UInt16 = 1 << 2
        static let interruptDisable: UInt16 = 1 << 10
        /// I/O, memory, bus master, parity response, SERR, interrupt disable.
        static let writable: UInt16 = 0x0547
    }

    var bytes = [UInt8](repeating: 0, count: byteCount)
    private(set) var writeMasks = [UInt8](repeating: 0, count: byteCount)
    private(set) var clearMasks = [UInt8](repeating: 0, count: byteCount)
    private var resetBytes: [UInt8] = []
    private var lastCapability: Int?
    private var capabilityEnd = 0x40

    /// A header with no base address registers and no capabilities.
    ///
    /// `interruptPin`: 1 to 4 for INTA# to INTD#, 0 for none.
    /// `isMultifunction`: Whether function 0 says that the slot has others.
    public init(_ identity: PCIIdentity, interruptPin: UInt8 = 0, isMultifunction: Bool = false) {
        setWord(identity.vendor, at: 0x00)
        setWord(identity.device, at: 0x02)
        setDword(identity.classCode << 8 | UInt32(identity.revision), at: 0x08)
        set(isMultifunction ? 0x80 : 0, at: 0x0E)
        setWord(identity.subsystemVendor, at: 0x2C)
        setWord(identity.subsystem, at: 0x2E)
        set(interruptPin, at: Register.interruptPin)
        allowWrites(0xFF, at: 0x0C)
        allowWrites(0xFF, at: Register.interruptLine)
        allowWrites(UInt8(Command.writable & 0xFF), at: Register.command)
        allowWrites(UInt8(Command.writable >> 8), at: Register.command + 1)
        clearMasks[Register.status + 1] = 0xF9
    }

    // MARK: Set-up

    /// Gives the register at `offset` a value, whatever may be written to it.
    public mutating func set(_ value: UInt8, at offset: Int) {
        guard bytes.indices.contains(offset) else { return }
        bytes[offset] = value
    }

    public mutating func setWord(_ value: UInt16, at offset: Int) {
        set(UInt8(value & 0xFF), at: offset)
        set(UInt8(value >> 8), at: offset + 1)
    }

    public mutating func setDword(_ value: UInt32, at offset: Int) {
        setWord(UInt16(value & 0xFFFF), at: offset)
        setWord(UInt16(value >> 16), at: offset + 2)
    }

    /// Lets the driver change the bits of `mask` in the byte at `offset`.
    public mutating func allowWrites(_ mask: UInt8, at offset: Int) {
        guard writeMasks.indices.contains(offset) else { return }
        writeMasks[offset] = mask
    }

    /// Lets the driver change every bit of a range that holds no capability.
    public mutating func allowWrites(in range: Range<Int>) {
        for offset in range { allowWrites(0xFF, at: offset) }
    }

    /// Sets up the type bits and the writable (address) bits of a base address register.
    public mutating func add(_ base: PCIBaseAddress) {
        let addressBits = ~(base.byteCount &- 1) & ~base.kind.lowBits
        setDword(base.kind.typeBits, at: base.offset)
        for byte in 0..<(base.kind == .memory64 ? 8 : 4) {
            allowWrites(UInt8(truncatingIfNeeded: addressBits >> UInt64(byte * 8)), at: base.offset + byte)
        }
    }

    /// Appends a capability to the list (PCI 3.0 §6.7).
    ///
    /// `body`: The bytes after the identifier and the link.
    /// `writable`: A mask for each byte of `body`; missing ones are read-only.
    /// - Returns: The capability's offset.
    @discardableResult
    public mutating func addCapability(_ identifier: UInt8, body: [UInt8], writable: [UInt8] = []) -> Int {
        let offset = capabilityEnd
        precondition(offset + 2 + body.count <= 256, "capabilities do not fit in 256 bytes")
        set(identifier, at: offset)
        for (index, byte) in body.enumerated() { set(byte, at: offset + 2 + index) }
        for (index, mask) in writable.enumerated() { allowWrites(mask, at: offset + 2 + index) }
        set(UInt8(offset), at: lastCapability.map { $0 + 1 } ?? Register.capabilities)
        bytes[Register.status] |= 1 << 4
        lastCapability = offset
        capabilityEnd = (offset + 2 + body.count + 3) & ~3
        return offset
    }

    /// Remembers the present values as those that ``reset()`` brings back.
    public mutating func finishSetUp() { resetBytes = bytes }

    // MARK: Access

    public mutating func reset() { if !resetBytes.isEmpty { bytes = resetBytes } }

    public func read(at offset: Int, byteCount: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<min(byteCount, 4) {
            let place = offset &+ index
            let byte = bytes.indices.contains(place) ? bytes[place] : 0xFF
            value |= UInt32(byte) << UInt32(index * 8)
        }
        return value
    }

    public mutating func write(_ value: UInt32, at offset: Int, byteCount: Int) {
        for index in 0..<min(byteCount, 4) {
            let place = offset &+ index
            guard bytes.indices.contains(place) else { return }
            let new = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            let kept = bytes[place] & ~writeMasks[place]
            bytes[place] = (kept | new & writeMasks[place]) & ~(new & clearMasks[place])
        }
    }

    public func word(at offset: Int) -> UInt16 { UInt16(truncatingIfNeeded: read(at: offset, byteCount: 2)) }
    public func dword(at offset: Int) -> UInt32 { read(at: offset, byteCount: 4) }

    /// The address that a base address register holds, or nil where its space is not decoded.
    ///
    /// Address 0 and ranges that would pass the end of their space are not decoded either: that is what registers
    /// hold before they are set and while they are sized.
    func decodedAddress(of base: PCIBaseAddress) -> UInt64? {
        let command = word(at: Register.command)
        let enable = base.kind == .port ? Command.portDecode : Command.memoryDecode
        guard command & enable != 0 else { return nil }
        var address = UInt64(dword(at: base.offset)) & ~base.kind.lowBits
        var limit: UInt64 = 1 << 32
        switch base.kind {
        case .memory32: break
        case .memory64:
            address |= UInt64(dword(at: base.offset + 4)) << 32
            limit = 1 << 52
        case .port: limit = 1 << 16
        }
        guard address != 0, address < limit, limit &- address > base.byteCount else { return nil }
        return address
    }
}
