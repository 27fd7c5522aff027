public import ArgumentParser
public import DiskImage

/// `viv disk`: disk images, with the words of qemu-img where it has them.
public struct DiskCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "disk",
        abstract: "Make, examine and convert disk images (raw, qcow2).",
        discussion: """
            The verbs and flags are those of qemu-img. Images are locked as QEMU locks them: neither opens for writing what the \
            other uses.

            EXAMPLES
                viv disk create -f qcow2 disk.qcow2 20G
                viv disk create -f qcow2 -b debian.qcow2 -F qcow2 clone.qcow2
                viv disk create --from-directory rootfs disk.img 2G
                viv disk convert -p -c -O qcow2 disk.img disk.qcow2
            """,
        subcommands: [
            DiskCreate.self, DiskInfo.self, DiskCheck.self, DiskConvert.self, DiskResize.self, DiskSnapshots.self,
            DiskCommit.self, DiskRebase.self, DiskMap.self, DiskCompare.self, DiskMeasure.self,
        ]
    )

    public init() {}
}

extension DiskImageFormat: ExpressibleByArgument {
    public init?(argument: String) { self.init(rawValue: argument) }
}

/// QEMU's modes of the host's cache: taken and not used, the host's own is always used.
enum DiskCacheMode: String, ExpressibleByArgument, CaseIterable {
    case none
    case writeback
    case writethrough
    case directsync
    case unsafe
}

/// The form of what is printed.
enum DiskOutputFormat: String, ExpressibleByArgument, CaseIterable {
    case human
    case json
}

struct DiskOutputOption: ParsableArguments {
    @Option(name: [.customLong("output"), .customLong("format")], help: "human or json.")
    var form: DiskOutputFormat = .human
}

/// A size: a number of bytes, or one with K, M, G, T, P or E (powers of 1024).
struct DiskByteCount: ExpressibleByArgument, Hashable {
    let bytes: UInt64

    init?(argument: String) {
        let number = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let suffix = argument.dropFirst(number.count).lowercased()
        let shifts = ["": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60]
        let name = suffix.count > 1 && suffix.hasSuffix("ib") ? String(suffix.dropLast(2)) : suffix
        guard let shift = shifts[name], !number.isEmpty else { return nil }
        if let whole = UInt64(number) {
            let (product, overflow) = whole.multipliedReportingOverflow(by: 1 << UInt64(shift))
            guard !overflow else { return nil }
            bytes = product
        } else {
            guard shift > 0, let value = Double(String(number)), value >= 0, value < 1e9 else { return nil }
            let product = value * Double(UInt64(1) << UInt64(shift))
            guard product < 9e18 else { return nil }
            bytes = UInt64(product)
        }
    }

    /// Up to the next whole sector.
    var sectors: UInt64 { bytes > UInt64(Int64.max) ? bytes : (bytes + 511) / 512 * 512 }

    /// As qemu-img tells sizes: three digits and a unit.
    static func text(_ bytes: UInt64) -> String {
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while value >= 1000, unit < 6 {
            value /= 1024
            unit += 1
        }
        let digits = value >= 100 ? 0 : value >= 10 ? 1 : 2
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let rounded = (value * scale).rounded() / scale
        let text = rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
        return "\(text) \(units[unit])"
    }
}

/// Runs a body whose errors are those of images, as one of this command.
func diskFailing<Result>(_ body: () throws(DiskImageError) -> Result) throws(CommandFailure) -> Result {
    do throws(DiskImageError) { return try body() } catch { throw CommandFailure(error) }
}

/// `-o key=value,…`, given any number of times.
struct DiskCreationOptions {
    private var values: [(key: String, value: String)] = []

    init(_ texts: [String]) throws(CommandFailure) {
        for text in texts {
            for part in text.split(separator: ",") {
                guard let equals = part.firstIndex(of: "=") else {
                    throw CommandFailure("option '\(part)' is not of the form name=value")
                }
                values.append((String(part[..<equals]), String(part[part.index(after: equals)...])))
            }
        }
    }

    private static func isOn(_ value: String, _ key: String) throws(CommandFailure) -> Bool {
        switch value {
        case "on", "yes", "true": return true
        case "off", "no", "false": return false
        default: throw CommandFailure("option \(key)=\(value) is neither on nor off")
        }
    }

    static func preallocation(_ value: String) throws(CommandFailure) -> QCOW2CreateOptions.Preallocation {
        guard let kind = QCOW2CreateOptions.Preallocation(rawValue: value) else {
            throw CommandFailure("preallocation=\(value) is none of off, metadata, falloc, full")
        }
        return kind
    }

    func raw() throws(CommandFailure) -> (preallocation: QCOW2CreateOptions.Preallocation, size: UInt64?) {
        var result = QCOW2CreateOptions.Preallocation.off
        var size: UInt64?
        for (key, value) in values {
            switch key {
            case "preallocation": result = try Self.preallocation(value)
            case "size": size = DiskByteCount(argument: value)?.sectors
            default: throw CommandFailure("raw images have no option '\(key)'")
            }
        }
        return (result, size)
    }

    func apply(to options: inout QCOW2CreateOptions) throws(CommandFailure) {
        for (key, value) in values {
            switch key {
            case "compat":
                switch value {
                case "0.10", "v2": options.version = 2
                case "1.1", "v3": options.version = 3
                default: throw CommandFailure("compat=\(value) is neither 0.10 nor 1.1")
                }
            case "cluster_size":
                guard let size = DiskByteCount(argument: value)?.bytes, size.nonzeroBitCount == 1, size >= 512,
                    size <= 2 << 20
                else { throw CommandFailure("cluster_size=\(value) is not a power of two from 512 to 2M") }
                options.clusterBits = UInt32(size.trailingZeroBitCount)
            case "refcount_bits":
                guard let bits = Int(value) else { throw CommandFailure("refcount_bits=\(value) is not a number") }
                options.refcountBits = bits
            case "lazy_refcounts": options.isLazy = try Self.isOn(value, key)
            case "compression_type":
                guard let type = ClusterCompression.allCases.first(where: { $0.name == value }) else {
                    throw CommandFailure("compression_type=\(value) is neither zlib nor zstd")
                }
                options.compression = type
            case "preallocation": options.preallocation = try Self.preallocation(value)
            case "backing_file": options.backingPath = value
            case "backing_fmt":
                guard let format = DiskImageFormat(rawValue: value) else {
                    throw CommandFailure("backing_fmt=\(value) is not known")
                }
                options.backingFormat = format
            case "size":
                guard let size = DiskByteCount(argument: value) else {
                    throw CommandFailure("size=\(value) is no size")
                }
                options.byteCount = size.sectors
            case "extended_l2", "data_file_raw":
                if try Self.isOn(value, key) { throw CommandFailure("images with \(key)=on are read, not made") }
            case "data_file": throw CommandFailure("images with a data file are read, not made")
            default: throw CommandFailure("qcow2 images have no option '\(key)'")
            }
        }
    }
}
