/// The names of a kernel's addresses, from a `System.map` or a copy of `/proc/kallsyms`.
public struct SymbolTable: Sendable {
    private var symbols: [(address: UInt64, name: String)]
    private let entry: UInt64?
    private let imageEnd: UInt64
    private let imageStart: UInt64
    /// What the running kernel's image lies above where the table has it.
    public private(set) var slide: UInt64 = 0

    /// The symbol at SYSCALL's target, whose address tells where the kernel was moved to.
    static let entryName = "entry_SYSCALL_64"

    /// Reads lines of address, type and name, perhaps a module; nil if no line is one.
    public init?(_ text: some Collection<UInt8>) {
        var symbols: [(address: UInt64, name: String)] = []
        for line in text.split(separator: 10) {
            let words = line.split(whereSeparator: { $0 == 32 || $0 == 9 })
            guard words.count >= 3, words[1].count == 1, let type = words[1].first,
                let address = UInt64(String(decoding: words[0], as: UTF8.self), radix: 16)
            else { continue }
            // Absolute ones are offsets in per-CPU data.
            guard type != UInt8(ascii: "a"), type != UInt8(ascii: "A"), address >> 63 == 1 else { continue }
            let module = words.count > 3 ? " " + String(decoding: words[3], as: UTF8.self) : ""
            symbols.append((address, String(decoding: words[2], as: UTF8.self) + module))
        }
        guard !symbols.isEmpty else { return nil }
        symbols.sort { $0.address < $1.address }
        self.symbols = symbols
        entry = symbols.first { $0.name == Self.entryName }?.address
        imageStart = symbols.first { $0.name == "_text" }?.address ?? 0
        imageEnd = symbols.first { $0.name == "_end" }?.address ?? .max
    }

    /// Follows a kernel that was loaded somewhere else, from where SYSCALL enters it.
    ///
    /// The symbols of modules are then unknown.
    public mutating func relocate(systemCallEntry: UInt64) {
        guard let entry, systemCallEntry >> 63 == 1 else { return }
        slide = systemCallEntry &- entry
        guard slide != 0 else { return }
        symbols = symbols.filter { $0.address >= imageStart && $0.address < imageEnd }.map { ($0.address &+ slide, $0.name) }
        symbols.sort { $0.address < $1.address }
    }

    /// The symbol at or before `address` and the distance to it.
    public func symbol(at address: UInt64) -> (name: String, offset: UInt64)? {
        var low = 0
        var high = symbols.count
        while low < high {
            let middle = (low + high) / 2
            if symbols[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        // Nothing that is called is larger than this.
        guard low > 0, address - symbols[low - 1].address < 1 << 20 else { return nil }
        return (symbols[low - 1].name, address - symbols[low - 1].address)
    }
}
