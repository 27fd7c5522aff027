import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk check`.
struct DiskCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the tables of a qcow2 image, and repair them.",
        discussion: """
            EXIT STATUS
              0      nothing is wrong (any more)
              1      the check could not be done: one line says why
              2      the image is corrupt
              3      clusters are leaked, nothing worse
              63     the format has nothing to check
              64     the command line was not understood
            """
    )

    enum Repair: String, ExpressibleByArgument, CaseIterable {
        case leaks
        case all
    }

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Option(name: .customShort("r"), help: "Repair leaks, or all.")
    var repair: Repair?
    @OptionGroup var output: DiskOutputOption
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "Look even while another process writes to it.")
    var isShared = false
    @Option(name: .customShort("T"), help: .hidden)
    var cache: DiskCacheMode?
    @Argument(help: "The image's path.")
    var path: String

    func run() throws {
        let report = try diskFailing { () throws(DiskImageError) -> DiskCheckReport? in
            let options = DiskImageOptions(
                format: format,
                isReadOnly: repair == nil,
                locking: isShared ? .sharing : .usual,
                opensBacking: false,
                repairs: repair != nil
            )
            guard let repair else { return try OpenedDiskImage(path: path, options).qcow2?.check() }
            return try QCOW2Image.repair(path: path, options, all: repair == .all)
        }
        guard let report else {
            Console.say("viv: \(path): this format has nothing to check")
            Glibc.exit(63)
        }
        if !isQuiet { Console.write(text(report), to: STDOUT_FILENO) }
        if report.corruptionCount > 0 { Glibc.exit(2) }
        if report.leakCount > 0 { Glibc.exit(3) }
    }

    private func text(_ report: DiskCheckReport) -> String {
        if output.form == .json { return object(report).encoded() + "\n" }
        var lines = report.problems
        if report.fixedLeakCount + report.fixedCorruptionCount > 0 {
            lines.append("Repaired: \(report.fixedLeakCount) leaks, \(report.fixedCorruptionCount) corruptions")
        }
        if report.corruptionCount > 0 {
            lines.append("\(report.corruptionCount) errors were found on the image.")
            lines.append("Data may be corrupted, or further writes to the image may corrupt it.")
        }
        if report.leakCount > 0 {
            lines.append("\(report.leakCount) leaked clusters were found on the image.")
            lines.append("This means waste of disk space, but no harm to data.")
        }
        if report.corruptionCount + report.leakCount == 0 { lines.append("No errors were found on the image.") }
        if report.allocatedClusters > 0 {
            let tenths = { (part: UInt64, whole: UInt64) in
                let hundredths = whole == 0 ? 0 : part * 10000 / whole
                return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)%"
            }
            lines.append(
                "\(report.allocatedClusters)/\(report.totalClusters) = "
                    + "\(tenths(report.allocatedClusters, report.totalClusters)) allocated, "
                    + "\(tenths(report.fragmentedClusters, report.allocatedClusters)) fragmented, "
                    + "\(tenths(report.compressedClusters, report.allocatedClusters)) compressed clusters"
            )
        }
        lines.append("Image end offset: \(report.endOffset)")
        return lines.joined(separator: "\n") + "\n"
    }

    private func object(_ report: DiskCheckReport) -> JSONText {
        var fields: [(String, JSONText)] = [
            ("image-end-offset", .count(report.endOffset)), ("total-clusters", .count(report.totalClusters)),
            ("check-errors", .number(0)),
        ]
        for (name, value) in [
            ("allocated-clusters", report.allocatedClusters), ("fragmented-clusters", report.fragmentedClusters),
            ("compressed-clusters", report.compressedClusters), ("corruptions", UInt64(report.corruptionCount)),
            ("leaks", UInt64(report.leakCount)), ("corruptions-fixed", UInt64(report.fixedCorruptionCount)),
            ("leaks-fixed", UInt64(report.fixedLeakCount)),
        ] where value > 0 { fields.append((name, .count(value))) }
        fields.append(("filename", .text(path)))
        fields.append(("format", .text("qcow2")))
        return .object(fields)
    }
}
