internal import ByteCoding

extension ACPIDescription {
    /// The body of the FADT, revision 6 (ACPI 6.4 §5.2.9); the pointers to FACS and DSDT are the caller's.
    var fixedDescription: [UInt8] {
        // Offsets are those of the whole table, whose header has 36 bytes.
        var table = [UInt8](repeating: 0, count: 276)
        table[45] = 1  // desktop
        table.store(littleEndian: UInt16(powerManagement.interrupt), at: 46)
        // There is no SMI command port: the machine is always in ACPI mode.
        table.store(littleEndian: UInt32(powerManagement.eventPort), at: 56)
        table.store(littleEndian: UInt32(powerManagement.controlPort), at: 64)
        table.store(littleEndian: UInt32(powerManagement.timerPort), at: 76)
        table[88] = 4
        table[89] = 2
        table[91] = 4
        table.store(littleEndian: UInt16(0xFFF), at: 96)  // no C2
        table.store(littleEndian: UInt16(0xFFF), at: 98)  // no C3
        table[108] = 0x32  // the RTC's century
        table.store(littleEndian: bootArchitecture, at: 109)
        table.store(littleEndian: fixedFlags, at: 112)
        store(port: reset.port, bitWidth: 8, accessSize: 1, in: &table, at: 116)
        table[128] = reset.value
        store(port: powerManagement.eventPort, bitWidth: 32, accessSize: 2, in: &table, at: 148)
        store(port: powerManagement.controlPort, bitWidth: 16, accessSize: 2, in: &table, at: 172)
        store(port: powerManagement.timerPort, bitWidth: 32, accessSize: 3, in: &table, at: 208)
        table.replaceSubrange(268..<276, with: Array("VIVARIUM".utf8))
        return Array(table[36...])
    }

    private func store(port: UInt16, bitWidth: UInt8, accessSize: UInt8, in table: inout [UInt8], at offset: Int) {
        let register = GenericAddress(space: 1, bitWidth: bitWidth, accessSize: accessSize, address: UInt64(port))
        table.replaceSubrange(offset..<(offset + 12), with: register.bytes)
    }

    /// IAPC_BOOT_ARCH: devices on the ISA bus 0, keyboard controller 1, no VGA 2.
    private var bootArchitecture: UInt16 {
        (serialPorts.isEmpty ? 0 : 1) | (hasKeyboardController ? 2 : 0) | (pci?.hasVGA ?? false ? 0 : 4)
    }

    /// WBINVD 0, C1 on every CPU 2, no fixed power button 4, no fixed sleep button 5, RTC wake not fixed 6, wide PM timer 8,
    /// reset register 10.
    private var fixedFlags: UInt32 {
        1 << 0 | 1 << 2 | (hasPowerButton ? 0 : 1 << 4) | 1 << 5 | 1 << 6
            | (powerManagement.hasWideTimer ? 1 << 8 : 0) | 1 << 10
    }

    /// The body of the MADT (§5.2.12).
    var interruptControllers: [UInt8] {
        var body: [UInt8] = []
        body.append(littleEndian: localAPICAddress)
        body.append(littleEndian: UInt32(1))  // there is an 8259 pair too
        for (index, identifier) in apicIDs.enumerated() {
            if identifier < 255 {
                body += [0, 8, UInt8(truncatingIfNeeded: index), UInt8(identifier), 1, 0, 0, 0]
            } else {
                body += [9, 16, 0, 0]
                for word in [identifier, 1, UInt32(index)] { body.append(littleEndian: word) }
            }
        }
        body += [1, 12, ioAPICIdentifier, 0]
        body.append(littleEndian: ioAPICAddress)
        body.append(littleEndian: UInt32(0))
        for item in interruptOverrides {
            body += [2, 10, 0, item.isaLine]
            body.append(littleEndian: item.gsi)
            body.append(littleEndian: item.flags)
        }
        body += [4, 6, 0xFF, 0, 0, 1]  // NMI on LINT1 of every CPU
        if apicIDs.contains(where: { $0 >= 255 }) { body += [10, 12, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0] }
        return body
    }

