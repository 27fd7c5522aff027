/// What of a container's limits is not set although the container starts.
struct LimitReport {
    private(set) var sentences: [String] = []

    mutating func add(_ name: String, _ value: String, _ reason: String) {
        sentences.append("\(name) '\(value)' is ignored: \(reason)")
    }

    /// The start of the names of a page size's files, such as `hugetlb.2MB`.
    static func hugePageFile(_ size: String) throws(CgroupError) -> String {
        guard !size.isEmpty, size.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
            throw .badValue(name: "hugepageLimits.pageSize", value: size, reason: "it is not a size such as 2MB")
        }
        return "hugetlb." + size
    }

    /// A line of `rdma.max`; nil where nothing is limited.
    static func rdmaLine(_ entry: (device: String, handles: UInt32?, objects: UInt32?)) -> String? {
        guard entry.handles != nil || entry.objects != nil else { return nil }
        return entry.device + (entry.handles.map { " hca_handle=\($0)" } ?? "")
            + (entry.objects.map { " hca_object=\($0)" } ?? "")
    }
}
