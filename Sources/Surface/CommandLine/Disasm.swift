import ArgumentParser
import Boot
internal import Glibc
internal import X86
import X86Decoder

/// `viv disasm`.
struct Disasm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disasm",
        abstract: "Print the instructions of a file as Vivarium decodes them.",
        discussion:
            """
            An ELF file shows its executable sections; anything else, or any file with --raw, is code from its \
            first byte. With --translated, one block of 64-bit code is shown with the host code that the \
            translator makes for it: R9 and RCX are its scratch registers, R10 and R11 hold the guest's RCX and \
            RSP, and GS addresses the virtual CPU's registers and TLB.

            EXAMPLE
              viv disasm --translated --hex '48 8b 47 08 c3' --address 0xffffffff81000000
            """
    )

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(help: "The code size: 16, 32 or 64. An ELF file says it itself.")
    var bits: Int?

    @Option(help: "The address of the first byte of raw code.")
    var base: String = "0"

    @Flag(help: "Take the file as code even if it is an ELF file.")
    var raw = false

    @Option(help: "Code as hexadecimal digits instead of a file.")
    var hex: String?

    @Flag(help: "Print one block of 64-bit code beside the host code that the translator makes for it.")
    var translated = false

    @Option(help: "Where the block of --translated starts; the start of the code if it is not given.")
    var address: String?

    @Option(help: ArgumentHelp("The CPU model that --translated is for.", valueName: "model"))
    var cpu = CPUModel.vivariumV3.name

    @Option(help: "text or json (one object a line).")
    var format: Format = .text

    @Argument(help: "A file, or - for standard input.")
    var file: String?

    func run() throws {
        let regions = try regions()
        if translated { return try printTranslation(of: regions) }
        var output = DisasmOutput(format: format)
        for region in regions { output.print(region) }
        output.flush()
    }

    /// The code to be shown.
    private func regions() throws -> [CodeRegion] {
        guard let address = Self.number(base) else { throw ValidationError("--base \(base) is not a number") }
        guard let size = CodeSize(bits: bits ?? 64) else {
            throw ValidationError("--bits \(bits ?? 0) is not 16, 32 or 64")
        }
        if let hex {
            guard let bytes = Self.bytes(hexadecimal: hex) else {
                throw ValidationError("--hex \(hex) is not pairs of digits")
            }
            return [CodeRegion(name: "", address: address, size: size, bytes: bytes)]
        }
        guard let file else { throw ValidationError("a file, -, or --hex is needed") }
        let bytes = try Self.contents(of: file)
        if !raw, bytes.starts(with: [0x7F, 0x45, 0x4C, 0x46]) {
            guard let regions = CodeRegion.sections(of: bytes, bits: bits) else {
                throw CommandFailure("\(file) is an ELF file whose section headers are not usable")
            }
            return regions
        }
        return [CodeRegion(name: "", address: address, size: size, bytes: bytes)]
    }

    static func number(_ text: String) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = text.filter { !$0.isWhitespace && $0 != "," }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = digit.hexDigitValue else { return nil }
            if let first = high {
                bytes.append(first << 4 | UInt8(value))
                high = nil
            } else {
                high = UInt8(value)
            }
        }
        return bytes
    }

    private static func contents(of path: String) throws(CommandFailure) -> [UInt8] {
        do throws(BootError) { return try HostFile.read(path == "-" ? "/dev/stdin" : path).bytes } catch {
            throw CommandFailure(error)
        }
    }
}

extension CodeSize {
    init?(bits: Int) {
        switch bits {
        case 16: self = .bits16
        case 32: self = .bits32
        case 64: self = .bits64
        default: return nil
        }
    }
}