    /// The body of the DSDT: AML for sleep state S5, CPUs, the PCI host bridge and the devices that no bus enumerates.
    var differentiatedDefinitions: [UInt8] {
        var aml = AMLBuilder()
        let off = AMLBuilder.Value.integer(UInt64(powerManagement.powerOffType))
        aml.name("\\_S5", .package([off, off, .integer(0), .integer(0)]))
        aml.scope("\\_SB") { aml in
            for index in apicIDs.indices {
                let digits = String(index, radix: 16, uppercase: true)
                aml.device("C" + String(repeating: "0", count: max(0, 3 - digits.count)) + digits) { aml in
                    aml.name("_HID", .string("ACPI0007"))
                    aml.name("_UID", .integer(UInt64(index)))
                }
            }
            if let ecam { addConfigurationSpace(ecam, to: &aml) }
            if let pci {
                aml.device("PCI0") { aml in
                    addHostBridge(pci, to: &aml)
                    addLegacyDevices(to: &aml)
                }
            } else {
                addLegacyDevices(to: &aml)
            }
        }
        return aml.bytes
    }

    /// Systems believe MCFG only where a motherboard device claims the same memory.
    private func addConfigurationSpace(_ ecam: ECAM, to aml: inout AMLBuilder) {
        aml.device("MRES") { aml in
            aml.name("_HID", .eisaID("PNP0C02"))
            aml.name("_UID", .integer(0))
            var resources = ResourceTemplate()
            resources.memory32(UInt32(truncatingIfNeeded: ecam.base), byteCount: UInt32(ecam.buses.count) << 20)
            aml.name("_CRS", resources.value)
        }
    }

    private func addHostBridge(_ pci: PCIWindows, to aml: inout AMLBuilder) {
        if ecam != nil {
            aml.name("_HID", .eisaID("PNP0A08"))
            aml.name("_CID", .eisaID("PNP0A03"))
        } else {
            aml.name("_HID", .eisaID("PNP0A03"))
        }
        aml.name("_UID", .integer(0))
        aml.name("_SEG", .integer(0))
        aml.name("_BBN", .integer(0))
        var resources = ResourceTemplate()
        resources.busWindow(ecam?.buses ?? 0...255)
        resources.ports(0xCF8, count: 8)
        resources.portWindow(0...0xCF7)
        resources.portWindow(0xD00...0xFFFF)
        if pci.hasVGA { resources.memoryWindow(0xA0000..<0xC0000) }
        for window in pci.memory { resources.memoryWindow(window) }
        aml.name("_CRS", resources.value)
        var routes: [AMLBuilder.Value] = []
        for slot in 0..<32 {
            for pin in 0..<4 {
                let gsi = UInt64(pciInterrupt(slot: slot, pin: pin))
                routes.append(
                    .package([.integer(UInt64(slot) << 16 | 0xFFFF), .integer(UInt64(pin)), .integer(0), .integer(gsi)])
                )
            }
        }
        aml.name("_PRT", .package(routes))
    }

    private func addLegacyDevices(to aml: inout AMLBuilder) {
        for (index, serial) in serialPorts.enumerated() {
            aml.device("COM\(index + 1)") { aml in
                aml.name("_HID", .eisaID("PNP0501"))
                aml.name("_UID", .integer(UInt64(index + 1)))
                var resources = ResourceTemplate()
                resources.ports(serial.port, count: 8)
                resources.interrupt(serial.interrupt)
                aml.name("_CRS", resources.value)
            }
        }
        if hasKeyboardController {
            aml.device("KBD") { aml in
                aml.name("_HID", .eisaID("PNP0303"))
                var resources = ResourceTemplate()
                resources.ports(0x60, count: 1)
                resources.ports(0x64, count: 1)
                resources.interrupt(1)
                aml.name("_CRS", resources.value)
            }
            aml.device("MOU") { aml in
                aml.name("_HID", .eisaID("PNP0F13"))
                var resources = ResourceTemplate()
                resources.interrupt(12)
                aml.name("_CRS", resources.value)
            }
        }
        aml.device("RTC") { aml in
            aml.name("_HID", .eisaID("PNP0B00"))
            var resources = ResourceTemplate()
            resources.ports(0x70, count: 2)
            resources.interrupt(8)
            aml.name("_CRS", resources.value)
        }
    }
}
