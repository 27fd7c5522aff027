internal import Glibc
internal import JSON
internal import SystemCalls

/// What is remembered of a container between two calls of the runtime: `state.json` in its folder.
struct SavedContainer: Sendable {
    var id: String
    var bundle: String
    var root: String
    /// 0 while there is no process yet.
    var process: Int32 = 0
    /// When the process started, in clock ticks since the host's start: another process of that number has another time.
    var startTime: UInt64 = 0
    var created: String
    var owner: UInt32
    var annotations: [(name: String, value: String)]
    /// By controller.
    var cgroups: [String: String] = [:]
    var isRootless = false
    /// Namespaces of the process, as CLONE_NEW flags.
    var namespaces: UInt64 = 0

    var json: JSON {
        .object([
            JSON.Member("id", .string(id)), JSON.Member("bundle", .string(bundle)), JSON.Member("root", .string(root)),
            JSON.Member("pid", .integer(Int64(process))),
            JSON.Member("startTime", .integer(Int64(clamping: startTime))),
            JSON.Member("created", .string(created)), JSON.Member("owner", .integer(Int64(owner))),
            JSON.Member("annotations", .object(annotations.map { JSON.Member($0.name, .string($0.value)) })),
            JSON.Member(
                "cgroups",
                .object(cgroups.sorted { $0.key < $1.key }.map { JSON.Member($0.key, .string($0.value)) })
            ),
            JSON.Member("rootless", .bool(isRootless)),
            JSON.Member("namespaces", .integer(Int64(clamping: namespaces))),
        ])
    }

    init(
        id: String,
        bundle: String,
        root: String,
        created: String,
        owner: UInt32,
        annotations: [(name: String, value: String)]
    ) {
        self.id = id
        self.bundle = bundle
        self.root = root
        self.created = created
        self.owner = owner
        self.annotations = annotations
    }

    init(_ document: JSON) throws(JSONError) {
        let place = JSONPlace(document)
        id = try place.required("id").string()
        bundle = try place.required("bundle").string()
        root = try place.required("root").string()
        process = try place.required("pid").integer()
        startTime = try place.required("startTime").integer()
        created = try place.required("created").string()
        owner = try place.required("owner").integer()
        annotations = try place.table("annotations")
        for (name, value) in try place.table("cgroups") { cgroups[name] = value }
        isRootless = try place.bool("rootless") ?? false
        namespaces = try place.integer("namespaces") ?? 0
    }
}

/// What a container is doing (runtime-spec runtime.md "State").
public enum ContainerStatus: String, Sendable {
    case creating, created, running, paused, stopped
}
