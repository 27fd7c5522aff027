import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk snapshot`.
struct DiskSnapshots: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot",
        abstract: "List, make, apply and delete the snapshots inside a qcow2 image."
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Flag(name: .customShort("l"), help: "List the snapshots.")
    var isList = false
    @Option(name: .customShort("c"), help: ArgumentHelp("Make one.", valueName: "name"))
    var create: String?
    @Option(name: .customShort("a"), help: ArgumentHelp("Make the disk what it was then.", valueName: "name"))
    var apply: String?
    @Option(name: .customShort("d"), help: ArgumentHelp("Delete one.", valueName: "name"))
    var delete: String?
    @OptionGroup var output: DiskOutputOption
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Flag(name: [.customShort("U"), .customLong("force-share")], help: "List even while another process writes to it.")
    var isShared = false
    @Argument(help: "The image's path.")
    var path: String

    func validate() throws {
        guard [create, apply, delete].compactMap({ $0 }).count + (isList ? 1 : 0) <= 1 else {
            throw ValidationError("only one of -l, -c, -a and -d is possible")
        }
    }

    func run() throws {
        let isReading = create == nil && apply == nil && delete == nil
        let opened = try diskFailing { () throws(DiskImageError) in
            try OpenedDiskImage(
                path: path,
                DiskImageOptions(
                    format: format,
                    isReadOnly: isReading,
                    locking: isShared && isReading ? .sharing : .usual,
                    opensBacking: false
                )
            )
        }
        guard let image = opened.qcow2 else { throw CommandFailure("\(path): raw images have no snapshots") }
        if isReading { return list(image.snapshotList) }
        try diskFailing { () throws(DiskImageError) in
            if let create {
                var now = timespec()
                unsafe clock_gettime(CLOCK_REALTIME, &now)
                try image.createSnapshot(
                    name: create,
                    seconds: UInt32(truncatingIfNeeded: now.tv_sec),
                    nanoseconds: UInt32(truncatingIfNeeded: now.tv_nsec)
                )
            }
            if let apply { try image.applySnapshot(apply) }
            if let delete { try image.deleteSnapshot(delete) }
            try image.close()
        }
    }

    private func list(_ snapshots: [DiskSnapshot]) {
        if output.form == .json {
            Console.write(JSONText.list(snapshots.map(Self.object)).encoded() + "\n", to: STDOUT_FILENO)
        } else if !snapshots.isEmpty {
            Console.write(Self.table(snapshots).joined(separator: "\n") + "\n", to: STDOUT_FILENO)
        }
    }

    static func object(_ snapshot: DiskSnapshot) -> JSONText {
        .object([
            ("id", .text(snapshot.identifier)),
            ("name", .text(snapshot.name)),
            ("vm-state-size", .count(snapshot.stateByteCount)),
            ("date-sec", .number(Int64(snapshot.seconds))),
            ("date-nsec", .number(Int64(snapshot.nanoseconds))),
            ("vm-clock-sec", .count(snapshot.guestClockNanoseconds / 1_000_000_000)),
            ("vm-clock-nsec", .count(snapshot.guestClockNanoseconds % 1_000_000_000)),
        ])
    }

    static func table(_ snapshots: [DiskSnapshot]) -> [String] {
        func padded(_ text: String, _ count: Int, right: Bool = false) -> String {
            let fill = String(repeating: " ", count: max(0, count - text.count))
            return right ? fill + text : text + fill
        }
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        var lines = ["Snapshot list:"]
        lines.append("ID        TAG               VM SIZE                DATE     VM CLOCK")
        for snapshot in snapshots {
            var time = time_t(snapshot.seconds)
            var parts = unsafe tm()
            unsafe localtime_r(&time, &parts)
            let day = unsafe (Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday))
            let clockTime = unsafe (Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec))
            let date = "\(day.0)-\(two(day.1))-\(two(day.2))"
            let hour = "\(two(clockTime.0)):\(two(clockTime.1)):\(two(clockTime.2))"
            let milliseconds = Int(snapshot.guestClockNanoseconds / 1_000_000)
            let seconds = milliseconds / 1000
            let rest = "\(milliseconds % 1000 + 1000)".dropFirst()
            let clock = "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(rest)"
            lines.append(
                padded(snapshot.identifier, 10) + padded(snapshot.name, 16)
                    + padded(DiskByteCount.text(snapshot.stateByteCount), 9, right: true)
                    + padded("\(date) \(hour)", 20, right: true) + padded(clock, 13, right: true)
            )
        }
        return lines
    }
}
