internal import Glibc

/// What `viv` says to its user on standard error, a line at a time.
enum Console {
    static func say(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

    /// Writes all of `text`; what a closed descriptor does not take is lost.
    static func write(_ text: String, to descriptor: CInt) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
