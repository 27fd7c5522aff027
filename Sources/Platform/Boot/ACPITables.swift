internal import ByteCoding
public import GuestMemory

/// The ACPI tables of a machine, generated from its description (ACPI 6.4 §5.2).
///
/// Without firmware, ``place(in:_:)`` puts them into guest memory; SeaBIOS takes them as ``firmwareFiles``.
public struct ACPITables: Sendable {
    private let tables: ACPITableBlob
    private let rootPointer: ACPITableBlob

    public init(_ description: ACPIDescription) {
        var tables = ACPITableBlob()
        let facs = tables.appendRaw(Self.facs, alignment: 64)
        let dsdt = tables.appendTable("DSDT", revision: 2, body: description.differentiatedDefinitions)
        let fadt = tables.appendTable("FACP", revision: 6, body: description.fixedDescription)
        tables.setPointer(at: fadt + 36, byteCount: 4, to: facs)
        tables.setPointer(at: fadt + 40, byteCount: 4, to: dsdt)
        tables.setPointer(at: fadt + 140, byteCount: 8, to: dsdt)
        var roots = [fadt, tables.appendTable("APIC", revision: 5, body: description.interruptControllers)]
        if let ecam = description.ecam {
            roots.append(tables.appendTable("MCFG", revision: 1, body: Self.configurationSpace(ecam)))
        }
        if let address = description.hpetAddress {
            roots.append(tables.appendTable("HPET", revision: 1, body: Self.eventTimer(at: address)))
        }
        let rsdt = Self.appendRoot("RSDT", pointerByteCount: 4, to: roots, &tables)
        let xsdt = Self.appendRoot("XSDT", pointerByteCount: 8, to: roots, &tables)
        self.tables = tables
        rootPointer = Self.rootPointer(rsdt: rsdt, xsdt: xsdt)
    }

    /// The bytes that the tables need in reserved memory.
    public var byteCount: Int { tables.bytes.count }

    /// Puts the RSDP at `0xE0000` and the tables into the map's region for them.
    ///
    /// - Returns: The RSDP's address.
    public func place(in memory: GuestMemory, _ map: MemoryMap) throws(BootError) -> GuestAddress {
        guard byteCount <= map.acpiTables.count else {
            throw .tablesTooLarge(byteCount: byteCount, limit: map.acpiTables.count)
        }
        let base = map.acpiTables.lowerBound
        try memory.place(tables.resolved(tablesBase: base), at: base, for: "ACPI tables")
        try memory.place(rootPointer.resolved(tablesBase: base), at: MemoryMap.rsdpAddress, for: "ACPI tables")
        return GuestAddress(MemoryMap.rsdpAddress)
    }

    /// The `fw_cfg` files by name: the RSDP, the tables, and the commands by which firmware places and links them.
    public var firmwareFiles: [(name: String, bytes: [UInt8])] {
        [
            (Self.rootPointerFile, rootPointer.bytes),
            (Self.tablesFile, tables.bytes),
            ("etc/table-loader", loaderScript),
        ]
    }

    private static let tablesFile = "etc/acpi/tables"
    private static let rootPointerFile = "etc/acpi/rsdp"

    /// The commands of `etc/table-loader`, 128 bytes each: allocate the files, add their addresses, then sum.
    private var loaderScript: [UInt8] {
        var script: [UInt8] = []
        func fileName(_ name: String) -> [UInt8] {
            Array((Array(name.utf8) + [UInt8](repeating: 0, count: 56)).prefix(56))
        }
        func command(_ number: UInt32, _ operands: [UInt8]) {
            script.append(littleEndian: number)
            script += operands + [UInt8](repeating: 0, count: 124 - operands.count)
        }
        func number(_ value: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: UInt32(value))
            return bytes
        }
        command(1, fileName(Self.rootPointerFile) + number(16) + [2])  // in the segment at 0xF0000
        command(1, fileName(Self.tablesFile) + number(64) + [1])  // in high memory
        for (name, blob) in [(Self.tablesFile, tables), (Self.rootPointerFile, rootPointer)] {
            for pointer in blob.pointers {
                let operands = fileName(name) + fileName(Self.tablesFile) + number(pointer.offset)
                command(2, operands + [UInt8(pointer.byteCount)])
            }
            for checksum in blob.checksums {
                command(
                    3,
                    fileName(name) + number(checksum.offset) + number(checksum.start) + number(checksum.byteCount)
                )
            }
        }
        return script
    }

    private static func appendRoot(
        _ signature: String,
        pointerByteCount: Int,
        to roots: [Int],
        _ tables: inout ACPITableBlob
    ) -> Int {
        let body = [UInt8](repeating: 0, count: roots.count * pointerByteCount)
        let offset = tables.appendTable(signature, revision: 1, body: body)
        for (index, root) in roots.enumerated() {
            tables.setPointer(at: offset + 36 + index * pointerByteCount, byteCount: pointerByteCount, to: root)
        }
        return offset
    }

    /// The root system description pointer, revision 2 (§5.2.5.3).
    private static func rootPointer(rsdt: Int, xsdt: Int) -> ACPITableBlob {
        var blob = ACPITableBlob()
        _ = blob.appendRaw(
            Array("RSD PTR ".utf8) + [0] + Array("VIVARM".utf8) + [2] + [UInt8](repeating: 0, count: 20),
            alignment: 1
        )
        blob.setPointer(at: 16, byteCount: 4, to: rsdt)
        blob.setLength(36, at: 20)
        blob.setPointer(at: 24, byteCount: 8, to: xsdt)
        blob.addChecksum(at: 8, over: 0, byteCount: 20)
        blob.addChecksum(at: 32, over: 0, byteCount: 36)
        return blob
    }

    /// The firmware control structure (§5.2.10): no waking vector, version 2.
    private static var facs: [UInt8] {
        var bytes = Array("FACS".utf8)
        bytes.append(littleEndian: UInt32(64))
        bytes += [UInt8](repeating: 0, count: 56)
        bytes[32] = 2
        return bytes
    }

    /// MCFG (PCI Firmware 3.0 §4.1.2): segment 0.
    private static func configurationSpace(_ ecam: ACPIDescription.ECAM) -> [UInt8] {
        var body = [UInt8](repeating: 0, count: 8)
        body.append(littleEndian: ecam.base)
        body += [0, 0, ecam.buses.lowerBound, ecam.buses.upperBound, 0, 0, 0, 0]
        return body
    }

    /// HPET (IA-PC HPET 1.0a §3.2.4): three comparators, 64-bit counter, legacy routing.
    private static func eventTimer(at address: UInt64) -> [UInt8] {
        var body: [UInt8] = []
        body.append(littleEndian: UInt32(0x8086_A201))
        body += GenericAddress(space: 0, bitWidth: 64, accessSize: 0, address: address).bytes
        body += [0, 0x80, 0, 0]
        return body
    }
}

/// A generic address structure (ACPI 6.4 §5.2.3.2).
struct GenericAddress: Sendable {
    /// 0 memory, 1 ports.
    var space: UInt8
    var bitWidth: UInt8
    /// 0 undefined, then 1, 2, 3, 4 for 1, 2, 4, 8 bytes.
    var accessSize: UInt8
    var address: UInt64

    var bytes: [UInt8] {
        var bytes = [space, bitWidth, 0, accessSize]
        bytes.append(littleEndian: address)
        return bytes
    }
}
