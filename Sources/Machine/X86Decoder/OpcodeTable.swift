/// The opcode table: a row for every encoding that the decoder knows.
public enum OpcodeTable {
    /// The row that ``DecodedInstruction/row`` names; that of ``Operation/undefined`` if there is none.
    public static func row(_ index: UInt16) -> OpcodeRow {
        let tables = DecodeTables.shared
        return tables.publicRows[Int(index) < tables.rowCount ? Int(index) : 0]
    }

    public static var rowCount: Int { DecodeTables.shared.rowCount }
}

/// The table as the decoder walks it: flat arrays behind pointers, built at first use and never freed.
struct DecodeTables: @unchecked Sendable {
    // SAFETY: nothing is written after `init`.
    static let shared = DecodeTables()

    let rowCount: Int
    let publicRows: UnsafePointer<OpcodeRow>
    let rows: UnsafePointer<DecodeRow>
    /// By ``OpcodeMapID`` and opcode: a row, or with bit 15 a split in `nodes`.
    let roots: UnsafePointer<UInt16>
    let shapes: UnsafePointer<OpcodeShape>
    let nodes: UnsafePointer<UInt16>
    /// By ``WidthCode`` and a state of four bits: operand size 1:0, VEX.L 2, 64-bit mode 3.
    let widths: UnsafePointer<UInt8>
    /// By byte, a ``PrefixClass``.
    let prefixes: UnsafePointer<UInt8>

    private init() {
        var builder = OpcodeTableBuilder()
        builder.addAll()
        var roots: [UInt16] = []
        var shapes: [OpcodeShape] = []
        for map: OpcodeMapID in [.oneByte, .map0F, .map0F38, .map0F3A, .vex0F, .vex0F38, .vex0F3A, .x87] {
            let (mapRoots, mapShapes) = builder.roots(map)
            roots += mapRoots
            shapes += mapShapes
        }
        var widths: [UInt8] = []
        for code in WidthCode.allCases {
            for state in 0..<16 {
                widths.append(
                    code.byteCount(
                        operandSize: 2 << Swift.min(state & 3, 2),
                        isWide: state & 4 != 0,
                        isLong: state & 8 != 0
                    )
                )
            }
        }
        rowCount = builder.rows.count
        publicRows = Self.copy(builder.rows)
        rows = Self.copy(builder.decodeRows)
        self.roots = Self.copy(roots)
        self.shapes = Self.copy(shapes)
        nodes = Self.copy(builder.nodes)
        self.widths = Self.copy(widths)
        prefixes = Self.copy((0..<256).map { PrefixClass.of(UInt8($0)).rawValue })
    }

    private static func copy<Element>(_ elements: [Element]) -> UnsafePointer<Element> {
        let pointer = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
        pointer.initialize(from: elements, count: elements.count)
        return UnsafePointer(pointer)
    }
}

/// What a byte is before the opcode.
enum PrefixClass: UInt8 {
    case none
    case segment
    case operandSize
    case addressSize
    case lock
    case repeatNotEqual
    case repeatEqual
    case rex
    /// C4, C5 and 62: a prefix or an old instruction.
    case vector

    static func of(_ byte: UInt8) -> PrefixClass {
        switch byte {
        case 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65: .segment
        case 0x66: .operandSize
        case 0x67: .addressSize
        case 0xF0: .lock
        case 0xF2: .repeatNotEqual
        case 0xF3: .repeatEqual
        case 0x40...0x4F: .rex
        case 0xC4, 0xC5, 0x62: .vector
        default: .none
        }
    }
}
