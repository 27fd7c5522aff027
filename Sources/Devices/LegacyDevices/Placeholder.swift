// LegacyDevices
