internal import DeviceModel
public import GuestMemory
internal import Synchronization

/// The configuration registers of one function, with what they control: decoding, interrupt pin, MSI and MSI-X.
///
/// Locks, in order: `mappings` (held while ranges are mapped and unmapped, so that these happen in the order of the
/// register writes), then `space`.
public final class PCIConfiguration: Sendable {
    private struct Mappings {
        var addressSpace: (any PCIAddressSpace)?
        /// Where each of `baseAddresses` is mapped.
        var bases: [UInt64?]
    }

    public let baseAddresses: [PCIBaseAddress]
    public let pin: PCIInterruptPin
    public let msix: MSIX?
    public let msi: PCIMessageInterrupt?
    private let msixOffset: Int?
    private let msiOffset: Int?
    let space: Mutex<PCIConfigurationSpace>
    private let mappings: Mutex<Mappings>

    /// Makes the registers after reset, connected to nothing.
    ///
    /// `space`: The header and any capabilities; registers for `baseAddresses`, MSI and MSI-X are added.
    /// `msix`: The vectors and where their table lies; the function's ranges must answer there with it.
    public init(
        _ space: PCIConfigurationSpace,
        baseAddresses: [PCIBaseAddress] = [],
        msix: (vectors: MSIX, barRegister: Int, tableOffset: UInt32)? = nil,
        msi: PCIMessageInterrupt? = nil,
        pin: PCIInterruptPin = PCIInterruptPin()
    ) {
        var space = space
        for base in baseAddresses { space.add(base) }
        msixOffset = msix.map {
            space.addCapability(
                MSIX.identifier,
                body: $0.vectors.body(barRegister: $0.barRegister, tableOffset: $0.tableOffset),
                writable: [0, UInt8(MSIX.controlMask >> 8)]
            )
        }
        msiOffset = msi.map { _ in
            space.addCapability(
                PCIMessageInterrupt.identifier,
                body: PCIMessageInterrupt.body,
                writable: PCIMessageInterrupt.writable
            )
        }
        space.finishSetUp()
        self.baseAddresses = baseAddresses
        self.msix = msix?.vectors
        self.msi = msi
        self.pin = pin
        self.space = Mutex(space)
        mappings = Mutex(Mappings(bases: [UInt64?](repeating: nil, count: baseAddresses.count)))
    }

    public func read(at offset: Int, width: AccessWidth) -> UInt32 {
        var value = space.withLock { $0.read(at: offset, byteCount: width.rawValue) }
        // Live bits: interrupt status, and the pending bit of MSI.
        merge(PCIConfigurationSpace.Register.status, pin.isAsserted ? 1 << 3 : 0, into: &value, offset, width)
        if let msi, let msiOffset { merge(msiOffset + 0x14, UInt8(msi.pendingBits), into: &value, offset, width) }
        return value
    }

    private func merge(_ place: Int, _ bits: UInt8, into value: inout UInt32, _ offset: Int, _ width: AccessWidth) {
        let index = place &- offset
        if index >= 0, index < min(width.rawValue, 4) { value |= UInt32(bits) << UInt32(index * 8) }
    }

    public func write(_ value: UInt32, at offset: Int, width: AccessWidth) {
        space.withLock { $0.write(value, at: offset, byteCount: width.rawValue) }
        registersChanged()
    }

    /// Changes registers from the device's side, whatever their write masks say.
    public func update<Result>(_ body: (inout PCIConfigurationSpace) -> Result) -> Result {
        let result = space.withLock { space in body(&space) }
        registersChanged()
        return result
    }

    /// Brings back the registers as they were made, and takes every range out of the address spaces.
    public func reset() {
        space.withLock { $0.reset() }
        msix?.reset()
        pin.set(false)
        registersChanged()
    }

    // MARK: The bus's side

    func connect(to addressSpace: any PCIAddressSpace, line: InterruptLine, sink: any MSISink) {
        mappings.withLock { $0.addressSpace = addressSpace }
        pin.connect(to: line)
        msix?.connect(to: sink)
        msi?.connect(to: sink)
        registersChanged()
    }

    func disconnect() {
        mappings.withLock { mappings in
            for index in baseAddresses.indices { unmap(index, &mappings) }
            mappings.addressSpace = nil
        }
        pin.connect(to: .unconnected)
        msix?.connect(to: nil)
        msi?.connect(to: nil)
    }

    func registersChanged() {
        mappings.withLock { mappings in
            let now = space.withLock { $0 }
            updateDecoding(now, &mappings)
            if let msix, let msixOffset { msix.controlChanged(now.word(at: msixOffset + 2)) }
            if let msi, let msiOffset { msi.registersChanged(now, at: msiOffset) }
            let command = now.word(at: PCIConfigurationSpace.Register.command)
            let hasMessages = msix?.isEnabled == true || msi?.isEnabled == true
            pin.cutOff(command & PCIConfigurationSpace.Command.interruptDisable != 0 || hasMessages)
        }
    }

    private func updateDecoding(_ now: PCIConfigurationSpace, _ mappings: inout Mappings) {
        let wanted = baseAddresses.map { now.decodedAddress(of: $0) }
        // First out, then in: two registers may trade places.
        for index in wanted.indices where mappings.bases[index] != wanted[index] { unmap(index, &mappings) }
        for (index, base) in baseAddresses.enumerated() {
            guard let address = wanted[index], mappings.bases[index] == nil, let target = mappings.addressSpace else {
                continue
            }
            if target.map(base.device, in: base.kind.space, at: address, byteCount: base.byteCount) {
                mappings.bases[index] = address
            }
        }
    }

    private func unmap(_ index: Int, _ mappings: inout Mappings) {
        guard let address = mappings.bases[index] else { return }
        let base = baseAddresses[index]
        mappings.addressSpace?.unmap(in: base.kind.space, at: address, byteCount: base.byteCount)
        mappings.bases[index] = nil
    }
}
