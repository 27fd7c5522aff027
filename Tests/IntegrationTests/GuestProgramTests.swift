import Foundation
import Testing

/// The programs under `GuestPrograms/`, each with its expected output in its header, through the `viv` that was built with these tests.
@Suite struct GuestProgramTests {
    @Test(.enabled(if: Place.missing == nil, Comment(rawValue: Place.missing ?? "")), arguments: Place.programs)
    func `A guest program prints what its header says`(name: String) throws {
        try run(name, "interpret")
    }

    @Test(.enabled(if: Place.missing == nil, Comment(rawValue: Place.missing ?? "")), arguments: Place.programs)
    func `A guest program prints the same when it is translated`(name: String) throws {
        try run(name, "translate")
    }

    @Test(.enabled(if: Place.missing == nil, Comment(rawValue: Place.missing ?? "")), arguments: Place.programs)
    func `A translated guest program does what the interpreter does`(name: String) throws {
        // A check compares one processor.
        try run(name, name == "second-processor" ? "translate" : "check")
    }

    private func run(_ name: String, _ engine: String) throws {
        let (status, output) = try Place.run(["--viv", Place.viv, "--engine", engine, name])
        #expect(status == 0, "\(output)")
    }
}

private enum Place {
    static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let script = repository.appendingPathComponent("Scripts/run-guest-programs").path

    /// The built product beside the test bundle.
    static let viv: String = {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? "/proc/self/exe"
        let folder = URL(fileURLWithPath: bundle).resolvingSymlinksInPath().deletingLastPathComponent()
        return folder.appendingPathComponent("viv").path
    }()

    /// Why the programs cannot run here, or nil.
    static let missing: String? = {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        for tool in ["as", "ld", "objcopy"]
        where !path.contains(where: { FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)") }) {
            return "the guest programs need '\(tool)': apt install binutils"
        }
        return FileManager.default.isExecutableFile(atPath: viv) ? nil : "the guest programs need \(viv)"
    }()

    static let programs: [String] = {
        let folder = repository.appendingPathComponent("GuestPrograms").path
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".s") }.map { String($0.dropLast(2)) }.sorted()
    }()

    /// Runs the script; returns its status and everything that it printed.
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: script)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let bytes = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: bytes, as: UTF8.self))
    }
}
