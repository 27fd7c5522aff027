internal import CSeccomp
public import JSON

/// What `features` prints (runtime-spec 1.2 features.md, features-linux.md): what the runtime can do, whatever host it is on.
public enum FeatureReport {
    /// The versions of the specification that configurations may be written for.
    public static let earliestVersion = "1.0.0"
    public static let latestVersion = "1.2.0"

    public static var json: JSON {
        let enabled: JSON = ["enabled": true]
        return [
            "ociVersionMin": .string(earliestVersion),
            "ociVersionMax": .string(latestVersion),
            "hooks": strings([
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
            ]),
            "mountOptions": strings(MountOptions.names),
            "linux": [
                "namespaces": strings(LinuxConfiguration.Namespace.Kind.allCases.map(\.rawValue).sorted()),
                "capabilities": strings(Capabilities.names),
                "cgroup": ["v1": true, "v2": true, "systemd": true, "systemdUser": true, "rdma": true],
                "seccomp": [
                    "enabled": true,
                    "actions": strings(SeccompVocabulary.actions),
                    "operators": strings(SeccompVocabulary.operators),
                    "archs": strings(SeccompVocabulary.architectures),
                    "knownFlags": strings(SeccompVocabulary.flags),
                    "supportedFlags": strings(SeccompVocabulary.flags),
                ],
                "apparmor": enabled,
                "selinux": enabled,
                "intelRdt": ["enabled": false],
                "mountExtensions": ["idmap": enabled],
            ],
            "annotations": [
                "io.github.seccomp.libseccomp.version": .string(seccompVersion),
                "org.opencontainers.runc.checkpoint.enabled": "true",
            ],
            // A trailing dot stands for all names that start so.
            "potentiallyUnsafeConfigAnnotations": ["bundle", "org.systemd.property.", "org.criu.config"],
        ]
    }

    private static var seccompVersion: String {
        guard let version = unsafe seccomp_version()?.pointee else { return "" }
        return "\(version.major).\(version.minor).\(version.micro)"
    }

    private static func strings(_ values: [String]) -> JSON { .array(values.map { .string($0) }) }
}
