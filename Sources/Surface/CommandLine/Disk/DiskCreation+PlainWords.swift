internal import DiskImage

extension DiskCreation {
    /// The meaning of `disk create` and what follows, where every word is a plain one; nil else.
    ///
    /// Making a linked clone takes less time than setting the parser of command lines up, which takes all that is nil here, and
    /// tells what is wrong with it.
    init?(plainWords words: ArraySlice<String>) {
        guard words.starts(with: ["disk", "create"]) else { return nil }
        var rest = words.dropFirst(2)
        var places: [String] = []
        while let word = rest.popFirst() {
            guard word.hasPrefix("-") else {
                places.append(word)
                continue
            }
            if word == "-q" { continue }
            guard ["-f", "-F", "-b"].contains(word), let value = rest.popFirst(), !value.hasPrefix("-") else {
                return nil
            }
            switch word {
            case "-b": backing = value
            default:
                guard let known = DiskImageFormat(rawValue: value) else { return nil }
                if word == "-f" { format = known } else { backingFormat = known }
            }
        }
        guard let first = places.first, !first.isEmpty, places.count <= 2 else { return nil }
        path = first
        if places.count == 2 {
            guard let byteCount = DiskByteCount(argument: places[1]) else { return nil }
            size = byteCount
        }
    }
}
