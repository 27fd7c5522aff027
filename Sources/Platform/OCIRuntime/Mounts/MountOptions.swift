internal import Glibc

/// What the options of a mount ask for (runtime-spec 1.2 config.md "Linux mount options"), as mount(2) and mount_setattr(2)
/// take it.
///
/// A later option wins over an earlier one.
public struct MountOptions: Hashable, Sendable {
    /// MS_* for mount(2), without propagation.
    public private(set) var flags: UInt = 0

    /// MS_* that were asked to be off, which a remount of what has them must not keep.
    public private(set) var clearedFlags: UInt = 0

    /// Types of propagation, each for a mount(2) of its own, in this order: one of MS_SHARED, MS_PRIVATE, MS_SLAVE and
    /// MS_UNBINDABLE, and MS_REC where it is for all mounts below.
    public private(set) var propagation: [UInt] = []

    /// MOUNT_ATTR_* that mount_setattr(2) with AT_RECURSIVE sets and clears, on the mount and all below.
    public private(set) var recursiveSet: UInt64 = 0
    public private(set) var recursiveClear: UInt64 = 0

    /// What is for the file system itself, with commas between.
    public private(set) var data = ""

    /// Whether a tmpfs starts with what the image has in that place (`tmpcopyup`).
    public private(set) var copiesUp = false

    /// Whether the owners of files are mapped (`idmap`), and of those on mounts below, too (`ridmap`).
    public private(set) var isIdmapped = false
    public private(set) var isIdmappedRecursively = false

    public var isBind: Bool { flags & UInt(MS_BIND) != 0 }
    public var isReadOnly: Bool { flags & UInt(MS_RDONLY) != 0 }
    public var hasRecursiveAttributes: Bool { recursiveSet != 0 || recursiveClear != 0 }

    /// The flags that a bind mount only takes when it is mounted once more with MS_REMOUNT; 0 where that is not needed.
    public var remountFlags: UInt { isBind ? flags & ~UInt(MS_BIND | MS_REC | MS_REMOUNT | MS_SILENT) : 0 }

    /// Reads options; `type` is the mount's, of which `bind` is one without the option.
    public init(options: [String], type: String?) {
        for option in options where !option.isEmpty {
            guard let effect = Self.table.first(where: { $0.name == option })?.effect else {
                data += data.isEmpty ? option : "," + option
                continue
            }
            apply(effect)
        }
        if type == "bind" { flags |= UInt(MS_BIND) }
    }

    private mutating func apply(_ effect: Effect) {
        switch effect {
        case .set(let bits):
            flags |= bits
            clearedFlags &= ~bits
        case .clear(let bits):
            flags &= ~bits
            clearedFlags |= bits
        case .propagation(let type): propagation.append(type)
        case .setBelow(let bits):
            recursiveSet |= bits
            recursiveClear &= ~bits
        case .clearBelow(let bits):
            recursiveSet &= ~bits
            recursiveClear |= bits
        case .accessTime(let value):
            // mount_setattr(2): one of three values, set only together with all their bits being cleared.
            recursiveSet = recursiveSet & ~Self.accessTimes | value
            recursiveClear |= Self.accessTimes
        case .notAccessTime(let value):
            // What is left is MOUNT_ATTR_RELATIME, 0.
            if recursiveSet & Self.accessTimes == value { recursiveSet &= ~Self.accessTimes }
            recursiveClear |= Self.accessTimes
        case .copyUp: copiesUp = true
        case .idmap(let isRecursive):
            isIdmapped = true
            isIdmappedRecursively = isRecursive
        case .nothing: break
        }
    }

    private enum Effect: Sendable {
        case set(UInt)
        case clear(UInt)
        case propagation(UInt)
        case setBelow(UInt64)
        case clearBelow(UInt64)
        case accessTime(UInt64)
        case notAccessTime(UInt64)
        case copyUp
        case idmap(isRecursive: Bool)
        case nothing
    }

    private static let accessTimes = UInt64(MOUNT_ATTR__ATIME)

    /// The options that are not for the file system, in alphabetical order.
    public static var names: [String] { table.map(\.name).sorted() }

