internal import DiskImage
internal import Glibc

/// What `viv disk create` was asked for.
struct DiskCreation {
    var format = DiskImageFormat.raw
    var options: [String] = []
    var backing: String?
    var backingFormat: DiskImageFormat?
    var isUnsafe = false
    var fromDirectory: String?
    var path = ""
    var size: DiskByteCount?

    func run() throws(CommandFailure) {
        let creation = try DiskCreationOptions(options)
        if let fromDirectory { return try createFromDirectory(fromDirectory, creation) }
        switch format {
        case .raw:
            guard backing == nil else { throw CommandFailure("raw images have no backing file") }
            let (preallocation, optionSize) = try creation.raw()
            guard let byteCount = size?.sectors ?? optionSize else { throw CommandFailure("\(path): a size is needed") }
            try diskFailing { () throws(DiskImageError) in
                try DiskImageOperation.create(path, rawByteCount: byteCount, preallocation: preallocation)
            }
        case .qcow2: try createQCOW2(creation)
        }
    }

    private func createQCOW2(_ creation: DiskCreationOptions) throws(CommandFailure) {
        var new = QCOW2CreateOptions(byteCount: size?.sectors ?? 0)
        try creation.apply(to: &new)
        if let backing { new.backingPath = backing }
        if let backingFormat { new.backingFormat = backingFormat }
        if let size { new.byteCount = size.sectors }
        if let backing = new.backingPath {
            guard new.backingFormat != nil || isUnsafe else {
                throw CommandFailure("the backing file's format is needed: -F raw or -F qcow2")
            }
            if !isUnsafe {
                let place = DiskPaths.backing(backing, of: path)
                let byteCount = try diskFailing { () throws(DiskImageError) in
                    try OpenedDiskImage(
                        path: place,
                        DiskImageOptions(format: new.backingFormat, isReadOnly: true, locking: .sharing)
                    ).image.byteCount
                }
                if new.byteCount == 0 { new.byteCount = byteCount }
            }
        }
        guard new.byteCount > 0 || size != nil else { throw CommandFailure("\(path): a size is needed") }
        try diskFailing { () throws(DiskImageError) in try DiskImageOperation.create(path, qcow2: new) }
    }

    private func createFromDirectory(_ folder: String, _ creation: DiskCreationOptions) throws(CommandFailure) {
        let byteCount: UInt64
        if let size { byteCount = size.sectors } else { byteCount = try Ext4Image.byteCount(of: folder) }
        guard format != .raw else { return try Ext4Image.make(path, from: folder, byteCount: byteCount) }
        let plain = path + ".ext4-\(getpid())"
        defer { unsafe unlink(plain) }
        try Ext4Image.make(plain, from: folder, byteCount: byteCount)
        var new = QCOW2CreateOptions(byteCount: byteCount)
        try creation.apply(to: &new)
        try diskFailing { () throws(DiskImageError) in
            let source = try OpenedDiskImage(path: plain, DiskImageOptions(format: .raw, isReadOnly: true))
            try DiskImageOperation.convert(source.image, toQCOW2: path, new)
        }
    }
}
