import Boot
import GuestMemory
import Testing

struct ACPITablesTests {
    /// The tables that the XSDT of the RSDP at `address` names, and the DSDT.
    private func tables(
        in memory: GuestMemory,
        rsdp address: UInt64
    ) throws -> [String: (address: UInt64, bytes: [UInt8])] {
        var found: [String: (UInt64, [UInt8])] = [:]
        func add(_ address: UInt64) throws {
            let byteCount = Int(try memory.value(UInt32.self, address + 4))
            let bytes = try memory.bytes(address, byteCount)
            found[String(decoding: bytes[..<4], as: UTF8.self)] = (address, bytes)
        }
        let root = try memory.value(UInt64.self, address + 24)
        try add(root)
        for offset in stride(from: 36, to: UInt64(found["XSDT"]?.1.count ?? 0), by: 8) {
            try add(try memory.value(UInt64.self, root + offset))
        }
        try add(UInt64(try memory.value(UInt32.self, address + 16)))
        let fadt = try #require(found["FACP"]).0
        try add(try memory.value(UInt64.self, fadt + 140))
        try add(UInt64(try memory.value(UInt32.self, fadt + 36)))
        return found
    }

    @Test func `Placed tables have addresses and checksums`() throws {
        let (map, memory) = try Samples.machine()
        var description = ACPIDescription(cpuCount: 4)
        description.hpetAddress = 0xFED0_0000
        let address = try ACPITables(description).place(in: memory, map).rawValue
        #expect(address == 0xE0000)
        #expect(try memory.bytes(address, 8) == Array("RSD PTR ".utf8))
        #expect(try memory.bytes(address, 20).reduce(0, &+) == 0)
        #expect(try memory.bytes(address, 36).reduce(0, &+) == 0)
        let found = try tables(in: memory, rsdp: address)
        #expect(Set(found.keys) == ["XSDT", "RSDT", "FACP", "APIC", "MCFG", "HPET", "DSDT", "FACS"])
        for (name, table) in found where name != "FACS" {
            #expect(table.bytes.reduce(0, &+) == 0, "\(name)")
            #expect(map.acpiTables.contains(table.address))
        }
        #expect(try #require(found["FACS"]).address % 64 == 0)
        #expect(try #require(found["FACP"]).bytes.count == 276)
        let entries = try #require(found["APIC"]).bytes.dropFirst(44)
        #expect(entries.count == 4 * 8 + 12 + 2 * 10 + 6)
    }

    @Test func `The loader script gives firmware the same tables`() throws {
        let (map, memory) = try Samples.machine()
        let tables = ACPITables(ACPIDescription(cpuCount: 2))
        _ = try tables.place(in: memory, map)
        let direct = try memory.bytes(map.acpiTables.lowerBound, tables.byteCount)

        var files: [String: [UInt8]] = [:]
        for file in tables.firmwareFiles { files[file.name] = file.bytes }
        let script = try #require(files["etc/table-loader"])
        #expect(script.count.isMultiple(of: 128))
        let bases = ["etc/acpi/tables": map.acpiTables.lowerBound, "etc/acpi/rsdp": MemoryMap.rsdpAddress]
        var allocated: Set<String> = []
        for start in stride(from: 0, to: script.count, by: 128) {
            let command = Array(script[start..<(start + 128)])
            func number(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(command[offset + $1]) << (8 * $1) } }
            func name(_ offset: Int) -> String {
                String(decoding: command[offset..<(offset + 56)].prefix { $0 != 0 }, as: UTF8.self)
            }
            let target = name(4)
            var bytes = try #require(files[target])
            switch number(0) {
            case 1: allocated.insert(target)
            case 2:
                #expect(allocated.contains(target))
                let offset = number(116)
                let byteCount = Int(command[120])
                var value = (0..<byteCount).reduce(UInt64(0)) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
                value += try #require(bases[name(60)])
                for index in 0..<byteCount {
                    bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
                }
            case 3:
                let sum = bytes[number(64)..<(number(64) + number(68))].reduce(0, &+)
                bytes[number(60)] &-= sum
            default: Issue.record("command \(number(0))")
            }
            files[target] = bytes
        }
        #expect(files["etc/acpi/tables"] == direct)
        #expect(try files["etc/acpi/rsdp"] == memory.bytes(MemoryMap.rsdpAddress, 36))
    }

    @Test func `More tables than there is room for are refused`() throws {
        let map = try MemoryMap(memoryByteCount: 16 << 20, acpiByteCount: 4096)
        let memory = try GuestMemory(layout: map.regions)
        #expect(throws: BootError.self) { try ACPITables(ACPIDescription(cpuCount: 250)).place(in: memory, map) }
    }

    @Test(arguments: [0, 27, 28, 29, 2040, 2041, 2042, 2043, 600_000])
    func `Package lengths count themselves`(count: Int) {
        var aml = AMLBuilder()
        aml.scope("ABCD") { inner in for _ in 0..<count { inner.returnValue(.integer(1)) } }
        let following = Int(aml.bytes[1] >> 6)
        let length =
            following == 0
            ? Int(aml.bytes[1])
            : (1...following).reduce(Int(aml.bytes[1] & 15)) { $0 | Int(aml.bytes[1 + $1]) << (8 * $1 - 4) }
        #expect(length == aml.bytes.count - 1)
        #expect(aml.bytes.count == 6 + following + 2 * count)
    }

    @Test(.enabled(if: Samples.exists("/usr/bin/iasl"), "iasl (acpica-tools) is not installed"))
    func `The ACPI compiler understands every table`() throws {
        let directory = Samples.temporaryDirectory()
        defer { _ = Samples.shell("rm -r \(directory)") }
        let (map, memory) = try Samples.machine()
        var description = ACPIDescription(cpuCount: 3)
        description.hpetAddress = 0xFED0_0000
        description.serialPorts = [.com1, .com2]
        description.pci?.memory.append(0x10_0000_0000..<0x20_0000_0000)
        let address = try ACPITables(description).place(in: memory, map).rawValue
        for (name, table) in try tables(in: memory, rsdp: address) {
            let path = "\(directory)/\(name).dat"
            Samples.write(table.bytes, to: path)
            let output = Samples.shell("cd \(directory) && iasl -d \(name).dat && cat \(name).dsl")
            #expect(output.contains("ASL Output:") || output.contains("Formatted output:"), "\(output)")
            #expect(!output.contains("Error") && !output.contains("Invalid"), "\(name): \(output)")
            if name == "DSDT" {
                for text in [
                    "\"PNP0A08\"", "\"PNP0501\"", "\"PNP0303\"", "\"ACPI0007\"", "Name (\\_S5, Package",
                    "WordBusNumber",
                ] {
                    #expect(output.contains(text), "\(text) is not in \(output)")
                }
                let compiled = Samples.shell("cd \(directory) && iasl DSDT.dsl")
                #expect(compiled.contains(" 0 Errors"), "\(compiled)")
            }
        }
    }
}
