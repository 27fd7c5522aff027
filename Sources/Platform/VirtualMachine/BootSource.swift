public import Boot

/// What the machine starts: files that were already read, so that a reset needs the host no more.
public enum BootSource: Sendable {
    /// A kernel in any format that `Boot` knows, started without firmware.
    case kernel(HostFile, initrd: HostFile?, commandLine: String)
    /// A BIOS image; it finds the disks itself.
    case firmware(HostFile)
    /// Nothing: the machine goes on from a saved state. `firmwareByteCount`: The size of the BIOS image that it has, or 0.
    case saved(firmwareByteCount: Int)
}
