internal import ByteCoding
public import GuestMemory

/// A kernel file of any format that can be started without firmware, told apart by its content.
public enum KernelImage: Sendable {
    case linux(LinuxKernel)
    case pvh(PVHKernel)
    case multiboot(MultibootKernel)

    public init(_ file: HostFile) throws(BootError) {
        let reader = ByteReader(file.bytes)
        if reader.load(UInt32.self, at: LinuxKernel.Field.magic) == LinuxKernel.magic {
            self = .linux(try LinuxKernel(file))
        } else if reader.load(UInt32.self, at: 0) == ELFImage.magic {
            if let kernel = try PVHKernel(file) {
                self = .pvh(kernel)
            } else if let kernel = try MultibootKernel(file) {
                self = .multiboot(kernel)
            } else {
                throw .elfProgram(path: file.path)
            }
        } else if let kernel = try MultibootKernel(file) {
            self = .multiboot(kernel)
        } else if file.bytes.count < 1024 {
            throw .truncated(path: file.path, field: "a kernel's header", needed: 1024, found: file.bytes.count)
        } else {
            throw .notAKernel(path: file.path)
        }
    }

    /// Puts the kernel and what it is started with into guest memory, and says in what state its CPU starts.
    ///
    /// `entry` says how a Linux kernel is entered; the other formats have one way.
    public func load(
        into memory: GuestMemory,
        _ request: BootRequest,
        entry: LinuxKernel.EntryChoice = .automatic
    ) throws(BootError) -> BootEntry {
        switch self {
        case .linux(let kernel): try kernel.load(into: memory, request, entry: entry)
        case .pvh(let kernel): try kernel.load(into: memory, request)
        case .multiboot(let kernel): try kernel.load(into: memory, request)
        }
    }

    /// The format's name, for progress messages.
    public var formatName: String {
        switch self {
        case .linux: "Linux bzImage"
        case .pvh: "PVH ELF"
        case .multiboot: "multiboot"
        }
    }
}
