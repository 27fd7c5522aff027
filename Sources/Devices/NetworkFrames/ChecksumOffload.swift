extension Frame {
    /// Completes the checksum that the sender left open.
    public mutating func completeChecksum() {
        guard let place = offload.checksum, place.start >= 0, place.offset >= 0,
            place.start + place.offset + 2 <= bytes.count
        else { return }
        var sum = InternetChecksum()
        sum.add(bytes[place.start...])
        // In UDP, 0 says that there is no checksum (RFC 768).
        let value = sum.value == 0 && place.offset == 6 ? 0xFFFF : sum.value
        bytes.setBigEndian16(value, at: place.start + place.offset)
        offload.checksum = nil
        offload.isVerified = true
    }

    /// Makes one complete TCP packet, of up to 64 KiB, of a frame that was to be cut into segments.
    ///
    /// - Returns: False where it is no such frame.
    public mutating func completeWithoutSegmentation() -> Bool {
        guard let layout = PacketLayout(bytes, isWhole: true), layout.transport == PacketLayout.tcp,
            bytes.count - layout.networkOffset <= 65_535
        else { return false }
        layout.setLength(&bytes, end: bytes.count)
        bytes.setBigEndian16(0, at: layout.checksumOffset)
        var sum = layout.pseudoHeader(bytes, byteCount: bytes.count - layout.transportOffset)
        sum.add(bytes[layout.transportOffset...])
        bytes.setBigEndian16(sum.value, at: layout.checksumOffset)
        offload = FrameOffload(isVerified: true)
        return true
    }
}