    private static let table: [(name: String, effect: Effect)] = [
        ("bind", .set(UInt(MS_BIND))),
        ("rbind", .set(UInt(MS_BIND | MS_REC))),
        ("ro", .set(UInt(MS_RDONLY))),
        ("rw", .clear(UInt(MS_RDONLY))),
        ("nosuid", .set(UInt(MS_NOSUID))),
        ("suid", .clear(UInt(MS_NOSUID))),
        ("nodev", .set(UInt(MS_NODEV))),
        ("dev", .clear(UInt(MS_NODEV))),
        ("noexec", .set(UInt(MS_NOEXEC))),
        ("exec", .clear(UInt(MS_NOEXEC))),
        ("sync", .set(UInt(MS_SYNCHRONOUS))),
        ("async", .clear(UInt(MS_SYNCHRONOUS))),
        ("dirsync", .set(UInt(MS_DIRSYNC))),
        ("mand", .set(UInt(MS_MANDLOCK))),
        ("nomand", .clear(UInt(MS_MANDLOCK))),
        ("noatime", .set(UInt(MS_NOATIME))),
        ("atime", .clear(UInt(MS_NOATIME))),
        ("nodiratime", .set(UInt(MS_NODIRATIME))),
        ("diratime", .clear(UInt(MS_NODIRATIME))),
        ("relatime", .set(UInt(MS_RELATIME))),
        ("norelatime", .clear(UInt(MS_RELATIME))),
        ("strictatime", .set(UInt(MS_STRICTATIME))),
        ("nostrictatime", .clear(UInt(MS_STRICTATIME))),
        ("nosymfollow", .set(UInt(MS_NOSYMFOLLOW))),
        ("symfollow", .clear(UInt(MS_NOSYMFOLLOW))),
        ("iversion", .set(UInt(MS_I_VERSION))),
        ("noiversion", .clear(UInt(MS_I_VERSION))),
        ("lazytime", .set(UInt(MS_LAZYTIME))),
        ("nolazytime", .clear(UInt(MS_LAZYTIME))),
        ("silent", .set(UInt(MS_SILENT))),
        ("loud", .clear(UInt(MS_SILENT))),
        ("acl", .set(UInt(MS_POSIXACL))),
        ("noacl", .clear(UInt(MS_POSIXACL))),
        ("remount", .set(UInt(MS_REMOUNT))),
        ("defaults", .nothing),
        ("shared", .propagation(UInt(MS_SHARED))),
        ("rshared", .propagation(UInt(MS_SHARED | MS_REC))),
        ("private", .propagation(UInt(MS_PRIVATE))),
        ("rprivate", .propagation(UInt(MS_PRIVATE | MS_REC))),
        ("slave", .propagation(UInt(MS_SLAVE))),
        ("rslave", .propagation(UInt(MS_SLAVE | MS_REC))),
        ("unbindable", .propagation(UInt(MS_UNBINDABLE))),
        ("runbindable", .propagation(UInt(MS_UNBINDABLE | MS_REC))),
        ("rro", .setBelow(UInt64(MOUNT_ATTR_RDONLY))),
        ("rrw", .clearBelow(UInt64(MOUNT_ATTR_RDONLY))),
        ("rnosuid", .setBelow(UInt64(MOUNT_ATTR_NOSUID))),
        ("rsuid", .clearBelow(UInt64(MOUNT_ATTR_NOSUID))),
        ("rnodev", .setBelow(UInt64(MOUNT_ATTR_NODEV))),
        ("rdev", .clearBelow(UInt64(MOUNT_ATTR_NODEV))),
        ("rnoexec", .setBelow(UInt64(MOUNT_ATTR_NOEXEC))),
        ("rexec", .clearBelow(UInt64(MOUNT_ATTR_NOEXEC))),
        ("rnodiratime", .setBelow(UInt64(MOUNT_ATTR_NODIRATIME))),
        ("rdiratime", .clearBelow(UInt64(MOUNT_ATTR_NODIRATIME))),
        ("rnosymfollow", .setBelow(UInt64(MOUNT_ATTR_NOSYMFOLLOW))),
        ("rsymfollow", .clearBelow(UInt64(MOUNT_ATTR_NOSYMFOLLOW))),
        ("rrelatime", .accessTime(UInt64(MOUNT_ATTR_RELATIME))),
        // There is nothing else that it could be without being asked for.
        ("rnorelatime", .nothing),
        ("rnoatime", .accessTime(UInt64(MOUNT_ATTR_NOATIME))),
        ("ratime", .notAccessTime(UInt64(MOUNT_ATTR_NOATIME))),
        ("rstrictatime", .accessTime(UInt64(MOUNT_ATTR_STRICTATIME))),
        ("rnostrictatime", .notAccessTime(UInt64(MOUNT_ATTR_STRICTATIME))),
        ("tmpcopyup", .copyUp),
        ("idmap", .idmap(isRecursive: false)),
        ("ridmap", .idmap(isRecursive: true)),
    ]

    /// The MS_* bits of a type of propagation by its name, as `linux.rootfsPropagation` has it; nil for others.
    public static func propagation(named name: String) -> UInt? {
        guard case .propagation(let type)? = table.first(where: { $0.name == name })?.effect else { return nil }
        return type
    }
}
