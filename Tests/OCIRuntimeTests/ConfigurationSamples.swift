import JSON
import OCIRuntime
import Testing

/// Configurations made of a few lines of JSON.
enum Sample {
    static func json(_ text: String) throws -> JSON { try JSON(parsing: Array(text.utf8)) }

    /// Members with commas before, to go after those that every configuration has.
    static func configuration(
        _ members: String = "",
        process: String = "",
        linux: String = "",
        namespaces: String = "pid network mount ipc uts cgroup"
    ) throws -> Configuration {
        let kinds = namespaces.split(separator: " ").map { item in
            let parts = item.split(separator: "=")
            return parts.count == 2 ? #"{"type": "\#(parts[0])", "path": "\#(parts[1])"}"# : #"{"type": "\#(item)"}"#
        }
        return try Configuration(
            json(
                """
                {"ociVersion": "1.2.0", "root": {"path": "rootfs"},
                 "process": {"args": ["true"], "cwd": "/"\(process)},
                 "linux": {"namespaces": [\(kinds.joined(separator: ", "))]\(linux)}\(members)}
                """
            )
        )
    }

    static func process(_ members: String) throws -> ProcessConfiguration {
        try #require(configuration(process: members).process)
    }

    static func seccomp(_ members: String) throws -> SeccompConfiguration {
        try #require(configuration(linux: #", "seccomp": {\#(members)}"#).linux.seccomp)
    }
}
