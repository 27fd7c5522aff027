import ArgumentParser
import DiskImage

/// `viv disk resize`.
struct DiskResize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resize",
        abstract: "Change the size of an image: SIZE, +SIZE or -SIZE."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Flag(help: "Allow the loss of what lies behind the new end.")
    var shrink = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Argument(help: "The image's path.")
    var path: String
    @Argument(parsing: .allUnrecognized, help: "The new size, or by how much it grows (+) or shrinks (-).")
    var size: [String]

    func run() throws {
        guard size.count == 1, let text = size.first else { throw ValidationError("one size is needed") }
        let sign = text.first == "+" || text.first == "-" ? text.first : nil
        guard let amount = DiskByteCount(argument: String(text.dropFirst(sign == nil ? 0 : 1)))?.sectors else {
            throw ValidationError("'\(text)' is no size")
        }
        let opened = try diskFailing { () throws(DiskImageError) in
            try OpenedDiskImage(path: path, DiskImageOptions(format: format))
        }
        let old = opened.image.byteCount
        let (new, overflow) =
            switch sign {
            case "+": old.addingReportingOverflow(amount)
            case "-": old.subtractingReportingOverflow(amount)
            default: (amount, false)
            }
        guard !overflow, new <= UInt64(Int64.max) >> 1 else {
            throw CommandFailure("\(text) is no possible size of \(path)")
        }
        guard new >= old || shrink else {
            throw CommandFailure("\(path) would shrink from \(old) to \(new) bytes: --shrink allows that")
        }
        try diskFailing { () throws(DiskImageError) in
            if let qcow2 = opened.qcow2 {
                try qcow2.resize(to: new)
                try qcow2.close()
            } else {
                try opened.file.resize(to: new)
            }
        }
        if !isQuiet { print("Image resized.") }
    }
}
