public import JSON

/// What `spec` writes: a configuration to start from, which runs a shell.
public enum DefaultConfiguration {
    /// `rootless`: For a container in a user namespace, which a user other than the superuser can run; `uid` and
    ///   `gid` are that user's.
    public static func json(rootless: Bool, uid: UInt32 = 0, gid: UInt32 = 0) -> JSON {
        let capabilities: JSON = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        return [
            "ociVersion": .string(FeatureReport.latestVersion),
            "process": [
                "terminal": true,
                "user": ["uid": 0, "gid": 0],
                "args": ["sh"],
                "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
                "cwd": "/",
                "capabilities": [
                    "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
                    "ambient": capabilities,
                ],
                "rlimits": [["type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024]],
                "noNewPrivileges": true,
            ],
            "root": ["path": "rootfs", "readonly": true],
            "hostname": "viv",
            "mounts": .array(mounts(rootless: rootless)),
            "linux": linux(rootless: rootless, uid: uid, gid: gid),
        ]
    }

    private static func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> JSON {
        var members: [JSON.Member] = [
            JSON.Member("destination", .string(destination)), JSON.Member("type", .string(type)),
            JSON.Member("source", .string(source)),
        ]
        if !options.isEmpty { members.append(JSON.Member("options", .array(options.map { .string($0) }))) }
        return .object(members)
    }

    private static func mounts(rootless: Bool) -> [JSON] {
        let closed = ["nosuid", "noexec", "nodev"]
        let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
        return [
            mount("/proc", "proc", "proc", []),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            // Only one group is mapped in a rootless container.
            mount("/dev/pts", "devpts", "devpts", rootless ? terminals : terminals + ["gid=5"]),
            mount("/dev/shm", "tmpfs", "shm", closed + ["mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", closed),
            // A sysfs is only for whoever owns the network namespace.
            rootless
                ? mount("/sys", "none", "/sys", ["rbind"] + closed + ["ro"])
                : mount("/sys", "sysfs", "sysfs", closed + ["ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", closed + ["relatime", "ro"]),
        ]
    }

    private static func linux(rootless: Bool, uid: UInt32, gid: UInt32) -> JSON {
        func namespaces(_ kinds: [String]) -> JSON { .array(kinds.map { ["type": .string($0)] }) }
        let paths: [JSON.Member] = [
            JSON.Member(
                "maskedPaths",
                [
                    "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                    "/proc/timer_list",
                    "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
                ]
            ),
            JSON.Member(
                "readonlyPaths",
                ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
            ),
        ]
        guard rootless else {
            return .object(
                [
                    JSON.Member("resources", ["devices": [["allow": false, "access": "rwm"]]]),
                    JSON.Member("namespaces", namespaces(["pid", "network", "ipc", "uts", "mount"])),
                ] + paths
            )
        }
        func mapping(_ identifier: UInt32) -> JSON {
            [["containerID": 0, "hostID": .integer(Int64(identifier)), "size": 1]]
        }
        return .object(
            [
                JSON.Member("uidMappings", mapping(uid)),
                JSON.Member("gidMappings", mapping(gid)),
                JSON.Member("namespaces", namespaces(["pid", "ipc", "uts", "mount", "user"])),
            ] + paths
        )
    }
}
