extension Frame {
    /// The most segments that one frame is cut into: those of 64 KiB at the smallest segment that TCP has to take (RFC 9293 §3.7.1).
    static let segmentLimit = 65_535 / 64

    private enum TCPFlag {
        static let fin: UInt8 = 0x01
        static let push: UInt8 = 0x08
        static let reduced: UInt8 = 0x80
    }

    /// The frame cut into segments with finished headers and checksums.
    ///
    /// - Returns: None where the frame is no TCP packet of the kind that its offload names, or would become too many.
    public func segmented() -> [Frame] {
        guard let layout = PacketLayout(bytes, isWhole: true), layout.transport == PacketLayout.tcp,
            layout.isIPv6 == (offload.segmentation == .tcp6), offload.segmentByteCount > 0
        else { return [] }
        let payload = layout.payloadOffset..<bytes.count
        let size = offload.segmentByteCount
        guard payload.count <= size * Self.segmentLimit else { return [] }
        let sequence = bytes.bigEndian32(at: layout.transportOffset + 4)
        let identification = layout.isIPv6 ? 0 : bytes.bigEndian16(at: layout.networkOffset + 4)
        let flags = bytes[layout.transportOffset + 13]
        var segments: [Frame] = []
        var start = payload.lowerBound
        repeat {
            let end = min(start + size, payload.upperBound)
            let isLast = end == payload.upperBound
            var segment: [UInt8] = []
            segment.reserveCapacity(payload.lowerBound + end - start)
            segment += bytes[..<payload.lowerBound]
            segment += bytes[start..<end]
            if !layout.isIPv6 {
                let number = identification &+ UInt16(truncatingIfNeeded: segments.count)
                segment.setBigEndian16(number, at: layout.networkOffset + 4)
            }
            layout.setLength(&segment, end: segment.count)
            let offset = UInt32(truncatingIfNeeded: start - payload.lowerBound)
            segment.setBigEndian32(sequence &+ offset, at: layout.transportOffset + 4)
            var own = flags
            if !isLast { own &= ~(TCPFlag.fin | TCPFlag.push) }
            if !segments.isEmpty { own &= ~TCPFlag.reduced }
            segment[layout.transportOffset + 13] = own
            segment.setBigEndian16(0, at: layout.checksumOffset)
            var sum = layout.pseudoHeader(segment, byteCount: segment.count - layout.transportOffset)
            sum.add(segment[layout.transportOffset...])
            segment.setBigEndian16(sum.value, at: layout.checksumOffset)
            segments.append(Frame(segment, offload: FrameOffload(isVerified: true)))
            start = end
        } while start < payload.upperBound
        return segments
    }

    /// The frame as somebody can take it who allows `offloads` only: itself, with its checksum completed, or its segments.
    public consuming func adapted(to offloads: Offloads) -> [Frame] {
        if !offloads.allow(offload) { return segmented() }
        if offload.segmentation == .none, offload.checksum != nil, !offloads.contains(.checksum) { completeChecksum() }
        return [self]
    }
}
