internal import Boot
internal import Glibc
internal import VirtualMachine

/// What `--profile` writes, and where.
struct ProfileOutput {
    let profile = MachineProfile()
    private let path: String
    private let descriptor: CInt
    private let symbols: SymbolTable?

    /// Opens the files first, so that a wrong name is told before the guest runs.
    init(_ path: String, symbols: String?) throws(CommandFailure) {
        if let symbols {
            let text: [UInt8]
            do throws(BootError) { text = try HostFile.read(symbols).bytes } catch { throw CommandFailure(error) }
            guard let table = SymbolTable(text) else {
                throw CommandFailure("\(symbols): holds no symbols of a kernel with their addresses")
            }
            self.symbols = table
        } else {
            self.symbols = nil
        }
        self.path = path
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw CommandFailure("\(path): \(unsafe String(cString: strerror(errno)))") }
    }

    /// Writes the folded stacks to the file, and the table to standard error.
    func write(systemCallEntry: UInt64) throws(CommandFailure) {
        var table = symbols
        table?.relocate(systemCallEntry: systemCallEntry)
        let report = profile.report(symbols: table)
        Console.write(report.foldedStacks, to: descriptor)
        guard close(descriptor) == 0 else { throw CommandFailure("\(path): \(unsafe String(cString: strerror(errno)))") }
        Console.write(report.table(), to: STDERR_FILENO)
    }
}
