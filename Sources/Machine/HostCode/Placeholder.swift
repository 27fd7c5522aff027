// HostCode
