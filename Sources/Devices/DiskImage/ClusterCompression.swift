internal import CZlib
internal import CZstd

/// How clusters are compressed, each by itself (qcow2 specification, "compression_type").
public enum ClusterCompression: UInt8, Hashable, Sendable, CaseIterable {
    /// Raw deflate in a window of 4 KiB.
    case zlib = 0
    case zstd = 1

    public var name: String {
        switch self {
        case .zlib: "zlib"
        case .zstd: "zstd"
        }
    }

    /// Fills all of `output` from a stream that starts `input`; what follows the stream is ignored.
    ///
    /// - Returns: Whether the stream was whole and gave as many bytes. A stream that goes on behind them is cut: no bomb.
    func decompress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        guard let from = input.baseAddress, let to = output.baseAddress else { return unsafe output.isEmpty }
        switch self {
        case .zlib:
            // The library compares addresses: the stream must not move.
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            defer { unsafe stream.deallocate() }
            unsafe stream.initialize(to: z_stream())
            // SAFETY: both are bytes.
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(clamping: input.count)
            unsafe stream.pointee.next_out = to.assumingMemoryBound(to: UInt8.self)
            unsafe stream.pointee.avail_out = UInt32(clamping: output.count)
            // Other programs may have used a larger window.
            guard unsafe inflateInit2_(stream, -15, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
                return false
            }
            defer { unsafe inflateEnd(stream) }
            let result = unsafe inflate(stream, Z_FINISH)
            let isFull = unsafe stream.pointee.avail_out == 0
            return isFull && (result == Z_STREAM_END || result == Z_BUF_ERROR)
        case .zstd:
            guard let context = unsafe ZSTD_createDCtx() else { return false }
            defer { unsafe ZSTD_freeDCtx(context) }
            var source = unsafe ZSTD_inBuffer(src: from, size: input.count, pos: 0)
            var target = unsafe ZSTD_outBuffer(dst: to, size: output.count, pos: 0)
            while unsafe target.pos < target.size {
                let before = unsafe (source.pos, target.pos)
                let result = unsafe ZSTD_decompressStream(context, &target, &source)
                if ZSTD_isError(result) != 0 { return false }
                if unsafe before == (source.pos, target.pos) { return false }
            }
            return true
        }
    }
}

/// Compresses clusters, one after another; each thread has its own.
@safe
public final class ClusterCompressor {
    private let compression: ClusterCompression
    private let level: CInt
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let context: OpaquePointer?

    /// `level`: As the library counts; nil for the usual one.
    public init(_ compression: ClusterCompression, level: Int? = nil) {
        self.compression = compression
        unsafe stream.initialize(to: z_stream())
        switch compression {
        case .zlib:
            self.level = CInt(level ?? 5)
            unsafe context = nil
            let size = unsafe CInt(MemoryLayout<z_stream>.size)
            // Level 7 of memory: its tables stay in the nearest caches, and a window of 4 KiB gains nothing from larger ones.
            unsafe _ = deflateInit2_(stream, self.level, Z_DEFLATED, -12, 7, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
        case .zstd:
            self.level = CInt(level ?? 3)
            unsafe context = ZSTD_createCCtx()
        }
    }

    deinit {
        switch compression {
        case .zlib: unsafe _ = deflateEnd(stream)
        case .zstd: unsafe _ = ZSTD_freeCCtx(context)
        }
        unsafe stream.deallocate()
    }

    /// - Returns: The bytes of the stream in `output`, or nil where it does not fit: compressing does not pay.
    public func compress(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Int? {
        guard let from = input.baseAddress, let to = output.baseAddress else { return nil }
        switch compression {
        case .zlib:
            guard unsafe deflateReset(stream) == Z_OK else { return nil }
            // SAFETY: both are bytes.
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: from.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(clamping: input.count)
            unsafe stream.pointee.next_out = to.assumingMemoryBound(to: UInt8.self)
            unsafe stream.pointee.avail_out = UInt32(clamping: output.count)
            guard unsafe deflate(stream, Z_FINISH) == Z_STREAM_END else { return nil }
            return unsafe output.count - Int(stream.pointee.avail_out)
        case .zstd:
            guard let context = unsafe context else { return nil }
            let count = unsafe ZSTD_compressCCtx(context, to, output.count, from, input.count, level)
            return ZSTD_isError(count) != 0 ? nil : count
        }
    }
}
