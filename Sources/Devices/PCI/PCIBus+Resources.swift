internal import GuestMemory

extension PCIBus {
    /// Programs every base address register and enables decoding, as firmware would; for boots without firmware.
    ///
    /// Largest first, each aligned to its size. 64-bit registers get addresses of `memoryWindow` too.
    ///
    /// - Throws: ``PCIError/windowExhausted(_:byteCount:_:)``; registers before it are programmed.
    public func assignResources(memoryWindow: Range<UInt64>, portWindow: Range<UInt64>) throws(PCIError) {
        var requests: [(location: PCILocation, function: any PCIFunction, base: PCIBaseAddress)] = []
        for member in members {
            for base in member.function.configuration.baseAddresses {
                requests.append((member.location, member.function, base))
            }
        }
        requests.sort { ($1.base.byteCount, $0.location) < ($0.base.byteCount, $1.location) }
        var next: [PCISpace: UInt64] = [
            .memory: max(memoryWindow.lowerBound, 1), .port: max(portWindow.lowerBound, 1),
        ]
        for request in requests {
            let space = request.base.kind.space
            let end = space == .memory ? memoryWindow.upperBound : portWindow.upperBound
            let size = request.base.byteCount
            let (padded, overflow) = (next[space] ?? 0).addingReportingOverflow(size - 1)
            let address = padded & ~(size - 1)
            guard !overflow, address <= end, end - address >= size,
                request.base.kind == .memory64 || address <= UInt64(UInt32.max)
            else { throw .windowExhausted(space, byteCount: size, request.location) }
            next[space] = address + size
            program(request.base, of: request.function, with: address)
        }
        for member in members { enable(member.function, at: member.location) }
    }

    private func program(_ base: PCIBaseAddress, of function: any PCIFunction, with address: UInt64) {
        function.configuration.write(UInt32(truncatingIfNeeded: address), at: base.offset, width: .dword)
        if base.kind == .memory64 {
            function.configuration.write(UInt32(truncatingIfNeeded: address >> 32), at: base.offset + 4, width: .dword)
        }
    }

    private func enable(_ function: any PCIFunction, at location: PCILocation) {
        typealias Space = PCIConfigurationSpace
        let configuration = function.configuration
        var bits = UInt32(Space.Command.busMaster)
        for base in configuration.baseAddresses {
            bits |= UInt32(base.kind == .port ? Space.Command.portDecode : Space.Command.memoryDecode)
        }
        let command = configuration.read(at: Space.Register.command, width: .word)
        configuration.write(command | bits, at: Space.Register.command, width: .word)
        let pin = configuration.read(at: Space.Register.interruptPin, width: .byte)
        if (1...4).contains(pin) {
            let gsi = Self.gsi(slot: location.slot, pin: Int(pin))
            configuration.write(UInt32(gsi), at: Space.Register.interruptLine, width: .byte)
        }
    }
}
