/// What is done with whole images.
public enum DiskImageOperation {
    public typealias Progress = @Sendable (UInt64, UInt64) -> Void

    /// Makes a new image without contents.
    public static func create(_ path: String, qcow2 options: QCOW2CreateOptions) throws(DiskImageError) {
        _ = try options.header()
        let file = try HostImageFile(creating: path)
        try QCOW2Builder(file, options).finish()
    }

    /// The same, raw.
    public static func create(
        _ path: String,
        rawByteCount: UInt64,
        preallocation: QCOW2CreateOptions.Preallocation = .off
    ) throws(DiskImageError) {
        guard preallocation != .metadata else {
            throw .invalidOption("preallocation=metadata means nothing for raw images")
        }
        let file = try HostImageFile(creating: path)
        try file.resize(to: rawByteCount)
        if preallocation == .falloc { try file.allocate(at: 0, byteCount: rawByteCount) }
        if preallocation == .full { try file.writeZeroBytes(at: 0, byteCount: rawByteCount) }
    }

    /// Copies `source` to a new qcow2 image.
    ///
    /// `depthLimit`: Extents of images deeper than this are left to the new image's backing file.
    public static func convert(
        _ source: any DiskImage,
        toQCOW2 path: String,
        _ options: QCOW2CreateOptions,
        isCompressed: Bool = false,
        depthLimit: Int = .max,
        threadCount: Int? = nil,
        progress: @escaping Progress = { _, _ in }
    ) throws(DiskImageError) {
        _ = try options.header()
        let file = try HostImageFile(creating: path)
        let builder = try QCOW2Builder(file, options)
        try Conversion(
            from: source,
            to: BuilderTarget(builder),
            depthLimit: depthLimit,
            compression: isCompressed ? (builder, options.compression) : nil,
            threadCount: threadCount,
            progress: progress
        ).run()
    }

    /// Copies `source` to a new raw image.
    public static func convert(
        _ source: any DiskImage,
        toRaw path: String,
        preallocation: QCOW2CreateOptions.Preallocation = .off,
        holeByteCount: Int = 4096,
        threadCount: Int? = nil,
        progress: @escaping Progress = { _, _ in }
    ) throws(DiskImageError) {
        let file = try HostImageFile(creating: path)
        try file.resize(to: source.byteCount)
        if preallocation == .falloc || preallocation == .full {
            try file.allocate(at: 0, byteCount: source.byteCount)
        }
        let image = try RawDiskImage(file, isReadOnly: false)
        let target = ImageTarget(image, isEmpty: !file.isBlockDevice, holeByteCount: holeByteCount)
        try Conversion(from: source, to: target, threadCount: threadCount, progress: progress).run()
    }

    /// Writes `source` over an image that exists; `isZero`: one that reads as zeros.
    public static func convert(
        _ source: any DiskImage,
        into image: any DiskImage,
        isZero: Bool = false,
        progress: @escaping Progress = { _, _ in }
    ) throws(DiskImageError) {
        guard image.byteCount >= source.byteCount else {
            throw .invalidOption("the target has \(image.byteCount) bytes, \(source.byteCount) are needed")
        }
        let target = ImageTarget(image, isEmpty: isZero, holeByteCount: 65536)
        try Conversion(from: source, to: target, progress: progress).run()
        try image.flush()
    }

    /// Writes what `image` says over its backing image into that, which must be open for writing.
    public static func commit(
        _ image: any DiskImage,
        into backing: any DiskImage,
        depth: Int = 1,
        progress: @escaping Progress = { _, _ in }
    ) throws(DiskImageError) {
        // What is no whole extent of the image would be read through the old tables of the backing image.
        let target = ImageTarget(backing, isEmpty: false, holeByteCount: 65536, granularity: 512)
        let byteCount = min(image.byteCount, backing.byteCount)
        try Conversion(
            from: image,
            to: target,
            byteCount: byteCount,
            depthLimit: depth,
            threadCount: 1,
            progress: progress
        ).run()
        try backing.flush()
    }

    /// Makes `image` read the same over `newBacking` as it does over its own backing image; its header is left alone.
    public static func rebase(
        _ image: QCOW2Image,
        onto newBacking: (any DiskImage)?,
        progress: Progress = { _, _ in }
    ) throws(DiskImageError) {
        let end = image.byteCount
        let buffers = (ByteBuffer(uninitialized: 1 << 16), ByteBuffer(uninitialized: 1 << 16))
        // Whole clusters: what is written allocates them, and their other parts come from the old backing image.
        let grain = max(UInt64(image.clusterByteCount), 1 << 16)
        var place: UInt64 = 0
        while place < end {
            progress(place, end)
            let extent = try image.extent(at: place, byteCount: end - place)
            if extent.depth == 0, extent.kind != .unallocated {
                place += extent.byteCount
                continue
            }
            let stop = min(end, place + min(extent.byteCount, grain - place % grain))
            // Zeros on both sides need no reading.
            let below = newBacking.map { $0.byteCount } ?? 0
            if extent.kind != .data, place >= below {
                place = below > place ? stop : place + extent.byteCount
                continue
            }
            while place < stop {
                let count = Int(min(stop - place, UInt64(buffers.0.count)))
                unsafe try image.read(into: buffers.0.bytes(0..<count), at: place)
                let inside = place < below ? Int(min(UInt64(count), below - place)) : 0
                if let newBacking, inside > 0 {
                    unsafe try newBacking.read(into: buffers.1.bytes(0..<inside), at: place)
                }
                buffers.1.fill(inside..<count)
                let one = unsafe buffers.0.bytes(0..<count)
                if unsafe ImageComparison.firstDifference(one, buffers.1.bytes(0..<count)) != nil {
                    unsafe try image.write(UnsafeRawBufferPointer(one), at: place)
                }
                place += UInt64(count)
            }
        }
        try image.flush()
    }
}
